"""One real loop, end to end, on a small table: it serves, watches, retrains, promotes, goes on, refuses the broken."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import requests

from driftloop.controller.children import free_port
from driftloop.controller.ledger import Ledger, read_ledger
from driftloop.controller.workspace import Workspace
from driftloop.loop.history import Promoted, Rejected, RolledBack, RunFinished, RunStarted
from driftloop.stages.package import content_digest

pytestmark = pytest.mark.local

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS_A_DAY = 240
LOOP = """
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: parcels}
spec:
  problem: {task: Classification}
  data: {uri: parcels.csv, targetColumn: late, timeColumn: sent, keyColumn: parcel, minRows: 900}
  training: {algorithms: [Linear], maxTrialCount: 1}
  monitoring:
    engine: SciPy
    window: {duration: 1d, minRows: 100}
    labels: {expectedDelay: 1d}
"""


def parcels(rows: int, start: datetime, step: timedelta, *, seed: int, ruled_by: str = "distance") -> list[dict]:
    """Parcels whose distance tells whether they are late, or else their carrier."""
    random = np.random.default_rng(seed)
    distance, carrier = random.normal(size=rows), random.choice(["north", "south"], size=rows)
    decisive = distance if ruled_by == "distance" else np.where(carrier == "north", 1.0, -1.0)
    late = decisive + 0.3 * random.normal(size=rows) > 0
    return [
        {
            "parcel": f"{seed}-{row}",
            "sent": (start + row * step).isoformat(),
            "distance": float(distance[row]),
            "carrier": str(carrier[row]),
            "late": bool(late[row]),
        }
        for row in range(rows)
    ]


@dataclass
class Loop:
    """A `driftloop up` in a child process, in replay mode."""

    folder: Path
    port: int = field(default_factory=free_port)
    labels_port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    file: str = "parcels.yaml"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "driftloop", "up", str(self.folder / self.file), "--clock", "replay"]
        command += ["--workspace", str(self.workspace.root), "--port", str(self.port)]
        command += ["--labels-port", str(self.labels_port)]
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_for(lambda status: {"type": "Ready", "status": "True"} in status["conditions"], seconds=200)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def wait_for(self, condition, seconds: float = 120) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "up.log").read_text()
            path = self.workspace.status
            status = read_status(path)
            if status and condition(status):
                return status
            time.sleep(0.1)
        raise AssertionError((self.folder / "up.log").read_text())

    def ask(self, rows: list[dict], time: datetime) -> requests.Response:
        asked = [{name: value for name, value in row.items() if name != "late"} for row in rows]
        headers = {"driftloop-event-time": time.isoformat()}
        return requests.post(f"{self.url}/predict", json={"rows": asked}, headers=headers, timeout=30)

    def live_through_day(self, day: int, *, ruled_by: str = "distance") -> None:
        """A day of traffic; the labels of the day before; then everything up to midnight is settled."""
        start = START + day * DAY
        rows = parcels(ROWS_A_DAY, start, DAY / ROWS_A_DAY, seed=100 + day, ruled_by=ruled_by)
        self.ask(rows, start).raise_for_status()
        truths = [{"key": row["parcel"], "label": row["late"], "time": (start + DAY).isoformat()} for row in rows]
        answer = requests.post(f"http://127.0.0.1:{self.labels_port}/labels", json={"labels": truths}, timeout=30)
        assert answer.json() == {"accepted": ROWS_A_DAY}
        through = start + DAY
        requests.post(f"{self.url}/watermark", json={"time": through.isoformat()}, timeout=30).raise_for_status()
        self.wait_for(
            lambda status: status["settledThrough"] and datetime.fromisoformat(status["settledThrough"]) >= through
        )


def read_status(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # there is none yet, or a test has broken it
        return None


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("up")
    rows = parcels(1000, START - 30 * DAY, timedelta(minutes=40), seed=1)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "parcels.csv").write_text("\n".join(lines))
    (folder / "parcels.yaml").write_text(LOOP)
    loop = Loop(folder)
    loop.start()
    yield loop
    if loop.process.poll() is None:
        loop.stop()


def verdicts(loop: Loop) -> list[dict]:
    lines = (loop.workspace.monitor / "verdicts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def champion(loop: Loop) -> dict:
    return json.loads(loop.workspace.status.read_text())["champion"]


def test_the_first_model_serves(loop):
    answer = loop.ask(parcels(2, START, DAY, seed=2), START)
    assert answer.status_code == 200
    assert answer.headers["driftloop-model-version"] == champion(loop)["version"]
    assert len(answer.json()["predictions"]) == 2


def test_concept_drift_retrains_and_promotes_without_a_failed_request(loop):
    failures, stop = [], threading.Event()
    session, rows = requests.Session(), parcels(1, START, DAY, seed=3)
    del rows[0]["late"]

    def keep_asking():
        while not stop.wait(0.02):
            answer = session.post(
                f"{loop.url}/predict", json={"rows": rows}, headers={"driftloop-probe": "1"}, timeout=30
            )
            if answer.status_code != 200:
                failures.append(answer.text)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for day, ruled_by in enumerate(["distance"] + 5 * ["carrier"]):
            loop.live_through_day(day, ruled_by=ruled_by)
    finally:
        stop.set()
        asking.join()
        session.close()
    entries = read_ledger(loop.workspace.ledger)
    retrained = [entry for entry in entries if isinstance(entry, RunStarted) and entry.number > 1]
    assert len(retrained) == 1, "one episode starts one run"
    assert "ConceptDrift" in retrained[0].reason
    assert champion(loop)["label"] == "v2"
    promoted = [entry for entry in entries if isinstance(entry, Promoted)][-1].model
    assert promoted.result.comparison.lower > 0
    assert failures == []


def test_the_drift_report_says_what_was_seen(loop):
    reports = [json.loads(path.read_text()) for path in (loop.workspace.monitor / "reports").glob("*.json")]
    assert "ConceptDrift" in {report["verdict"]["verdict"] for report in reports}


def test_why_and_status_answer_from_the_workspace(loop):
    def run(*words):
        command = [sys.executable, "-m", "driftloop", *words, "--workspace", str(loop.workspace.root)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "v2" in run("status")
    assert json.loads(run("status", "--json"))["champion"]["label"] == "v2"
    assert "labelled rows to train on" in run("why")


def test_a_second_controller_is_refused(loop):
    command = [sys.executable, "-m", "driftloop", "up", str(loop.folder / "parcels.yaml")]
    command += ["--workspace", str(loop.workspace.root)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1
    assert "must be used by one process at a time" in refused.stderr


def test_a_labels_port_in_use_is_told_with_the_option(loop):
    command = [sys.executable, "-m", "driftloop", "up", str(loop.folder / "parcels.yaml"), "--port", str(free_port())]
    command += ["--workspace", str(loop.folder / "other"), "--labels-port", str(loop.labels_port)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1
    assert f"The port {loop.labels_port} of 127.0.0.1 must be free" in refused.stderr
    assert "--labels-port" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_started_again_the_loop_goes_on_without_a_run(loop, number):
    before, judged = champion(loop), verdicts(loop)
    runs = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, RunStarted)]
    assert loop.stop(number) == (0 if number == signal.SIGTERM else -number)
    loop.workspace.status.unlink()
    loop.start()
    assert champion(loop) == before
    assert [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, RunStarted)] == runs
    assert loop.ask(parcels(1, START, DAY, seed=4), START + 30 * DAY).status_code == 200
    assert len(verdicts(loop)) >= len(judged), "no verdict is lost"
    assert len({(v["kind"], v["modelVersion"], v["window"]["start"]) for v in verdicts(loop)}) == len(verdicts(loop))


@pytest.mark.parametrize("damage", ["a changed file", "a server that does not start"])
def test_a_candidate_that_cannot_be_served_leaves_the_champion_serving(loop, damage):
    assert loop.stop() == 0
    before = champion(loop)
    good = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted)][-1].model
    broken = loop.workspace.store / "bentos" / damage.replace(" ", "-")
    shutil.copytree(good.result.bento_uri, broken)
    content, digest = broken / "src", "0" * 64
    (content / "service.py").write_text("raise SystemExit('this model does not start')\n")
    if damage == "a server that does not start":  # its digests are in order
        manifest = json.loads((content / "model" / "manifest.json").read_text())
        manifest["files"]["service.py"] = hashlib.sha256((content / "service.py").read_bytes()).hexdigest()
        (content / "model" / "manifest.json").write_text(json.dumps(manifest))
        digest = content_digest(content)
    ledger = Ledger(loop.workspace.ledger)
    run_key = f"broken-{len(ledger.entries)}"
    number = 1 + sum(isinstance(entry, RunStarted) for entry in ledger.entries)
    result = good.result.model_copy(update={"run_key": run_key, "bento_uri": str(broken), "bento_digest": digest})
    ledger.append(RunStarted(at=START, run_key=run_key, number=number, reason="a test", data_uri="x"))
    ledger.append(RunFinished(at=START, run_key=run_key, result=result))
    loop.start()
    loop.wait_for(lambda _: isinstance(read_ledger(loop.workspace.ledger)[-1], Rejected))
    assert "can't be served" in read_ledger(loop.workspace.ledger)[-1].reason
    assert champion(loop) == before
    assert loop.ask(parcels(1, START, DAY, seed=5), START + 40 * DAY).status_code == 200


def test_a_champion_that_is_broken_at_the_start_gives_way_to_the_one_before(loop):
    assert loop.stop() == 0
    champions = [entry.model for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted)]
    assert [model.label for model in champions] == ["v1", "v2"]
    (Path(champions[1].result.bento_uri) / "src" / "model" / "model.skops").write_bytes(b"")
    loop.start()
    assert champion(loop)["label"] == "v1"
    last = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, RolledBack)][-1]
    assert "v2 can't be served" in last.reason
    assert "The file 'model/model.skops' has another content" in last.reason
    assert loop.ask(parcels(1, START, DAY, seed=6), START + 50 * DAY).status_code == 200


def test_a_champion_whose_server_does_not_come_up_again_gives_way_to_the_one_before(loop):
    assert loop.stop() == 0
    first = next(entry.model for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted))
    bento = loop.workspace.store / "bentos" / "with-another-card"
    shutil.copytree(first.result.bento_uri, bento)
    model = bento / "src" / "model"
    (model / "card.md").write_text("another card")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["files"]["model/card.md"] = hashlib.sha256(b"another card").hexdigest()
    (model / "manifest.json").write_text(json.dumps(manifest))
    digest = content_digest(bento / "src")
    result = first.result.model_copy(update={"run_key": "a-test", "bento_uri": str(bento), "bento_digest": digest})
    ninth = first.model_copy(update={"number": 9, "version": digest[:12], "result": result})
    Ledger(loop.workspace.ledger).append(Promoted(at=START, model=ninth, reason="a test"))
    loop.start()
    assert champion(loop)["label"] == "v9"
    (model / "model.skops").write_bytes(b"")  # damaged while it serves
    host = loop.process.pid
    for pid in Path(f"/proc/{host}/task/{host}/children").read_text().split():
        if "bento_server.py" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(int(pid), signal.SIGKILL)
    loop.wait_for(lambda status: status["champion"]["label"] == "v1")
    loop.wait_for(lambda status: {"type": "Available", "status": "True"} in status["conditions"])
    assert "did not come up 3 times in a row" in read_ledger(loop.workspace.ledger)[-1].reason
    assert loop.ask(parcels(1, START, DAY, seed=7), START + 60 * DAY).status_code == 200
