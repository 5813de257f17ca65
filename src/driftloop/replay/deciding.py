"""What the loop would have decided: `loop.decide` over the replay's verdicts, its ledger kept in memory.

A run that would have started is recorded as started and as ended without a model: cooldown, limit and the rows it would
have seen count as they do in a loop whose retraining brings nothing better.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, StartRun, Wait
from driftloop.loop.history import LedgerEntry, LoopState, Quarantined, RunFinished, apply
from driftloop.loop.recording import entry_of
from driftloop.spec import ModelLoopSpec, ReportKind, Verdict, VerdictKind

NOT_RUN = "the replay trains nothing: the run is recorded, and the champion stays"
UID = "replay"
_MOST_DECISIONS = 100
"""At one moment; more would be a loop that goes in circles."""


@dataclass(frozen=True)
class KnownLabels:
    """When the truth about which row became known; rows without a label are not in it."""

    times: npt.NDArray[np.datetime64]
    """Event times of the labelled rows, UTC, in microseconds."""
    known: npt.NDArray[np.datetime64]
    """When each one's label came."""

    def count(self, now: datetime, faulty: Iterable[tuple[datetime, datetime]]) -> int:
        """Return how many rows could be learned from at an event time, as `labelled_rows` counts them."""
        usable = self.known <= moment_of(now)
        for start, end in faulty:
            usable &= ~((self.times >= moment_of(start)) & (self.times < moment_of(end)))
        return int(usable.sum())


def moment_of(time: datetime) -> np.datetime64:
    """Return a time as arrays hold it."""
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


@dataclass
class Decider:
    """Decides verdict after verdict, as a controller that looks whenever one falls due.

    Args:
        spec: the loop's.
        entries: the ledger so far: who is champion.
        labels: what could be learned from.
        recorded: promotions and rollbacks that the traffic shows.
    """

    spec: ModelLoopSpec
    entries: list[LedgerEntry]
    labels: KnownLabels
    recorded: Sequence[LedgerEntry] = ()
    """What a recorded loop went on to do, oldest first: which model answers from when on."""
    labelled_at: dict[str, int] = field(default_factory=dict)
    """Labelled rows that a run would have learned from, by its key."""
    _verdicts: list[Verdict] = field(default_factory=list)
    _state: LoopState = field(default_factory=LoopState)
    _faulty: list[tuple[datetime, datetime]] = field(default_factory=list)
    _followed: int = 0

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._state = apply(self._state, entry)

    def take(self, verdicts: Sequence[Verdict], delay: timedelta) -> None:
        """Decide upon newly found verdicts, oldest first.

        Args:
            verdicts: in the order in which they fell due.
            delay: time after a window's end at which its labels are mature.
        """
        for position, verdict in enumerate(verdicts):
            self._remember(verdict)
            moment = due(verdict, delay)
            if position + 1 == len(verdicts) or due(verdicts[position + 1], delay) > moment:
                self._follow(moment, included=False)
                self._decide(moment)
                self._follow(moment, included=True)  # what happened at this moment may be what it led to

    def _follow(self, moment: datetime, *, included: bool) -> None:
        """Record what the recorded loop did before a moment."""
        for entry in self.recorded[self._followed :]:
            if entry.at > moment or (entry.at == moment and not included):
                return
            self._record(entry)
            self._followed += 1

    def _record(self, entry: LedgerEntry) -> None:
        if isinstance(entry, Quarantined):
            self._faulty.append((entry.window_start, entry.window_end))
        self.entries.append(entry)
        self._state = apply(self._state, entry)

    def _remember(self, verdict: Verdict) -> None:
        """Keep what can still matter: a stable window ends all episodes before it."""
        if verdict.verdict is VerdictKind.STABLE:
            self._verdicts = [v for v in self._verdicts if (v.kind, v.model_version) != _stream(verdict)]
        self._verdicts.append(verdict)

    def _decide(self, now: datetime) -> None:
        for _ in range(_MOST_DECISIONS):
            labelled = self.labels.count(now, self._faulty) if self._is_alarming else self.spec.data.min_rows
            facts = Facts(UID, tuple(self._verdicts), labelled)
            decision = decide(self.spec, self._state, facts, now)
            if isinstance(decision, Wait):
                return
            self._record(entry_of(decision, self._state, now))
            if isinstance(decision, StartRun):
                self.labelled_at[decision.run_key] = labelled
                self._record(RunFinished(at=now, run_key=decision.run_key, error=NOT_RUN))

    @property
    def _is_alarming(self) -> bool:
        return any(verdict.verdict.is_alarm for verdict in self._verdicts)


def due(verdict: Verdict, delay: timedelta) -> datetime:
    """Return when a verdict falls due: at its window's end, or when its labels are mature."""
    return verdict.window.end + (delay if verdict.kind is ReportKind.PERFORMANCE else timedelta(0))


def in_order(verdicts: Iterable[Verdict], delay: timedelta) -> list[Verdict]:
    """Return verdicts in the order in which they fell due; of two, what looks at inputs first."""
    return sorted(verdicts, key=lambda v: (due(v, delay), v.kind is not ReportKind.INPUTS, v.model_version))


def _stream(verdict: Verdict) -> tuple[ReportKind, str]:
    return verdict.kind, verdict.model_version
