"""The controller's children, as it orders them from its host: a model's server and its standby, and the monitor."""

import asyncio
import http.client
import json
import shutil
import sys
import urllib.request
from importlib.resources import files
from pathlib import Path

from driftloop.controller.hostclient import HostClient
from driftloop.controller.orders import PORT, ChildOrder, ChildPhase, ChildState, Door, HostView
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError
from driftloop.loop.history import Model
from driftloop.stages.package import verify_digests

MONITOR = "monitor"
SERVER_SCRIPT = files("driftloop.adapters") / "bento_server.py"
POLL_SECONDS = 0.1
REPLAY_POLL_SECONDS = 0.1
WALL_POLL_SECONDS = 1.0
COMMIT_SECONDS = 30
"""Soon enough for a person who looks; a pod commits fewer, larger files."""


class ChildFailedError(DriftloopError):
    """A child process did not come up."""

    def __init__(self, child: ChildState, why: str = "") -> None:
        log = Path(child.log)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
        why = why or f"it ended with code {child.exit_code}"
        super().__init__(f"The {child.name} did not become ready: {why}. Its output is in '{log}', and ends:\n{tail}")


class Crew:
    """The children of one loop: what runs already is taken over, what is missing is ordered.

    Args:
        host: keeps them running.
        workspace: the loop's folder.
        tap_socket: where model servers hand their records to the monitor.
        clock: `wall` or `replay`.
    """

    def __init__(self, host: HostClient, workspace: Workspace, *, tap_socket: Path, clock: str) -> None:
        self._host = host
        self._workspace = workspace
        self._tap_socket = tap_socket
        self._clock = clock

    def keep_monitor(self, view: HostView) -> None:
        """Have the monitor run; nobody waits for it: its door lets labels wait, and servers keep their records.

        Raises:
            ChildFailedError: it does not come up.
        """
        monitor = view.children.get(MONITOR)
        if monitor is None:
            self._host.start(self._order_monitor())
        elif monitor.phase is ChildPhase.FAILED:
            raise ChildFailedError(monitor)
        if Door.LABELS not in view.serving:
            self._host.serve(Door.LABELS, [MONITOR])

    async def bring_up(self, model: Model) -> None:
        """Bring up the server of a model whose Bento is whole, unless it runs already, and see it answer once.

        Raises:
            DriftloopError: the Bento is damaged, or the server does not come up or answer; the host has forgotten it.
        """
        name, bento = server_name(model), Path(model.result.bento_uri)
        await asyncio.to_thread(verify_digests, bento / "src", model.result.bento_digest)
        place_baseline(bento, self._workspace.baselines / model.version)
        await asyncio.to_thread(self._host.start, self._order_server(name, model))
        try:
            state = await _until_ready(self._host, name)
            await asyncio.to_thread(_probe, state, bento)
        except ChildFailedError:
            await asyncio.to_thread(self._host.stop, name)
            raise

    def settle(self, champion: Model) -> None:
        """Put the champion's servers behind the door, end those of other models, and have one stand by."""
        view = self._host.look()
        names = (server_name(champion), f"{server_name(champion)} (standby)")
        if view.serving.get(Door.PREDICT) != names:
            self._host.serve(Door.PREDICT, names)
        for other in view.children:
            if other != MONITOR and other not in names:
                self._host.stop(other)
        if names[1] not in view.children:
            self._host.start(self._order_server(names[1], champion))

    def _order_server(self, name: str, model: Model) -> ChildOrder:
        return ChildOrder(
            name=name,
            command=(sys.executable, "-P", str(SERVER_SCRIPT), model.result.bento_uri, PORT),
            env={
                "DRIFTLOOP_SERVING_TAP_SOCKET": str(self._tap_socket),
                "DRIFTLOOP_SERVING_CLOCK": self._clock,
                "BENTOML_HOME": str(self._workspace.bentoml_home),
                "BENTOML_DO_NOT_TRACK": "1",
            },
            ready_path="/readyz",
            log=str(self._workspace.logs / f"server-{model.label}.log"),
        )

    def _order_monitor(self) -> ChildOrder:
        settings = {
            "loop_file": str(self._workspace.loop_file),
            "loop_uid": self._workspace.uid(),
            "log_dir": str(self._workspace.log),
            "state_dir": str(self._workspace.monitor),
            "baselines_dir": str(self._workspace.baselines),
            "tap_socket": str(self._tap_socket),
            "labels_port": PORT,
            "clock": self._clock,
            "poll_interval_seconds": str(REPLAY_POLL_SECONDS if self._clock == "replay" else WALL_POLL_SECONDS),
            "commit_interval_seconds": str(COMMIT_SECONDS),
        }
        return ChildOrder(
            name=MONITOR,
            command=(sys.executable, "-m", "driftloop.sidecar"),
            env={f"DRIFTLOOP_MONITOR_{name.upper()}": value for name, value in settings.items()},
            ready_path="/healthz",
            log=str(self._workspace.logs / "monitor.log"),
        )


def server_name(model: Model) -> str:
    """Return the name of the child that serves a model."""
    return f"model server {model.label}"


async def _until_ready(host: HostClient, name: str) -> ChildState:
    """Wait for a child; one that the host does not start any more, because the loop ends, is no failure of it."""
    while True:
        state = (await asyncio.to_thread(host.look)).children.get(name)
        if state is not None and state.is_ready:
            return state
        if state is not None and state.phase is ChildPhase.FAILED:
            raise ChildFailedError(state)
        await asyncio.sleep(POLL_SECONDS)


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
        raise ChildFailedError(server, f"its first prediction failed: {error}") from error


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
