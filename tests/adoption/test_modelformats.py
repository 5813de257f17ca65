"""What can be read as a model made elsewhere, and what is refused with which words."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import warnings

import numpy as np
import pytest
import yaml
from sklearn.dummy import DummyClassifier
from sklearn.preprocessing import FunctionTransformer

from driftloop.adapters.modelformats import (
    PackageMissingError,
    PickleRefusedError,
    UnreadableModelError,
    UnsupportedModelError,
    UntrustedPartsError,
    read_model,
)
from driftloop.adapters.modelsource import (
    ModelNotFoundError,
    UnsafeArchiveError,
    fetch_model,
    is_bento_tag,
    locate_model,
)
from driftloop.spec import FeatureType
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.package import ContentDiffersError, assemble
from driftloop.stages.records import Evaluation
from tests.adoption.models import FEATURES, classifier, parcels, save_with_mlflow
from tests.flightschema import SCHEMA
from tests.smallmodel import flights, write_model_files


class CodeRan(BaseException):
    """What the code in a pickle does here."""


class Bomb:
    def __reduce__(self):
        return (explode, ())


def explode():
    raise CodeRan


def read(folder, serialization="Skops"):
    return read_model(folder, str(folder), serialization=serialization)


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def mlflow_folder(model, tmp_path_factory):
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(parcels()[FEATURES])
    return save_with_mlflow(model, tmp_path_factory.mktemp("mlflow") / "model", signature=signature)


@pytest.fixture
def copied(mlflow_folder, tmp_path):
    return shutil.copytree(mlflow_folder, tmp_path / "copy")


def change_flavor(folder, **fields):
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["sklearn"] |= fields
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


def test_an_mlflow_model_in_skops_is_read_with_its_signature(mlflow_folder, model):
    found = read(mlflow_folder)
    assert found.origin == f"the MLflow model '{mlflow_folder}'"
    assert found.inputs == {
        "distance": FeatureType.NUMERIC,
        "carrier": FeatureType.CATEGORICAL,
        "express": FeatureType.BOOLEAN,
        "stops": FeatureType.NUMERIC,
    }
    rows = parcels()[FEATURES]
    assert np.allclose(found.estimator.predict_proba(rows), model.predict_proba(rows))


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle"])
def test_a_pickle_is_refused_until_it_is_allowed(model, tmp_path, serialization):
    folder = save_with_mlflow(model, tmp_path / "model", serialization)
    with pytest.raises(PickleRefusedError, match=r"serialization: Pickle"):
        read(folder)
    rows = parcels()[FEATURES]
    allowed = read(folder, "Pickle").estimator
    assert np.allclose(allowed.predict_proba(rows), model.predict_proba(rows))


def test_refusing_a_pickle_runs_none_of_it(copied):
    (copied / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    change_flavor(copied, pickled_model="model.pkl", serialization_format="pickle")
    with pytest.raises(PickleRefusedError):
        read(copied)
    with pytest.raises(CodeRan):
        read(copied, "Pickle")


def test_a_pickle_called_skops_is_not_run(copied):
    (copied / "model.skops").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnreadableModelError):
        read(copied)


def test_another_scikit_learn_is_told_with_both_versions(copied):
    change_flavor(copied, sklearn_version="1.2.0")
    (note,) = read(copied).notes
    assert note.startswith("It was saved with scikit-learn 1.2.0 and runs with ")


def test_a_damaged_file_is_told_with_both_versions(copied):
    (copied / "model.skops").write_bytes(b"PK")
    with pytest.raises(UnreadableModelError, match=r"saved with scikit-learn .*; installed is"):
        read(copied)


def test_an_mlmodel_can_not_name_a_file_elsewhere(copied, tmp_path):
    shutil.copy(copied / "model.skops", tmp_path / "elsewhere.skops")
    change_flavor(copied, pickled_model="../elsewhere.skops")
    with pytest.raises(UnsupportedModelError, match="must lie in the same folder"):
        read(copied)


def test_another_flavor_is_refused_with_its_name(copied):
    described = yaml.safe_load((copied / "MLmodel").read_text())
    described["flavors"] = {"python_function": {}, "pytorch": {}}
    (copied / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(UnsupportedModelError, match="flavors python_function, pytorch"):
        read(copied)


def test_a_package_that_is_not_installed_is_named(copied):
    (copied / "model.pkl").write_bytes(b"cnot_installed_here.model\nModel\n.")
    change_flavor(copied, pickled_model="model.pkl", serialization_format="pickle")
    with pytest.raises(PackageMissingError, match="'not_installed_here'"):
        read(copied, "Pickle")


def test_parts_that_are_not_scikit_learns_are_named(tmp_path):
    chain = FunctionTransformer(json.dumps)
    folder = save_with_mlflow(chain, tmp_path / "model", "cloudpickle")
    with pytest.raises(UntrustedPartsError, match=r"json\.dumps"):
        read(folder, "Pickle")


def test_a_folder_of_something_else_is_told(tmp_path):
    (tmp_path / "weights.h5").touch()
    with pytest.raises(UnsupportedModelError, match=r"a folder with weights\.h5"):
        read(tmp_path)


@pytest.fixture(scope="module")
def bento_home(tmp_path_factory):
    return tmp_path_factory.mktemp("bentoml")


SERVICE_OF = """
import bentoml
@bentoml.service
class Scorer:
    model = bentoml.models.BentoModel("{tag}")
    @bentoml.api
    def score(self, x: list) -> list:
        return x
