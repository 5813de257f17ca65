"""`python -m driftloop.controller WORKSPACE CLOCK HOST_SOCKET`: the controller of one loop, started by its host.

Ends with 0 when told to, with the code of a DriftloopError when the loop can't go on, and with `CRASHED` when it broke
and shall be started again. Its log goes to standard error, which the host appends to the controller's log.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path

from driftloop.controller.hostclient import HostClient, HostGoneError
from driftloop.controller.laptop import LaptopController
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError
from driftloop.spec import ModelLoop

CRASHED = 70
LOG_FORMAT = "%(asctime)s %(levelname)s controller %(name)s: %(message)s"

_log = logging.getLogger("driftloop.controller")


def main(root: str, clock: str, host_socket: str) -> int:
    """Run the controller and return its exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=LOG_FORMAT)
    logging.raiseExceptions = False  # a full disk shall not stop the loop for a line of its log
    workspace, host = Workspace(Path(root)), HostClient(Path(host_socket))
    try:
        loop = ModelLoop.model_validate_json(workspace.loop_file.read_bytes())
        controller = LaptopController(
            loop, workspace, host, tap_socket=Path(host_socket).with_name("tap.sock"), clock=clock
        )
        asyncio.run(_until_signalled(controller))
    except HostGoneError as error:
        _log.error("%s", error)
        return CRASHED
    except DriftloopError as error:
        _log.error("%s", error)
        host.fail(error)
        return error.exit_code
    except Exception:  # noqa: BLE001 (the host starts it again)
        _log.exception("the controller broke")
        return CRASHED
    return 0


async def _until_signalled(controller: LaptopController) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await controller.run(stop)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
