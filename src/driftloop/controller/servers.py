"""The controller's children, as it orders them from its host: model servers and the monitor, and how they come up."""

import asyncio
import http.client
import json
import shutil
import sys
import urllib.request
from importlib.resources import files
from pathlib import Path

from driftloop.controller.hostclient import HostClient
from driftloop.controller.orders import PORT, ChildOrder, ChildPhase, ChildState
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError
from driftloop.loop.history import Model
from driftloop.stages.package import verify_digests

MONITOR = "monitor"
SERVER_PREFIX = "model server "
POLL_SECONDS = 0.1
REPLAY_POLL_SECONDS = 0.1
WALL_POLL_SECONDS = 1.0
COMMIT_SECONDS = 30
"""Soon enough for a person who looks; a pod commits fewer, larger files."""


class ChildFailedError(DriftloopError):
    """A child process did not come up."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
        super().__init__(f"The {name} did not become ready: {why}. Its output is in '{log}', and ends:\n{tail}")


def server_name(model: Model) -> str:
    """Return the name of the child that serves a model."""
    return f"{SERVER_PREFIX}{model.label}"


def order_server(model: Model, workspace: Workspace, *, tap_socket: Path, clock: str) -> ChildOrder:
    """Return the order for a server of a model's Bento."""
    runner = files("driftloop.adapters") / "bento_server.py"
    return ChildOrder(
        name=server_name(model),
        command=(sys.executable, "-P", str(runner), model.result.bento_uri, PORT),
        env={
            "DRIFTLOOP_SERVING_TAP_SOCKET": str(tap_socket),
            "DRIFTLOOP_SERVING_CLOCK": clock,
            "BENTOML_HOME": str(workspace.bentoml_home),
            "BENTOML_DO_NOT_TRACK": "1",
        },
        ready_path="/readyz",
        log=str(workspace.logs / f"server-{model.label}.log"),
    )


def order_monitor(workspace: Workspace, *, tap_socket: Path, clock: str) -> ChildOrder:
    """Return the order for the monitor's supervisor."""
    settings = {
        "loop_file": str(workspace.loop_file),
        "loop_uid": workspace.uid(),
        "log_dir": str(workspace.log),
        "state_dir": str(workspace.monitor),
        "baselines_dir": str(workspace.baselines),
        "tap_socket": str(tap_socket),
        "labels_port": PORT,
        "clock": clock,
        "poll_interval_seconds": str(REPLAY_POLL_SECONDS if clock == "replay" else WALL_POLL_SECONDS),
        "commit_interval_seconds": str(COMMIT_SECONDS),
    }
    return ChildOrder(
        name=MONITOR,
        command=(sys.executable, "-m", "driftloop.sidecar"),
        env={f"DRIFTLOOP_MONITOR_{name.upper()}": value for name, value in settings.items()},
        ready_path="/healthz",
        log=str(workspace.logs / "monitor.log"),
    )


async def bring_up(host: HostClient, order: ChildOrder) -> ChildState:
    """Start a child, unless it runs already, and wait until it is ready.

    Raises:
        ChildFailedError: it ended before it was ready, or took too long; the host has forgotten it.
    """
    await asyncio.to_thread(host.start, order)
    while True:
        state = (await asyncio.to_thread(host.look)).children.get(order.name)
        if state is None:
            raise ChildFailedError(order.name, "it was stopped", Path(order.log))
        if state.is_ready:
            return state
        if state.phase is ChildPhase.FAILED:
            await asyncio.to_thread(host.stop, order.name)
            raise ChildFailedError(order.name, f"it ended with code {state.exit_code}", Path(order.log))
        await asyncio.sleep(POLL_SECONDS)


async def bring_up_server(host: HostClient, model: Model, workspace: Workspace, order: ChildOrder) -> None:
    """Bring up the server of a model whose Bento is whole, and see it answer once.

    Raises:
        DriftloopError: the Bento is damaged, or the server does not come up or answer.
    """
    bento = Path(model.result.bento_uri)
    await asyncio.to_thread(verify_digests, bento / "src", model.result.bento_digest)
    place_baseline(bento, workspace.baselines / model.version)
    state = await bring_up(host, order)
    try:
        await asyncio.to_thread(_probe, state, bento)
    except ChildFailedError:
        await asyncio.to_thread(host.stop, order.name)
        raise


def _probe(server: ChildState, bento: Path) -> None:
    """Ask a fresh server for one answer, which is not logged."""
    sample = json.loads((bento / "src" / "model" / "sample.json").read_text())
    request = urllib.request.Request(  # noqa: S310 (our own child, on loopback)
        f"{server.url}/predict",
        data=json.dumps({"columns": {name: values[:1] for name, values in sample["columns"].items()}}).encode(),
        headers={"content-type": "application/json", "driftloop-probe": "1"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass
    except (OSError, http.client.HTTPException) as error:
        raise ChildFailedError(server.name, f"its first prediction failed: {error}", Path(server.log)) from error


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