"""


@pytest.fixture(scope="module")
def bento(model, bento_home, tmp_path_factory):
    """A Bento as a team has one: a service of its own around a model saved by bentoml.sklearn."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    script = f"""
import bentoml, pathlib, pickle
tag = bentoml.sklearn.save_model("lateness", pickle.loads(pathlib.Path("model.pkl").read_bytes())).tag
pathlib.Path("service.py").write_text('''{SERVICE_OF}'''.replace("{{tag}}", str(tag)))
pathlib.Path("bentofile.yaml").write_text("service: 'service:Scorer'\\nname: scorer\\n")
bento = bentoml.bentos.build_bentofile("bentofile.yaml", build_ctx=".")
bento.export(str(pathlib.Path("exported.bento").absolute()))
print(bento.tag)
"""
    environment = os.environ | {"BENTOML_HOME": str(bento_home), "BENTOML_DO_NOT_TRACK": "1"}
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return made.stdout.split()[-1], folder / "exported.bento"


@pytest.mark.local
def test_the_model_is_taken_out_of_a_bento_of_ones_own(bento, bento_home, model, monkeypatch, tmp_path):
    tag, archive = bento
    monkeypatch.setenv("BENTOML_HOME", str(bento_home))
    rows = parcels()[FEATURES]
    for uri in (tag, "scorer:latest", str(archive)):
        path = fetch_model(locate_model(uri, tmp_path), tmp_path / uri.replace("/", "_"))
        with pytest.raises(PickleRefusedError):
            read_model(path, uri, serialization="Skops")
        found = read_model(path, uri, serialization="Pickle")
        assert "The service of the Bento is left behind" in found.notes[0]
        assert np.allclose(found.estimator.predict_proba(rows), model.predict_proba(rows))


@pytest.mark.local
def test_a_service_without_a_scikit_learn_model_is_refused_with_what_is_supported(bento, tmp_path):
    _, archive = bento
    path = fetch_model(str(archive), tmp_path / "scratch")
    described = yaml.safe_load((path / "bento.yaml").read_text())
    described["services"][0]["models"][0]["module"] = "bentoml.pytorch"
    (path / "bento.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(UnsupportedModelError, match=r"a service of its own that holds .*Supported are"):
        read(path, "Pickle")


@pytest.fixture
def own_bento(tmp_path):
    (tmp_path / "files").mkdir()
    files = write_model_files(tmp_path / "files")
    evaluation = Evaluation(
        algorithm="Linear", params={}, metric="roc_auc", score=0.8, standard_error=0.1, metrics={}, test_rows=45
    )
    files.training.write_text(evaluation.model_dump_json(by_alias=True))
    folder = tmp_path / "bento"
    content = assemble(folder / "src", files, loop="flights", card="", requirements=[], runtime_image="image")
    (folder / "bento.yaml").write_text(f"name: flights\nversion: '{content.version}'\n")
    return folder


def test_a_bento_of_driftloops_own_is_taken_with_its_schema(own_bento):
    found = read(own_bento)
    assert found.schema == SCHEMA
    frame = frame_to_model_frame(flights(), SCHEMA)
    assert found.estimator.predict_proba(frame).shape == (len(frame), 2)


def test_a_bento_of_driftloops_own_that_was_changed_is_refused(own_bento):
    (own_bento / "src" / "model" / "training.json").write_text("{}")
    with pytest.raises(ContentDiffersError, match=r"training\.json"):
        read(own_bento)


def test_a_bento_under_the_name_of_another_is_refused(own_bento):
    (own_bento / "bento.yaml").write_text("name: flights\nversion: '000000000000'\n")
    with pytest.raises(UnsupportedModelError, match="a Bento of version 000000000000"):
        read(own_bento)


@pytest.mark.parametrize("uri", ["fraud:latest", "fraud:6sbesjhi52apyax4", "my_model:1.0"])
def test_a_bento_tag_is_told_from_a_path(uri):
    assert is_bento_tag(uri)


@pytest.mark.parametrize("uri", ["models:/fraud/1", "runs:/abc/model", "s3://bucket/model", "models/fraud", "a.bento"])
def test_other_addresses_are_no_bento_tags(uri):
    assert not is_bento_tag(uri)


def test_a_tag_that_is_not_in_the_store_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="no such Bento in the BentoML store"):
        locate_model("fraud:latest", tmp_path)


def test_an_address_with_nothing_there_is_told(tmp_path):
    with pytest.raises(ModelNotFoundError, match="no such file or folder"):
        fetch_model(str(tmp_path / "nothing"), tmp_path / "scratch")
    with pytest.raises(ModelNotFoundError, match="no such file or folder"):
        fetch_model("memory://nothing/there", tmp_path)


def test_a_model_in_an_object_store_is_copied_with_its_folders(mlflow_folder, tmp_path):
    import fsspec

    store = fsspec.filesystem("memory")
    store.put(str(mlflow_folder), "/bucket/model", recursive=True)
    found = read_model(fetch_model("memory://bucket/model", tmp_path), "memory://bucket/model", serialization="Skops")
    assert list(found.inputs) == FEATURES


def test_a_name_that_mlflow_does_not_know_is_told_with_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracking").as_uri())
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "1")
    warnings.simplefilter("ignore")  # of mlflow's; pytest restores the filters
    with pytest.raises(ModelNotFoundError, match="MLFLOW_TRACKING_URI is"):
        fetch_model("models:/lateness/1", tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/absolute", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard", tarfile.LNKTYPE, "../outside"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path, name, kind, link):
    path = tmp_path / "evil.bento"
    with tarfile.open(path, "w:xz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        archive.addfile(member, io.BytesIO(b""))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if name == "/absolute":  # Python's filter makes it relative, which is as safe
        assert [found.name for found in fetch_model(str(path), scratch).iterdir()] == ["absolute"]
        return
    with pytest.raises(UnsafeArchiveError, match="must hold plain files"):
        fetch_model(str(path), scratch)
    assert not (tmp_path / "outside").exists()


def test_a_classifier_that_fits_no_features_is_read_all_the_same(tmp_path):
    folder = save_with_mlflow(DummyClassifier().fit([[0], [1]], [0, 1]), tmp_path / "model")
    assert read(folder).inputs == {}
