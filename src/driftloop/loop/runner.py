"""The pipeline runner as a controller in a cluster sees it: started and looked at by run key, as often as one likes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from driftloop.errors import DriftloopError
from driftloop.loop.history import PipelineName
from driftloop.spec import ModelLoop

_CAUSE_LENGTH = 40


class RunnerUnavailableError(DriftloopError):
    """The runner can't be reached, or did not answer in time; what was asked may or may not have happened."""

    def __init__(self, runner: str, address: str, reason: object) -> None:
        super().__init__(
            f"{runner} at '{address}' must answer. It did not: {reason}. It is asked again, with growing pauses."
        )


class RunPhase(StrEnum):
    """How far a run is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class RunOrder:
    """One run of one compiled package, as the ledger's `RunStarted` wants it."""

    loop: ModelLoop
    run_key: str
    """Identity of the run: the same key is never started twice."""
    number: int
    """People say `v2`."""
    pipeline: PipelineName
    parameters: Mapping[str, Any]
    """Of the package, by `loop.parameters`."""
    reason: str
    """Why it runs, in plain words."""
    report: str = ""
    """Name of the DriftReport that called for it."""

    @property
    def cause(self) -> str:
        """The first words of the reason, for a run's name: `ConceptDrift`, `no model yet`."""
        return re.split(r" in the window| \(|[:;,]", self.reason, maxsplit=1)[0][:_CAUSE_LENGTH].strip()


@dataclass(frozen=True)
class RunView:
    """What the runner says of a run."""

    phase: RunPhase
    stage: str = ""
    """The stage under way, where it is known."""
    error: str = ""
    """Why it failed, in the words of the stage that failed."""
    url: str = ""
    """Where people look at it."""


class Runner(Protocol):
    """Runs compiled packages somewhere. Every call may be repeated, by this process or the next."""

    def start(self, order: RunOrder) -> None:
        """Start the run unless it was started before.

        Raises:
            RunnerUnavailableError: the runner can't be reached now; try again later.
            DriftloopError: the run can't be started as it is ordered.
        """

    def look(self, order: RunOrder) -> RunView | None:
        """Return how far the run is; None when no run with this key was ever started.

        Raises:
            RunnerUnavailableError: the runner can't be reached now.
        """

    def cancel(self, order: RunOrder) -> None:
        """End the run if it is under way."""

    def keep_schedule(self, loop: ModelLoop) -> None:
        """Make `retraining.schedule` recur where the runner runs: one for the loop, off while it is suspended.

        What recurs trains nothing: it files a request (`stages.remind`) that the loop answers as any other, so that
        brakes, the champion of the moment and the run's key stay with the one who decides.

        Raises: as `start`.
        """

    def drop_schedule(self, loop: ModelLoop) -> None:
        """Remove what recurs for the loop; gone already is fine."""
