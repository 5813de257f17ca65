"""What controller and host say to each other: the children one orders and the other keeps running.

One JSON object a line over a Unix socket, one question and one answer per connection. Nothing here decides or starts
anything.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

PORT = "{port}"
"""Stands for the child's port in its command and environment: the host picks a free one at every start."""


class Door(StrEnum):
    """The public ports of a loop."""

    PREDICT = "predict"
    LABELS = "labels"


class ChildPhase(StrEnum):
    """How a child is doing."""

    STARTING = "starting"
    READY = "ready"
    PAUSING = "pausing"
    """It died and is started again in a moment."""
    FAILED = "failed"
    """It never became ready, and is left alone."""


@dataclass(frozen=True)
class ChildOrder:
    """A process that the host shall keep running."""

    name: str
    """Unique among the children; people read it."""
    command: tuple[str, ...]
    env: Mapping[str, str]
    """Added to the host's own environment."""
    ready_path: str
    """Answers 200 once the child is ready."""
    log: str
    """File to which its output is appended."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ChildState:
    """A child as the host sees it."""

    name: str
    phase: ChildPhase
    pid: int | None
    port: int
    log: str
    exit_code: int | None = None
    """Of its last end; negative for a signal; None before it."""
    failed_starts: int = 0
    """Starts since it was last ready that did not make it."""

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self.phase is ChildPhase.READY

    @property
    def url(self) -> str:
        """Its address on the loopback interface."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class HostView:
    """Everything the host knows."""

    children: dict[str, ChildState] = field(default_factory=dict)
    serving: dict[Door, tuple[str, ...]] = field(default_factory=dict)
    """Names of the children that may stand behind a door, the first choice first."""
    active: dict[Door, str] = field(default_factory=dict)
    """Name of the child behind a door; absent: nobody answers there."""
    addresses: dict[Door, str] = field(default_factory=dict)
    """Public address of each door."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "HostView":
        """Read what `to_dict` made."""
        children = {
            name: ChildState(**{**state, "phase": ChildPhase(state["phase"])})
            for name, state in values["children"].items()
        }
        return cls(
            children=children,
            serving={Door(door): tuple(names) for door, names in values["serving"].items()},
            active={Door(door): name for door, name in values["active"].items()},
            addresses={Door(door): address for door, address in values["addresses"].items()},
        )
