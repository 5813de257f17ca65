"""The host's child processes: started, watched until ready, started again when they die, stopped.

A child that has once been ready is kept running, whatever it dies of; one that never was is left for the controller to
judge. It knows nothing of models or monitors.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from driftloop.adapters.processes import Backoff, dies_with_parent
from driftloop.controller.orders import PORT, ChildOrder, ChildPhase, ChildState

READY_SECONDS = 60.0
"""Longest time a start may take."""
STOP_SECONDS = 15.0
"""Time between SIGTERM and SIGKILL."""
_PROBE_SECONDS = 2.0
_POLL_SECONDS = 0.03

_log = logging.getLogger(__name__)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """One supervised process.

    Args:
        order: what to run.
        session: asks whether it is ready.
        on_change: called when it becomes ready, and when it dies.
    """

    def __init__(self, order: ChildOrder, session: ClientSession, on_change: Callable[["Child"], None]) -> None:
        self.order = order
        self.port = 0
        self._session = session
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._phase = ChildPhase.STARTING
        self._exit_code: int | None = None
        self._failed_starts = 0
        self._task = asyncio.create_task(self._keep())

    @property
    def state(self) -> ChildState:
        """How it is doing."""
        return ChildState(
            name=self.order.name,
            phase=self._phase,
            pid=self._process.pid if self._process else None,
            port=self.port,
            log=self.order.log,
            exit_code=self._exit_code,
            failed_starts=self._failed_starts,
        )

    async def stop(self) -> None:
        """Ask the process to end, make it after 15 s, and do not start it again."""
        await self._leave_alone()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                _log.warning("the %s did not end within %.0f s and is killed", self.order.name, STOP_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End the process and everything it started, at once."""
        await self._leave_alone()
        if self._process is not None:
            kill_group(self._process.pid)
            await self._process.wait()

    async def _leave_alone(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        backoff, was_ready = Backoff(), False
        while True:
            started = time.monotonic()
            self._phase = ChildPhase.STARTING
            became_ready = await self._run_once()
            was_ready = was_ready or became_ready
            self._failed_starts = 0 if became_ready else self._failed_starts + 1
            pause_seconds = backoff.after(time.monotonic() - started)
            self._phase = ChildPhase.PAUSING if was_ready else ChildPhase.FAILED
            self._on_change(self)
            if not was_ready:
                return
            _log.warning(
                "the %s ended with code %s; next start in %.1f s", self.order.name, self._exit_code, pause_seconds
            )
            await asyncio.sleep(pause_seconds)

    async def _run_once(self) -> bool:
        """Run the process to its end; return whether it was ready before."""
        try:
            self._process = process = await start_process(self._fill(self.order.command), self._env(), self.order.log)
        except OSError as error:
            _log.warning("the %s can't be started: %s", self.order.name, error)
            self._process, self._exit_code = None, 127
            return False
        _log.info("started the %s, process %d", self.order.name, process.pid)
        is_ready = await self._until_ready(process)
        if is_ready:
            self._phase = ChildPhase.READY
            self._failed_starts = 0
            self._on_change(self)
        elif process.returncode is None:
            _log.warning("the %s is not ready after %.0f s and is killed", self.order.name, READY_SECONDS)
            process.kill()
        self._exit_code = await process.wait()
        kill_group(process.pid)
        self._process = None
        return is_ready

    async def _until_ready(self, process: asyncio.subprocess.Process) -> bool:
        url = f"http://127.0.0.1:{self.port}{self.order.ready_path}"
        deadline = time.monotonic() + READY_SECONDS
        while process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(ClientError, TimeoutError):
                async with self._session.get(url, timeout=ClientTimeout(total=_PROBE_SECONDS)) as answer:
                    if answer.status == HTTPStatus.OK:
                        return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    def _fill(self, command: tuple[str, ...]) -> list[str]:
        self.port = free_port()
        return [word.replace(PORT, str(self.port)) for word in command]

    def _env(self) -> dict[str, str]:
        return {name: value.replace(PORT, str(self.port)) for name, value in self.order.env.items()}


async def start_process(command: list[str], env: dict[str, str], log: str) -> asyncio.subprocess.Process:
    """Start a process of a group of its own that dies with this one; its output is appended to a file.

    Raises:
        OSError: it can't be started, or its log can't be opened.
    """
    with Path(log).open("ab") as output:  # noqa: ASYNC230 (as quick as the fork)
        return await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=dies_with_parent(),
            start_new_session=True,  # Ctrl-C reaches the host alone, which ends its children in order
        )


def kill_group(pid: int) -> None:
    """End what is left of a child's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
