"""What `plan` tells `train` and `select` in JSON. Light to import."""

from typing import Any

from driftloop.spec.boundary import Boundary
from driftloop.spec.training import Effort
from driftloop.stages.records import TrialRecord


class LeftOut(Boundary):
    """An algorithm that is not tried."""

    algorithm: str
    reason: str
    """As the rest of a sentence."""


class PlannedCandidate(Boundary):
    """An algorithm that is tried, what it may spend and where it begins."""

    algorithm: str
    reason: str
    """As the rest of a sentence."""
    trials: int
    seconds: float
    first: tuple[dict[str, Any], ...] = ()
    """Hyperparameters to try first."""
    known: tuple[TrialRecord, ...] = ()
    """Trials of the champion's run to go on from."""
    is_refit: bool = False
    """Whether `first` is fitted as it is, and nothing is tuned."""


class Plan(Boundary):
    """What `plan` decided of the search."""

    effort: Effort
    """Rung of the ladder of improvement."""
    reason: str
    """Why this one, as a plain sentence."""
    leaning: str = ""
    """Diagnosis of the champion that the first trials answer; empty: none."""
    candidates: tuple[PlannedCandidate, ...]
    left_out: tuple[LeftOut, ...] = ()

    def candidate(self, algorithm: str) -> PlannedCandidate:
        """Return what is planned for an algorithm."""
        return next(candidate for candidate in self.candidates if candidate.algorithm == algorithm)
