"""`data.secretRef`: a run's pods read the data with credentials of their own, beside those of the platform's store."""

import pytest
import s3fs

from driftloop.adapters.datastore import DataCredentials, open_data
from driftloop.adapters.objectstore import FsspecStore
from driftloop.adapters.pipelinepackage import read_package
from driftloop.spec import ModelLoopSpec, TrainingSpec
from driftloop.stages.snapshot import data_digest
from tests.s3server import s3_server

NEEDED = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def a_spec(**data):
    return ModelLoopSpec.model_validate(
        {
            "problem": {"task": "Regression"},
            "data": {"uri": "s3://lake/a.csv", "targetColumn": "y", **data},
            "pipeline": {"env": [{"name": "TOKEN", "secretKeyRef": {"name": "other", "key": "token"}}]},
        }
    )


def test_the_secrets_keys_reach_the_pods_under_names_of_their_own():
    variables = a_spec(secretRef={"name": "lake-reader"}).run_pods.env
    assert [variable.name for variable in variables][:2] == ["TOKEN", "DRIFTLOOP_DATA_AWS_ACCESS_KEY_ID"]
    references = [variable.secret_key_ref for variable in variables[1:]]
    assert {reference.name for reference in references} == {"lake-reader"}
    assert {reference.key for reference in references if not reference.optional} == NEEDED


def test_databases_need_a_password_and_other_addresses_nothing():
    secret = {"name": "warehouse"}
    database = a_spec(uri="postgresql+psycopg://db/shop", query="orders", secretRef=secret).run_pods.env[1:]
    assert {(one.secret_key_ref.key, one.secret_key_ref.optional) for one in database} == {
        ("DATABASE_USERNAME", True),
        ("DATABASE_PASSWORD", False),
    }
    join = {"uri": "s3://lake/prices.csv", "by": ["day"]}
    both = a_spec(uri="postgresql://db/shop", query="orders", joins=[join], secretRef=secret).run_pods.env[1:]
    assert {one.secret_key_ref.key for one in both if not one.secret_key_ref.optional} == {*NEEDED, "DATABASE_PASSWORD"}
    assert len(a_spec(uri="https://host/a.csv", secretRef=secret).run_pods.env) == 1


def test_the_password_of_a_shared_study_reaches_the_pods():
    spec = a_spec().model_copy(
        update={
            "training": TrainingSpec.model_validate(
                {"study": {"uri": "postgresql://db/s", "secretRef": {"name": "db"}}}
            )
        }
    )
    variable = spec.run_pods.env[-1]
    assert (variable.name, variable.secret_key_ref.name, variable.secret_key_ref.key) == (
        "PGPASSWORD",
        "db",
        "PGPASSWORD",
    )


def test_without_a_secret_pods_get_what_the_pipeline_says():
    spec = a_spec()
    assert spec.run_pods == spec.pipeline


def test_kubeflow_starts_steps_without_a_key_that_may_be_absent():
    content = read_package("training", a_spec(secretRef={"name": "lake-reader"}).run_pods).content
    assert "DRIFTLOOP_DATA_AWS_ENDPOINT_URL" in content
    assert "optional: true" in content


@pytest.fixture(scope="module")
def lake():
    """An S3 server whose keys are not those of the environment."""
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name in server.environment:
            patch.setenv(name, "platform")
            patch.setenv(f"DRIFTLOOP_DATA_{name}", server.environment[name])
        patch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        FsspecStore(DataCredentials().options()).create(f"{server.uri}/lake/a.csv", b"x,y\n1,2\n")
        yield server
    s3fs.S3FileSystem.clear_instance_cache()


def test_data_are_read_with_the_secrets_keys(lake):
    uri = f"{lake.uri}/lake/a.csv"
    assert data_digest(open_data(uri), uri)
    assert b"".join(open_data(uri).chunks(uri)) == b"x,y\n1,2\n"


def test_the_platforms_keys_open_no_data_and_the_datas_keys_no_log(lake):
    uri = f"{lake.uri}/lake/a.csv"
    with pytest.raises(OSError, match=r"Forbidden|Access"):
        FsspecStore().read(uri)
    logged = f"{lake.uri}/loops/team/wine/data/0123.log.json"
    with pytest.raises(OSError, match=r"Forbidden|Access"):
        open_data(logged).read(logged)


def test_other_addresses_need_no_keys(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x")
    assert open_data(str(tmp_path)).read(str(tmp_path / "a.csv")) == b"x"
