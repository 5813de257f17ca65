"""Models by MLflow's own addresses, from a real registry (SQLite)."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.local]

REGISTER = """
import json, sys, mlflow, mlflow.sklearn, pandas
from sklearn.linear_model import LogisticRegression
rows = pandas.DataFrame({"distance": [float(n) for n in range(50)]})
model = LogisticRegression().fit(rows, rows.distance > 20)
mlflow.set_experiment(experiment_id=mlflow.create_experiment("late", artifact_location=sys.argv[1]))
with mlflow.start_run() as run:
    mlflow.sklearn.log_model(model, name="model", registered_model_name="lateness")
print(json.dumps(["models:/lateness/1", f"runs:/{run.info.run_id}/model"]))
"""
FETCH = """
import sys
from pathlib import Path
from driftloop.adapters.modelsource import fetch_model
scratch = Path(sys.argv[2])
scratch.mkdir()
print(sorted(path.name for path in fetch_model(sys.argv[1], scratch).iterdir()))
"""


def test_a_registered_model_and_a_runs_model_are_fetched(tmp_path):
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}

    def run(script, *arguments):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
            capture_output=True, text=True, check=False, env=environment, cwd=tmp_path, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    for number, uri in enumerate(json.loads(run(REGISTER, tmp_path / "artifacts"))):
        found = run(FETCH, uri, tmp_path / f"scratch-{number}")
        assert "'MLmodel'" in found
        assert "'model.skops'" in found
