"""An existing model in a real loop: it serves and is watched before anything is trained, then it is the one to beat."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from driftloop.controller.children import free_port
from driftloop.controller.ledger import read_ledger
from driftloop.loop.history import FeasibilityJudged, Promoted, RunStarted
from tests.adoption.models import save_with_mlflow
from tests.controller.test_up import LOOP, START, Loop, champion, parcels, timedelta

pytestmark = [pytest.mark.slow, pytest.mark.local]


def given_model(folder, rows):
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.DataFrame(rows)
    prepare = make_column_transformer((OneHotEncoder(), ["carrier"]), (StandardScaler(), ["distance"]))
    model = make_pipeline(prepare, LogisticRegression())
    return save_with_mlflow(model.fit(table[["carrier", "distance"]], table["late"]), folder)


def write_rows(folder, count):
    rows = parcels(count, START - timedelta(days=30), timedelta(minutes=40), seed=1)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "parcels.csv").write_text("\n".join(lines))
    return rows


class PatientLoop(Loop):
    """Waits longer: a retraining and two servers on a busy machine."""

    def wait_for(self, condition, seconds: float = 420) -> dict:
        return super().wait_for(condition, seconds)


@pytest.fixture
def loop(tmp_path):
    rows = write_rows(tmp_path, 1000)
    given_model(tmp_path / "given", rows)
    text = LOOP.replace("  training:", "  model: {uri: given}\n  training:")
    (tmp_path / "parcels.yaml").write_text(text)
    loop = PatientLoop(tmp_path)
    yield loop
    if loop.process and loop.process.poll() is None:
        loop.stop()


@pytest.mark.timeout(900)
def test_an_existing_model_serves_is_watched_and_is_beaten_after_concept_drift(loop):
    loop.start()
    answer = loop.ask(parcels(2, START, timedelta(days=1), seed=2), START)
    assert answer.headers["driftloop-model-version"] == champion(loop)["version"]
    (adopted,) = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted)]
    assert "adopted from the MLflow model" in adopted.reason
    assert "may have seen" in adopted.reason
    assert adopted.model.result.origin.startswith("the MLflow model")
    shutil.rmtree(loop.folder / "given")  # it was copied: nothing needs it any more
    for day, ruled_by in enumerate(["distance"] + 5 * ["carrier"]):
        loop.live_through_day(day, ruled_by=ruled_by)
    runs = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, RunStarted)]
    assert [run.pipeline for run in runs] == ["adoption", "training"]
    assert "ConceptDrift" in runs[1].reason
    assert champion(loop)["label"] == "v2"
    promoted = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted)][-1].model
    assert promoted.result.comparison.lower > 0, "the adopted model was compared with and beaten"
    assert promoted.result.origin == ""


def test_a_proof_of_concept_is_judged_recorded_and_over(tmp_path):
    write_rows(tmp_path, 400)
    text = LOOP.replace("minRows: 900", "minRows: 300").replace("  problem:", "  maturity: ProofOfConcept\n  problem:")
    (tmp_path / "parcels.yaml").write_text(text)
    command = [sys.executable, "-m", "driftloop", "up", str(tmp_path / "parcels.yaml"), "--port", str(free_port())]
    command += ["--labels-port", str(free_port()), "--workspace", str(tmp_path / "workspace")]
    for _ in range(2):  # the second time there is nothing new to judge
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the proof of concept is judged Go" in done.stdout
    entries = read_ledger(tmp_path / "workspace" / "ledger.jsonl")
    (judged,) = [entry for entry in entries if isinstance(entry, FeasibilityJudged)]
    assert not [entry for entry in entries if isinstance(entry, Promoted)]
    page = Path(judged.report).read_text()
    assert "Feasibility of parcels: Go" in page
    assert (Path(judged.report).parents[1] / "charter.html").is_file()
