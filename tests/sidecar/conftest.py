"""A real intake on a free port and a real Unix socket, and the two kinds of clients it has."""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from driftloop.predictionlog import PredictionLogReader
from driftloop.sidecar import intake
from driftloop.sidecar.settings import MonitorSettings

START = datetime(2013, 3, 1, tzinfo=UTC)


def at(hours):
    return (START + timedelta(hours=hours)).isoformat()


def predictions(first, *, hours=0.0, rows=2, dropped=0, **changes):
    """Return a message of the tap with predictions `p<first>`, ... and keys `k<first>`, ..."""
    numbers = range(first, first + rows)
    return {
        "type": "predictions",
        "modelVersion": "v1",
        "time": at(hours),
        "predictionIds": [f"p{number}" for number in numbers],
        "keys": [f"k{number}" for number in numbers],
        "features": {"distance": [float(number) for number in numbers], "carrier": ["AA"] * rows},
        "outputs": {"prediction": [True] * rows, "probability": [0.75] * rows},
        "dropped": dropped,
        **changes,
    }


def watermark(hours, *, dropped=0, **changes):
    return {"type": "watermark", "time": at(hours), "dropped": dropped, **changes}


def wait_until(condition, *, seconds=20):
    """Wait for a truthy value and return it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class ModelServer:
    """The sending end of the tap; without a name one of version 0.1, which hears no answers."""

    def __init__(self, path, name=None, through=None):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._answers = self._socket.makefile("rb")
        if name is not None:
            self.send({"type": "hello", "server": name, "through": through})
            self.received = self.read()["sequence"]

    def send(self, *messages):
        self.send_bytes(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def send_bytes(self, data):
        self._socket.sendall(data)

    def read(self):
        """Return the next answer."""
        return json.loads(self._answers.readline())

    def read_through(self, sequence):
        """Return the answer that acknowledges a message."""
        while (answer := self.read())["sequence"] < sequence:
            pass
        return answer

    def silent_for(self, seconds):
        """Check that no answer comes."""
        self._socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self._answers.read(1)

    def close(self):
        self._answers.close()
        self._socket.close()


class RunningIntake:
    """An intake in a thread of this process."""

    def __init__(self, settings):
        self.settings = settings
        self.reader = PredictionLogReader(settings.log_dir)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{settings.labels_port}", timeout=30)
        self._servers = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        wait_until(self._is_up)

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await intake.serve(self.settings, self._stop)

    def _is_up(self):
        assert self._thread.is_alive()
        with contextlib.suppress(httpx.ConnectError):
            return self.settings.tap_socket.exists() and self.http.get("/healthz").is_success
        return False

    def connect(self, name=None, through=None):
        self._servers.append(ModelServer(self.settings.tap_socket, name, through))
        return self._servers[-1]

    def status(self):
        return self.http.get("/status").json()

    def post(self, *labels):
        return self.http.post("/labels", json={"labels": list(labels)})

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
        assert not self._thread.is_alive()

    def close(self):
        for server in self._servers:
            server.close()
        self.http.close()
        self.stop()


@pytest.fixture
def monitor_settings(tmp_path):
    return MonitorSettings(
        loop_file=tmp_path / "loop.yaml",
        loop_uid="uid",
        log_dir=tmp_path / "log",
        state_dir=tmp_path / "state",
        baselines_dir=tmp_path / "baselines",
        tap_socket=tmp_path / "tap.sock",
        labels_port=free_port(),
        clock="replay",
        return_seconds=0,
    )


@pytest.fixture
def start_intake(monitor_settings):
    """Return a function that starts an intake with changed settings; all are stopped at the end."""
    running = []

    def start(**changes):
        running.append(RunningIntake(monitor_settings.model_copy(update=changes)))
        return running[-1]

    yield start
    for one in running:
        one.close()


def environment(settings):
    """Return the environment that gives a process these settings."""
    values = settings.model_dump(mode="json")
    return os.environ | {f"DRIFTLOOP_MONITOR_{name.upper()}": str(value) for name, value in values.items()}
