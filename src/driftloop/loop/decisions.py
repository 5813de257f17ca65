"""The values that deciding is about: the facts that go in, and the one decision that comes out."""

import hashlib
from dataclasses import dataclass

from driftloop.loop.basis import Basis
from driftloop.loop.history import Model, PipelineName
from driftloop.loop.requests import Request
from driftloop.spec import Verdict
from driftloop.spec.training import Effort


@dataclass(frozen=True)
class Facts:
    """What is known of the outside world at one moment."""

    loop_uid: str
    verdicts: tuple[Verdict, ...] = ()
    """All verdicts so far, oldest first."""
    labelled_rows: int = 0
    """Logged predictions to learn from, outside quarantined windows: with a label, where the task needs one."""
    requests: tuple[Request, ...] = ()
    """What people asked for, oldest first; answered ones may still be among them."""
    basis: Basis | None = None
    """What the user gives to learn from, as it is now; None where it isn't known."""


@dataclass(frozen=True)
class StartRun:
    """Order a pipeline run."""

    run_key: str
    reason: str
    from_log: bool = False
    """Learn from logged, labelled traffic rather than from the user's data."""
    basis: Basis | None = None
    """Of the user's data, where they are learned from and can be read."""
    report: str = ""
    """Drift report that calls for it."""
    request: Request | None = None
    pipeline: PipelineName = "training"
    effort: Effort | None = None
    """Rung of the ladder of improvement; None for a first model."""
    effort_reason: str = ""
    """Why this rung, as the rest of a sentence."""


@dataclass(frozen=True)
class Promote:
    """Let the candidate serve."""

    model: Model
    reason: str


@dataclass(frozen=True)
class Reject:
    """Turn the candidate down; the champion stays."""

    model: Model
    reason: str


@dataclass(frozen=True)
class Quarantine:
    """Keep a window's data out of training and tell a person."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Hold:
    """Record that a run is called for and can't start yet; said once, then waited for."""

    run_key: str
    reason: str


@dataclass(frozen=True)
class RollBack:
    """Let an earlier champion serve again, because a person asked."""

    model: Model
    reason: str
    request: Request


@dataclass(frozen=True)
class Note:
    """Write down an approval, a measured value or a mute: the ledger's entry is all there is to do."""

    request: Request


@dataclass(frozen=True)
class Acknowledgement:
    """Write down that people know of a drift episode."""

    request: Request
    reason: str
    run_key: str
    """Of the run that would answer the episode."""
    report: str
    """Drift report of its first window."""


@dataclass(frozen=True)
class Refuse:
    """Tell a person why a request can't be met."""

    request: Request
    reason: str


@dataclass(frozen=True)
class Wait:
    """Do nothing now, for these reasons; the first is the one to show."""

    reasons: tuple[str, ...]
    stalled: bool = False
    """Nothing will happen without a person."""
    is_over: bool = False
    """Everything that the loop is for has been done."""


Decision = StartRun | Promote | Reject | Quarantine | Hold | RollBack | Note | Acknowledgement | Refuse | Wait


def run_key(loop_uid: str, cause: str) -> str:
    """Name a run by what caused it: the same cause never starts two runs."""
    return hashlib.sha256(f"{loop_uid}/{cause}".encode()).hexdigest()[:12]
