"""The monitor's first process: starts intake, evaluator and label process, and starts them again whenever they die.

In a pod it is process 1, and a sidecar that exits takes its pod out of the Service: it exits on SIGTERM and SIGINT
only. It reads no data and opens no connection.
"""

import logging
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from driftloop.adapters.processes import Backoff, dies_with_parent
from driftloop.sidecar.settings import MEBIBYTE, MonitorSettings

STOP_SECONDS = 20.0
"""Time between SIGTERM and SIGKILL for children; below the 30 s that Kubernetes gives the pod."""
_POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Child:
    """One supervised process, and when it may start next."""

    name: str
    command: Sequence[str]
    memory_bytes: int | None = None
    """Limit of its data memory; None: unlimited."""
    may_finish: bool = False
    """Whether ending with code 0 says that there is nothing to do, now and later."""
    last_command: Sequence[str] | None = None
    """What is run when everything ends and the process did not end by itself, because it was down or died."""
    process: "subprocess.Popen[bytes] | None" = None
    backoff: Backoff = field(default_factory=Backoff, init=False)
    start_at: float = field(default=0.0, init=False)
    """Monotonic seconds; infinite for one that has finished."""
    _started: float = field(default=0.0, init=False)

    def start(self, now: float) -> None:
        """Start the process; it dies with this one."""
        die_with_supervisor = dies_with_parent()

        def prepare() -> None:
            die_with_supervisor()
            if self.memory_bytes is not None:
                # Not RLIMIT_AS: libraries and mapped Parquet files take address space, not memory.
                resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, self.memory_bytes))

        self._started = now
        # Arrow's usual allocator reserves a gibibyte at once, which the limit would take for use.
        environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
        self.process = subprocess.Popen(self.command, env=environment, preexec_fn=prepare)  # noqa: PLW1509  one thread
        _log.info("started the %s, process %d", self.name, self.process.pid)

    def note_death(self, now: float) -> None:
        """Plan the next start."""
        code = self.process.returncode if self.process else None
        self.process = None
        if self.may_finish and code == 0:
            self.start_at = math.inf
            _log.info("the %s has nothing to do", self.name)
            return
        pause_seconds = self.backoff.after(now - self._started)
        self.start_at = now + pause_seconds
        _log.warning("the %s died with code %s; next start in %.1f s", self.name, code, pause_seconds)


def monitor_children(settings: MonitorSettings) -> list[Child]:
    """Return the monitor's processes; they read their settings from the environment, as this one did."""
    if settings.store_uri:
        return [
            Child("intake", monitor_command("intake")),
            Child("shipping process", monitor_command("ship"), last_command=monitor_command("ship-rest")),
            Child("leader", monitor_command("leader")),
        ]
    return [Child("intake", monitor_command("intake")), *judging_children(settings)]


def judging_children(settings: MonitorSettings) -> list[Child]:
    """Return the processes of which a loop needs one each, however many monitors it has."""
    evaluator_bytes, labels_bytes = (
        mebibytes * MEBIBYTE for mebibytes in (settings.evaluator_memory_mebibytes, settings.labels_memory_mebibytes)
    )
    return [
        Child("evaluator", monitor_command("evaluator"), evaluator_bytes),
        # Apart, so that a table of any size or shape can hurt neither.
        Child("label process", monitor_command("labels"), labels_bytes, may_finish=True),
    ]


def monitor_command(role: str) -> list[str]:
    """Return the command of one of the monitor's processes."""
    return [sys.executable, "-m", "driftloop.sidecar", role]


def supervise(children: Sequence[Child]) -> None:
    """Keep the children running until SIGTERM or SIGINT; then stop them and return."""
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping:
        start_due(children, time.monotonic())
        time.sleep(_POLL_SECONDS)
        reap(children)
    stop_children(children)


def start_due(children: Sequence[Child], now: float) -> None:
    """Start the children that do not run and whose pause is over."""
    for child in children:
        if child.process is None and now >= child.start_at:
            try:
                child.start(now)
            except OSError as error:
                _log.error("the %s can't be started: %s", child.name, error)
                child.note_death(now)


def reap(children: Sequence[Child]) -> None:
    """Collect dead processes: the children, and orphans that process 1 inherits."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for child in children:
            if child.process is not None and child.process.pid == pid:
                child.process.returncode = os.waitstatus_to_exitcode(status)
                child.note_death(time.monotonic())


def stop_children(children: Sequence[Child]) -> None:
    """End the children that run."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in children:
        if child.last_command and (child.process is None or child.process.returncode):
            _run_last(child, deadline - time.monotonic())
        child.process = None


def _run_last(child: Child, seconds: float) -> None:
    """Let a child's last command do what it left undone."""
    try:
        subprocess.run(child.last_command or (), timeout=max(seconds, 1.0), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.error("what the %s left undone can't be done: %s", child.name, error)
