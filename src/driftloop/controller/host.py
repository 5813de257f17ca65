"""The host: the foreground process of `driftloop up`. It owns the public ports and is the parent of everything else.

It decides nothing: the controller, a child like the others, says over a Unix socket what shall run and who serves.
That is why a controller can be killed and come back without anybody outside noticing. When the host ends, everything
ends.
"""

import asyncio
import contextlib
import json
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from aiohttp import ClientSession

from driftloop.adapters.processes import Backoff
from driftloop.controller.children import Child, kill_group, start_process
from driftloop.controller.frontdoor import Front, FrontDoor
from driftloop.controller.orders import ChildOrder, Door, HostView
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DRAIN_SECONDS = 10.0
CONTROLLER_STOP_SECONDS = 90.0
"""Longer than finishing requests and stopping every child may take."""
WATCH_SECONDS = 0.5
"""Time between two looks whether the workspace is still there."""
HOST = "127.0.0.1"
SOCKET_FILE = "host.sock"
FRONTS = {
    Door.PREDICT: Front("model server", "--port"),
    # The log keeps a label once however often it comes.
    Door.LABELS: Front("monitor", "--labels-port", may_resend=True),
}

_log = logging.getLogger(__name__)


class WorkspaceGoneError(DriftloopError):
    """The workspace was deleted or moved under a running loop."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"The workspace '{root}' must stay where it is while its loop runs. It was deleted or moved. "
            "The loop has ended, and nothing was put in its place. Move the folder back, or name its new place with "
            "--workspace, and run 'driftloop up' again."
        )


class ControllerFailedError(DriftloopError):
    """The controller says that the loop can't go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Voice(Protocol):
    """How the host speaks to people."""

    def say(self, sentence: str) -> None:
        """Tell that something happened."""

    def show(self, activity: str, *, idle: bool) -> None:
        """Tell what is being waited for; idle: nothing is under way."""


@dataclass(frozen=True)
class HostPlan:
    """What one host does.

    Args:
        workspace: the loop's folder.
        lock: proves that nobody else runs it.
        ports: of the doors.
        controller: command of the controller; the host's socket is its last argument.
    """

    workspace: Workspace
    lock: IO[str]
    ports: dict[Door, int]
    controller: tuple[str, ...]


