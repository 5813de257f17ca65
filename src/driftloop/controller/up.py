"""Runs a laptop controller in the foreground: lock and signals."""

import asyncio
import signal
from collections.abc import Callable

from driftloop.controller.laptop import LaptopController
from driftloop.controller.workspace import Workspace
from driftloop.spec import ModelLoop


def run_up(
    loop: ModelLoop, workspace: Workspace, *, port: int, labels_port: int, clock: str, say: Callable[[str], None]
) -> None:
    """Run the loop until SIGINT or SIGTERM.

    Raises:
        DriftloopError: another process has the workspace, a port is taken, or no first model can be had.
    """
    lock = workspace.lock()
    try:
        controller = LaptopController(loop, workspace, port=port, labels_port=labels_port, clock=clock, say=say)
        asyncio.run(_until_signalled(controller))
    finally:
        lock.close()


async def _until_signalled(controller: LaptopController) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await controller.run(stop)
