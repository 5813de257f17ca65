"""Whole monitors of several pods, as processes, on a real object store and an API server: what survives what."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from driftloop.predictionlog import PredictionLogReader
from driftloop.predictionlog.mirror import LogMirror, copy_log
from driftloop.predictionlog.segments import view_of
from tests.cluster.apiserver import fake_api_server, install_definitions
from tests.sharedstore import s3, store_uri
from tests.sidecar.conftest import ModelServer, environment, free_port, wait_until
from tests.sidecar.sharedloop import SharedLoop

__all__ = ["fake_api_server", "s3", "store_uri"]

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.timeout(600)]
FLUSH_SECONDS = 3.0


class Pod:
    """A monitor's supervisor with its children, and the server of the pod."""

    def __init__(self, shared, name, variables, **changes):
        self.name = name
        values = {
            "labels_port": free_port(),
            "commit_interval_seconds": FLUSH_SECONDS,
            "writer_silence_seconds": 3600,
            "return_seconds": 0.2,
            "label_commit_seconds": 0.2,
            "lease_seconds": 3,
            "shipped_keep_seconds": 0,
        }
        self.settings = shared.settings(name, **values | changes)
        self.folder = shared.root / name
        self._command = [sys.executable, "-m", "driftloop.sidecar"]
        self._environment = environment(self.settings) | variables
        self.url = f"http://127.0.0.1:{self.settings.labels_port}"
        self.sequence = 0
        self.acknowledged = []
        self.start()

    def start(self):
        log = (self.folder / "output.log").open("ab")
        with log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        self.server = None

    def wait(self):
        wait_until(self.is_up, seconds=120)
        return self

    def is_up(self):
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz").status_code in (200, 503)
        return False

    def status(self):
        return httpx.get(f"{self.url}/status", timeout=10).json()

    def serve(self, rows=5):
        """Answer a request: the rows count as acknowledged once the monitor says so."""
        if self.server is None:
            self.server = ModelServer(self.settings.tap_socket, f"server-{self.name}")
            self.sequence = max(self.sequence, self.server.received)
        self.sequence += 1
        ids = [f"{self.name}-{self.sequence}-{row}" for row in range(rows)]
        self.server.send(
            {
                "type": "predictions",
                "modelVersion": "v1",
                "time": datetime.now(UTC).isoformat(),
                "predictionIds": ids,
                "keys": None,
                "features": {"distance": [1.0] * rows},
                "outputs": {"prediction": [True] * rows, "probability": [0.5] * rows},
                "dropped": 0,
                "server": f"server-{self.name}",
                "sequence": self.sequence,
            }
        )
        self.server.read_through(self.sequence)
        self.acknowledged += ids
        return ids

    def label(self, prediction_id, timeout=60):
        body = {"labels": [{"predictionId": prediction_id, "label": True}]}
        return httpx.post(f"{self.url}/labels", json=body, timeout=timeout)

    def processes(self):
        found, parents = [], [self.process.pid]
        while parents:
            pid = parents.pop()
            with suppress(FileNotFoundError, ProcessLookupError):
                children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
                found += children
                parents += children
        return found

    def role(self, pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2].decode()
        return ""

    def kill(self):
        """End everything at once, without warning, and take the disk away."""
        for pid in [self.process.pid, *self.processes()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.disconnect()
        shutil.rmtree(self.folder)

    def disconnect(self):
        if self.server is not None:
            self.server.close()
            self.server = None

    def end(self):
        """End as Kubernetes does."""
        if self.server is not None:
            self.server.send({"type": "goodbye"})
            self.disconnect()
        self.process.terminate()
        assert self.process.wait(40) == 0


@pytest.fixture
def shared(tmp_path, store_uri):
    return SharedLoop(tmp_path, store_uri)


@pytest.fixture
def start_pod(shared, s3, fake_api_server):
    install_definitions(fake_api_server)
    fake_api_server.connect().create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}})
    variables = s3.environment | {"KUBECONFIG": str(fake_api_server.kubeconfig)}
    started = []

    def start(name, **changes):
        started.append(Pod(shared, name, variables, **changes))
        return started[-1]

    yield start
    for pod in started:
        if pod.process.poll() is None:
            pod.process.terminate()
        pod.process.wait(40)
        pod.disconnect()


def stored(shared, folder):
    """Return the predictions and labels that the store has."""
    mirror = LogMirror(shared.store, shared.layout.log, folder)
    view = view_of(mirror.commits())
    shutil.rmtree(folder, ignore_errors=True)
    copy_log(shared.store, shared.layout.log, folder, view)
    year = datetime.now(UTC).year
    return PredictionLogReader(folder).joined(
        datetime(year - 1, 1, 1, tzinfo=UTC), datetime(year + 2, 1, 1, tzinfo=UTC), view=view
    )


def ids_of(shared):
    return set(stored(shared, shared.root / "look")["prediction_id"])