class ProcessHost:
    """Runs one loop's processes until told to stop."""

    def __init__(self, plan: HostPlan, voice: Voice) -> None:
        self._plan = plan
        self._voice = voice
        self._sockets = Path(tempfile.mkdtemp(prefix="driftloop-"))  # a socket's path may have 107 bytes at most
        self._children: dict[str, Child] = {}
        self._serving: dict[Door, tuple[str, ...]] = {}
        self._active: dict[Door, str] = {}
        self._controller: asyncio.subprocess.Process | None = None
        self._failure: ControllerFailedError | None = None
        self._is_stopping = False
        self._answers: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]] = {
            "look": self._on_look,
            "start": self._on_start,
            "stop": self._on_stop,
            "serve": self._on_serve,
            "close": self._on_close,
            "say": self._on_say,
            "show": self._on_show,
            "fail": self._on_fail,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Raises:
            PortInUseError: a public port can't be had.
            WorkspaceGoneError: the workspace was deleted or moved.
            ControllerFailedError: the controller can't go on.
        """
        self._doors = {door: FrontDoor(front, HOST, self._plan.ports[door]) for door, front in FRONTS.items()}
        self._opened: list[FrontDoor] = []
        self._session = ClientSession()
        server = await asyncio.start_unix_server(self._converse, self._sockets / SOCKET_FILE)
        try:
            for door in self._doors.values():
                await door.start()
                self._opened.append(door)
            await self._until_over(stop)
        except WorkspaceGoneError:
            await self._kill_all()
            raise
        finally:
            server.close()
            await self._close()
            await self._session.close()
            shutil.rmtree(self._sockets, ignore_errors=True)

    async def _until_over(self, stop: asyncio.Event) -> None:
        controller = asyncio.create_task(self._keep_controller())
        watch = asyncio.create_task(self._watch_workspace())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({controller, watch, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            if not controller.done():
                self._is_stopping = True
                await self._end_controller(controller)
            if not controller.cancelled():
                controller.result()
        finally:
            for task in (controller, watch, stopping):
                task.cancel()
            await asyncio.gather(controller, watch, stopping, return_exceptions=True)

    # The controller

    async def _keep_controller(self) -> None:
        """Run the controller, again and again while it is killed or breaks."""
        backoff = Backoff()
        command = [*self._plan.controller, str(self._sockets / SOCKET_FILE)]
        while not self._is_stopping:
            started = time.monotonic()
            try:
                self._controller = await start_process(command, {}, str(self._plan.workspace.controller_log))
                code = await self._controller.wait()
                how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}, see its log"
            except OSError as error:
                code, how = 127, f"can't be started: {error}"
            self._controller = None
            self._raise_if_gone()
            if self._failure:
                raise self._failure
            if code == 0 or self._is_stopping:
                return
            pause_seconds = backoff.after(time.monotonic() - started)
            when = f"in {pause_seconds:.1f} s" if pause_seconds else "at once"
            self._tell(f"the controller {how}; it starts again {when}, and the model serves on")
            await asyncio.sleep(pause_seconds)

    async def _end_controller(self, keeping: asyncio.Task[None]) -> None:
        """Let the controller end the loop in its own order; make it when that takes too long."""
        if self._controller is None:
            keeping.cancel()
            await asyncio.wait({keeping})
            return
        with contextlib.suppress(ProcessLookupError):
            self._controller.terminate()
        done, _ = await asyncio.wait({keeping}, timeout=CONTROLLER_STOP_SECONDS)
        if not done and self._controller is not None:
            _log.warning("the controller did not end within %.0f s and is killed", CONTROLLER_STOP_SECONDS)
            kill_group(self._controller.pid)
            await asyncio.wait({keeping})

    # The workspace

    async def _watch_workspace(self) -> None:
        while True:
            self._raise_if_gone()
            await asyncio.sleep(WATCH_SECONDS)

    def _raise_if_gone(self) -> None:
        if not self._plan.workspace.holds(self._plan.lock):
            raise WorkspaceGoneError(self._plan.workspace.root)

    async def _kill_all(self) -> None:
        """End everything at once: whoever writes on would put a new folder in the old one's place."""
        if self._controller is not None:
            kill_group(self._controller.pid)
            await self._controller.wait()
        children, self._children = self._children, {}
        await asyncio.gather(*(child.kill() for child in children.values()))

    # The line to the controller

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one question of a connection."""
        try:
            if line := await reader.readline():
                question = json.loads(line)
                try:
                    answer = await self._answers[question["ask"]](question) or {}
                except DriftloopError as error:
                    answer = {"error": str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            _log.info("a controller broke its connection")
        finally:
            writer.close()

    async def _on_look(self, _: dict[str, Any]) -> dict[str, Any]:
        view = HostView(
            children={name: child.state for name, child in self._children.items()},
            serving=self._serving,
            active=self._active,
            addresses={door: front.url for door, front in self._doors.items()},
        )
        return {"view": view.to_dict()}

    async def _on_start(self, question: dict[str, Any]) -> None:
        order = ChildOrder(**{**question["order"], "command": tuple(question["order"]["command"])})
        if order.name not in self._children and not self._is_stopping:
            self._children[order.name] = Child(order, self._session, self._on_change)

    async def _on_stop(self, question: dict[str, Any]) -> None:
        await self._stop_child(question["name"])

    async def _on_serve(self, question: dict[str, Any]) -> None:
        door = Door(question["door"])
        self._serving[door] = tuple(question["names"])
        self._turn(door)

    async def _on_close(self, _: dict[str, Any]) -> None:
        await self._close()

    async def _on_say(self, question: dict[str, Any]) -> None:
        self._voice.say(question["sentence"])

    async def _on_show(self, question: dict[str, Any]) -> None:
        self._voice.show(question["activity"], idle=question["idle"])

    async def _on_fail(self, question: dict[str, Any]) -> None:
        self._failure = ControllerFailedError(question["message"], question["exit_code"])

    def _tell(self, sentence: str) -> None:
        _log.info("%s", sentence)
        self._voice.say(sentence)

    # Children and doors

    def _on_change(self, child: Child) -> None:
        name = child.order.name
        for door, names in self._serving.items():
            if name in names:
                self._turn(door)
                if not child.state.is_ready:
                    deputy = self._active.get(door)
                    meanwhile = f"the {deputy} serves" if deputy else "requests wait"
                    self._tell(f"the {name} ended with code {child.state.exit_code}; it is started again, {meanwhile}")

    def _turn(self, door: Door) -> None:
        """Put a child that is ready behind a door: whoever is there already, or the first choice."""
        there = [name for name in self._serving.get(door, ()) if name in self._children]
        ready = [name for name in there if self._children[name].state.is_ready]
        current = self._active.pop(door, "")
        if ready:
            self._active[door] = current if current in ready else ready[0]
            self._doors[door].switch(self._children[self._active[door]].state.url)
        elif there:
            self._doors[door].hold()
        else:
            self._doors[door].close()

    async def _stop_child(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is None:
            return
        for door, names in self._serving.items():
            if name in names:
                self._turn(door)
        for front in self._doors.values():
            await front.drain(child.state.url, DRAIN_SECONDS)
        await child.stop()

    async def _close(self) -> None:
        """Close the doors, then stop who stands behind each: what was answered is still logged."""
        self._is_stopping = True
        self._opened, opened = [], self._opened
        predict, labels = self._doors[Door.PREDICT], self._doors[Door.LABELS]
        if predict in opened:
            await predict.stop()
        watchers = self._serving.get(Door.LABELS, ())
        servers = [name for name in self._children if name not in watchers]
        await asyncio.gather(*(self._stop_child(name) for name in servers))
        if labels in opened:
            await labels.stop()
        for name in watchers:
            await self._stop_child(name)
