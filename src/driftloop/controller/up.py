"""Runs a laptop controller in the foreground: workspace, lock, signals."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from driftloop.controller.laptop import LaptopController
from driftloop.controller.workspace import Workspace
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop

WORKSPACES = Path(".driftloop")
"""Folder of all workspaces, below the current one, unless `--workspace` says otherwise."""


def load_for_laptop(file: Path) -> ModelLoop:
    """Read one ModelLoop; a relative `data.uri` is meant relative to the file.

    Raises:
        InvalidModelLoopError: the file is no valid ModelLoop.
    """
    loop = read_modelloop(file)
    data = loop.spec.data
    if urlsplit(data.uri).scheme:
        return loop
    data = data.model_copy(update={"uri": str((file.parent / data.uri).resolve())})
    return loop.model_copy(update={"spec": loop.spec.model_copy(update={"data": data})})


def open_workspace(loop: ModelLoop, root: Path | None) -> Workspace:
    """Return the loop's workspace, its folders made."""
    workspace = Workspace((root or WORKSPACES / loop.metadata.name).resolve())
    workspace.create()
    return workspace


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