def test_a_label_is_acknowledged_once_the_store_has_it_and_a_lost_pod_takes_only_the_unflushed(
    shared, start_pod, capsys
):
    pod = start_pod("pod-a").wait()
    flushed = pod.serve()
    assert pod.label(flushed[0]).status_code == 200
    lost_at = time.monotonic()
    sent = []
    while time.monotonic() - lost_at < FLUSH_SECONDS + 2:
        sent.append((time.monotonic(), pod.serve()))
        time.sleep(0.05)
    killed_at = time.monotonic()
    pod.kill()
    rows = stored(shared, shared.root / "look")
    assert list(rows[rows["label"].notna()]["prediction_id"]) == [flushed[0]]
    kept = set(rows["prediction_id"])
    lost = [moment for moment, ids in sent if not set(ids) <= kept]
    span = killed_at - min(lost, default=killed_at)
    with capsys.disabled():
        print(f"\na pod killed with its disk: {len(lost)} of {len(sent)} requests lost, all of the last {span:.1f} s")
    assert set(flushed) <= kept
    assert span < FLUSH_SECONDS + 2, "what may be lost is bounded by the flush interval, and by what shipping takes"


def test_labels_wait_while_the_store_is_away_and_nothing_is_lost(shared, s3, start_pod):
    pod = start_pod("pod-a", label_wait_seconds=2).wait()
    wait_until(lambda: pod.status()["store"]["shippedAt"], seconds=60)
    wait_until(lambda: pod.label(pod.serve()[0]).status_code == 200, seconds=60)
    os.kill(s3.process.pid, signal.SIGSTOP)
    try:
        refused = pod.label(pod.serve()[0])
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert "must be in the object store before they are acknowledged" in refused.text
        for _ in range(10):
            pod.serve()
    finally:
        os.kill(s3.process.pid, signal.SIGCONT)
    wait_until(lambda: set(pod.acknowledged) <= ids_of(shared), seconds=90)
    wait_until(lambda: pod.label(pod.acknowledged[-1]).status_code == 200, seconds=60)
    wait_until(lambda: pod.status()["store"]["failures"] == 0)
    labelled = stored(shared, shared.root / "look")["label"].notna()
    assert labelled.sum() >= 3, "the labels that were refused are kept, and came later"


def test_a_full_local_log_refuses_and_takes_again(shared, s3, start_pod):
    pod = start_pod("pod-a", local_log_mebibytes=64).wait()
    pod.serve()
    ballast = pod.settings.log_dir / "ballast"
    with ballast.open("wb") as file:
        file.truncate(65 * 2**20)
    time.sleep(FLUSH_SECONDS + 1)
    assert pod.label("x").status_code == 507
    ballast.unlink()
    wait_until(lambda: pod.label("x").status_code == 200)


def test_scaling_from_one_to_three_to_one_loses_nothing_that_was_acknowledged(shared, start_pod, fake_api_server):
    pods = [start_pod("pod-0").wait()]
    pods[0].serve()
    wait_until(lambda: shared_holder(fake_api_server) == "pod-0", seconds=60)
    pods += [start_pod("pod-1"), start_pod("pod-2")]
    for pod in pods:
        pod.wait()
    for _ in range(20):
        for pod in pods:
            pod.serve()
    for pod in pods[:2]:
        pod.end()
    pods[2].serve()
    everything = {one for pod in pods for one in pod.acknowledged}
    wait_until(lambda: everything <= ids_of(shared), seconds=60)
    assert ids_of(shared) == everything
    commits = LogMirror(shared.store, shared.layout.log, shared.root / "none").commits()
    assert [commits[f"pod-{number}"].ended for number in range(3)] == [True, True, False]
    wait_until(lambda: shared_holder(fake_api_server) == "pod-2", seconds=60)
    wait_until(lambda: shared.state().evaluator == "pod-2", seconds=90)
    assert shared.state().writers["pod-0"].ended
    pods[2].end()


def shared_holder(server):
    lease = server.connect().get("Lease", "ml", "flight-delays-evaluator")
    return lease and lease["spec"].get("holderIdentity")


def test_processes_that_are_killed_at_any_moment_lose_and_double_nothing(shared, start_pod):
    seed = 20261125
    chance = random.Random(seed)
    pods = [start_pod("pod-a"), start_pod("pod-b")]
    for pod in pods:
        pod.wait()
    killed = []
    for _ in range(12):
        for pod in pods:
            try:
                pod.serve()
            except (OSError, ValueError):  # its monitor is being started again
                pod.disconnect()
        time.sleep(chance.random())
        pod = chance.choice(pods)
        pid = chance.choice(pod.processes())
        killed.append(pod.role(pid))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if killed[-1] == "intake":
            pod.disconnect()
            pod.wait()
    assert {"intake", "ship"} <= set(killed), killed
    for pod in pods:
        pod.wait()
        pod.disconnect()
        pod.serve()
        pod.end()
    rows = stored(shared, shared.root / "look")
    assert len(rows) == len(set(rows["prediction_id"]))
    assert set(rows["prediction_id"]) >= {one for pod in pods for one in pod.acknowledged}
