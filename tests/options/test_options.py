"""Every option of every stage, at least once the whole way into a Bento that predicts: `make test-options`."""

import json
import subprocess
import sys

import pytest

from driftloop.adapters.bento import fetched
from driftloop.spec import DataSchema, RunResult
from driftloop.stages.frame import to_model_frame
from driftloop.stages.modelfile import load_model
from driftloop.stages.package import MODEL_FILE, MODEL_FOLDER, SCHEMA_FILE
from driftloop.stages.predict import predict
from tests.options import design

MOST_RUNS = 25


def test_the_design_covers_every_option_in_few_runs():
    chosen = {option for run in design.RUNS for option in run.options}
    assert design.options() - chosen == set()
    assert len(design.RUNS) <= MOST_RUNS


@pytest.mark.options
@pytest.mark.parametrize("run", design.RUNS, ids=lambda run: run.name)
def test_a_run_ends_in_a_bento_that_predicts(run, tmp_path):
    file = design.write(run, tmp_path)
    command = [sys.executable, "-m", "driftloop", "run", str(file), "--workspace", "workspace", "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    result = RunResult.model_validate(json.loads(ran.stdout))
    with fetched(result.bento_uri) as content:
        folder = content / MODEL_FOLDER
        model, schema = (
            load_model(folder / MODEL_FILE),
            DataSchema.model_validate_json((folder / SCHEMA_FILE).read_bytes()),
        )
        sample = json.loads((folder / "sample.json").read_text())
    rows = to_model_frame(sample["columns"], schema)
    answers = predict(model, rows, schema)
    assert answers.predictions == sample["predictions"]
    one = predict(model, rows.head(1), schema)
    assert one.predictions == answers.predictions[:1]
