"""The controller's side of the line to its host; every call is one short connection, from any thread."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from driftloop.controller.orders import ChildOrder, Door, HostView
from driftloop.errors import DriftloopError

ANSWER_SECONDS = 90.0
"""More than the host takes to stop children that do not want to."""


class HostGoneError(ConnectionError):
    """The host does not answer: nothing about the loop follows from it, and this controller is over."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(f"The process that started this controller must answer on '{path}'. It does not: {reason}.")


class OrderRefusedError(DriftloopError):
    """The host could not do what it was asked to."""


class HostClient:
    """Asks the host at the other end of a Unix socket.

    Args:
        path: the host's socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self) -> HostView:
        """Return children and doors."""
        return HostView.from_dict(self._ask("look")["view"])

    def start(self, order: ChildOrder) -> None:
        """Start a child and keep it running once it was ready; nothing happens when it runs already."""
        self._ask("start", order=order.to_dict())

    def stop(self, name: str) -> None:
        """Finish what is under way at a child, end it and forget it."""
        self._ask("stop", name=name)

    def serve(self, door: Door, names: Sequence[str]) -> None:
        """Send everything that comes to a door from now on to one of these children: the first that is ready.

        Who has been chosen keeps serving for as long as it lives.
        """
        self._ask("serve", door=door, names=list(names))

    def close(self) -> None:
        """Finish the requests under way, then stop every child, in the order of the flow."""
        self._ask("close")

    def say(self, sentence: str) -> None:
        """Tell people that something happened."""
        self._ask("say", sentence=sentence)

    def show(self, activity: str, *, idle: bool = False) -> None:
        """Tell people what is being waited for; idle: nothing is under way, so only a terminal shows it."""
        self._ask("show", activity=activity, idle=idle)

    def fail(self, error: DriftloopError) -> None:
        """Announce that the loop can't go on, and why: the host ends with this message."""
        self._ask("fail", message=str(error), exit_code=error.exit_code)

    def _ask(self, what: str, **fields: Any) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_SECONDS)
                connection.connect(str(self._path))
                connection.sendall(json.dumps({"ask": what, **fields}).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError) as error:
            raise HostGoneError(self._path, error) from error
        if "error" in answer:
            raise OrderRefusedError(answer["error"])
        return answer
