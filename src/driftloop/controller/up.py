"""Runs a loop in the foreground: lock, log, signals, and the process host between them."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from driftloop.controller.host import HostPlan, ProcessHost, Voice
from driftloop.controller.orders import Door
from driftloop.controller.workspace import Workspace, write_atomically
from driftloop.spec import ModelLoop

LOG_FORMAT = "%(asctime)s %(levelname)s host %(name)s: %(message)s"


def run_up(loop: ModelLoop, workspace: Workspace, *, port: int, labels_port: int, clock: str, voice: Voice) -> None:
    """Run the loop until SIGINT, SIGTERM, or the end of its terminal.

    Raises:
        DriftloopError: another process has the workspace, a port is taken, or no first model can be had.
    """
    lock = workspace.lock()
    try:
        # The file may change under a running loop: a controller that comes back reads what was in force at the start.
        write_atomically(workspace.loop_file, loop.model_dump_json(by_alias=True, exclude_none=True))
        ports = {Door.PREDICT: port, Door.LABELS: labels_port}
        controller = (sys.executable, "-m", "driftloop.controller", str(workspace.root), clock)
        with _logging(workspace):
            asyncio.run(_until_signalled(HostPlan(workspace, lock, ports, controller), voice))
    finally:
        lock.close()


async def _until_signalled(plan: HostPlan, voice: Voice) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await ProcessHost(plan, voice).run(stop)


@contextmanager
def _logging(workspace: Workspace) -> Iterator[None]:
    """Append what the host logs to the controller's log."""
    handler = logging.FileHandler(workspace.controller_log)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.raiseExceptions = False  # a full disk shall not stop the loop for a line of its log
    logger = logging.getLogger("driftloop")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
