"""The child processes of `driftloop up`: the model server and the monitor.

Both die with the controller (parent-death signal), write their output to a file, and are told to stop before they are
made to.
"""

import asyncio
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from driftloop.errors import DriftloopError

_PR_SET_PDEATHSIG = 1
STOP_SECONDS = 15.0


class ChildFailedError(DriftloopError):
    """A child process did not come up."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
        super().__init__(f"The {name} did not become ready: {why}. Its output is in '{log}', and ends:\n{tail}")


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class PortInUseError(DriftloopError):
    """A port that the loop shall listen on is taken."""

    def __init__(self, port: int, option: str) -> None:
        super().__init__(
            f"The port {port} must be free. Another process listens on it. "
            f"Stop that one, or choose another with {option}."
        )


async def until_port_is_free(port: int, option: str) -> None:
    """Wait until nobody listens on a port of the loopback interface: children of a killed controller need a moment.

    Raises:
        PortInUseError: somebody still does after `STOP_SECONDS`; names the option that chooses another.
    """
    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    while not _is_free(port):
        if asyncio.get_running_loop().time() > deadline:
            raise PortInUseError(port, option)
        await asyncio.sleep(0.1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Child:
    """A running child process."""

    name: str
    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Its address on the loopback interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process.returncode is None

    async def until_ready(self, path: str, seconds: float) -> None:
        """Wait until `path` answers with 200.

        Raises:
            ChildFailedError: it ended, or did not answer in time.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if not self.is_running:
                raise ChildFailedError(self.name, f"it ended with code {self.process.returncode}", self.log)
            if await asyncio.to_thread(_answers, self.url + path):
                return
            await asyncio.sleep(0.05)
        raise ChildFailedError(self.name, f"no answer within {seconds:.0f} s", self.log)

    async def stop(self) -> None:
        """Ask the process to end, and make it after 15 s."""
        if not self.is_running:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start_child(name: str, command: Sequence[str], env: Mapping[str, str], port: int, log: Path) -> Child:
    """Start a child process that listens on `port`; its output is appended to `log`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C reaches the controller alone, which stops its children in order
        )
    return Child(name, process, port, log)


async def start_model_server(bento: Path, *, tap_socket: Path, clock: str, bentoml_home: Path, log: Path) -> Child:
    """Start BentoML on an unpacked Bento, on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    env = {
        "DRIFTLOOP_SERVING_TAP_SOCKET": str(tap_socket),
        "DRIFTLOOP_SERVING_CLOCK": clock,
        "BENTOML_HOME": str(bentoml_home),
        "BENTOML_DO_NOT_TRACK": "1",
    }
    return await start_child("model server", command, env, port, log)


async def start_monitor(settings: Mapping[str, str], *, port: int, log: Path) -> Child:
    """Start the monitor's supervisor; `settings` are its fields without the prefix."""
    env = {f"DRIFTLOOP_MONITOR_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "driftloop.sidecar"]
    return await start_child("monitor", command, env | {"DRIFTLOOP_MONITOR_LABELS_PORT": str(port)}, port, log)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 (our own child, on loopback)
            return bool(response.status == 200)  # noqa: PLR2004
    except (OSError, http.client.HTTPException):
        return False


def probe_model_server(server: Child, bento: Path) -> None:
    """Ask a fresh server for one answer, which is not logged.

    Raises:
        ChildFailedError: it did not answer with 200.
    """
    sample = json.loads((bento / "src" / "model" / "sample.json").read_text())
    request = urllib.request.Request(  # noqa: S310 (our own child, on loopback)
        f"{server.url}/predict",
        data=json.dumps({"columns": {name: values[:1] for name, values in sample["columns"].items()}}).encode(),
        headers={"content-type": "application/json", "driftloop-probe": "1"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass
    except OSError as error:
        raise ChildFailedError(server.name, f"its first prediction failed: {error}", server.log) from error


def place_baseline(bento: Path, folder: Path) -> None:
    """Give the monitor what the model's traffic is compared with, whole or not at all."""
    if folder.exists():
        return
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in ("schema.json", "baseline.json"):
        shutil.copy(bento / "src" / "model" / name, draft / name)
    draft.rename(folder)
