import subprocess
import sys

import pytest

from driftloop.stages.package import ContentDiffersError
from driftloop.stages.verify import AnswersDifferError, RehearsalFailedError, compare_answers, verify
from tests.flightcontent import assemble_flights
from tests.smallmodel import write_model_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_model_files(tmp_path_factory.mktemp("files"))


@pytest.mark.local
def test_a_bento_answers_as_its_model_did(files, tmp_path):
    content = assemble_flights(tmp_path / "content", files)
    verification = verify(content.path, content.digest)
    assert verification.rows == 64
    assert verification.largest_difference < 1e-9
    assert 0 < verification.p95_latency_seconds < 1
    assert 50e6 < verification.peak_memory_bytes < 2e9
    assert not list(content.path.rglob("__pycache__"))


PROBABILITIES = [[0.4, 0.6], [0.9, 0.1]]


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"probabilities": PROBABILITIES}, {"probabilities": [[0.4, 0.6], [0.8, 0.2]]}),
        ({"probabilities": PROBABILITIES}, {"probabilities": [[0.4, 0.6], [float("nan"), 0.1]]}),
        ({"probabilities": None, "predictions": [1.0, 2e6]}, {"predictions": [1.0, 2e6 + 4]}),
    ],
)
def test_other_answers_are_refused_and_the_row_named(expected, got):
    with pytest.raises(AnswersDifferError, match="row 1"):
        compare_answers(expected, got)


def test_rounding_is_no_difference():
    expected = {"probabilities": None, "predictions": [1.0, 2e6]}
    assert compare_answers(expected, {"predictions": [1.0 + 1e-9, 2e6 + 1]}) == 1


@pytest.mark.slow
def test_a_model_that_does_not_load_is_refused_with_its_own_error(files, tmp_path):
    files.model.write_bytes(b"no model")
    content = assemble_flights(tmp_path / "content", files)
    with pytest.raises(RehearsalFailedError, match="must be a model file written by driftloop"):
        verify(content.path)


def test_changed_content_is_refused_before_anything_is_loaded(files, tmp_path):
    content = assemble_flights(tmp_path / "content", files)
    (content.path / "model/sample.json").write_text("{}")
    with pytest.raises(ContentDiffersError, match=r"model/sample\.json"):
        verify(content.path)


def test_the_stage_itself_imports_no_scikit_learn():
    code = "import driftloop.stages.verify, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
