"""The history of a loop: the entries of its append-only ledger, and the state that follows from them.

The ledger is the truth about champion and runs. `LoopState` is a fold over it and is never stored; nothing here reads a
clock or a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from driftloop.spec import RunResult
from driftloop.spec.boundary import Boundary


class Model(Boundary):
    """A packaged model, as the ledger knows it."""

    number: int
    """Counts the loop's runs: people say `v2`."""
    version: str
    """The model version that serving reports: first characters of the Bento's digest."""
    result: RunResult

    @property
    def label(self) -> str:
        """The short name people use."""
        return f"v{self.number}"


class Entry(Boundary):
    """One line of the ledger."""

    at: datetime
    """When it happened, on the loop's clock (event time in a replay)."""


class Started(Entry):
    """A controller took over; a first run that failed or was rejected may be tried again."""

    entry: Literal["Started"] = "Started"
    driftloop_version: str


class RunStarted(Entry):
    """A pipeline run was ordered; written before it starts."""

    entry: Literal["RunStarted"] = "RunStarted"
    run_key: str
    number: int
    reason: str
    data_uri: str
    data_through: datetime | None = None
    """Newest event time in the data; None for the first run, whose data the user names."""


class RunFinished(Entry):
    """A run ended, with its result or with an error."""

    entry: Literal["RunFinished"] = "RunFinished"
    run_key: str
    result: RunResult | None = None
    error: str = ""


class Promoted(Entry):
    """A model became champion; written before traffic is switched to it."""

    entry: Literal["Promoted"] = "Promoted"
    model: Model
    reason: str


class Rejected(Entry):
    """A candidate was turned down."""

    entry: Literal["Rejected"] = "Rejected"
    run_key: str
    reason: str


class RolledBack(Entry):
    """A champion was replaced by an earlier one."""

    entry: Literal["RolledBack"] = "RolledBack"
    model: Model
    reason: str


class Quarantined(Entry):
    """Live data were found faulty: they train nothing, and a person must look."""

    entry: Literal["Quarantined"] = "Quarantined"
    window_start: datetime
    window_end: datetime
    reason: str


class RunHeld(Entry):
    """A retraining was called for and held back; written once for each run that is not started."""

    entry: Literal["RunHeld"] = "RunHeld"
    run_key: str
    reason: str


LedgerEntry = Annotated[
    Started | RunStarted | RunFinished | Promoted | Rejected | RolledBack | Quarantined | RunHeld,
    Field(discriminator="entry"),
]
LEDGER_ENTRY: TypeAdapter[LedgerEntry] = TypeAdapter(LedgerEntry)


@dataclass(frozen=True)
class LoopState:
    """What follows from the history."""

    champion: Model | None = None
    previous: Model | None = None
    """The champion before this one: where a fallback goes."""
    promoted_at: datetime | None = None
    runs: tuple[RunStarted, ...] = ()
    open_run: RunStarted | None = None
    """Ordered and not finished."""
    candidate: Model | None = None
    """Finished with a result and not yet decided upon."""
    last_failure: str = ""
    """Why the newest run failed or its model was rejected; empty once a model is promoted."""
    quarantined: frozenset[datetime] = field(default_factory=frozenset)
    """Starts of the windows whose data are kept out of training."""
    held: frozenset[str] = field(default_factory=frozenset)
    """Keys of the runs that were called for and held back."""

    @property
    def run_keys(self) -> frozenset[str]:
        """Keys of all runs ever ordered: a key is never used twice."""
        return frozenset(run.run_key for run in self.runs)

    @property
    def next_number(self) -> int:
        """Number of the next run's model."""
        return len(self.runs) + 1


def model_of(run: RunStarted, result: RunResult) -> Model:
    """Return the model that a finished run produced."""
    return Model(number=run.number, version=result.bento_digest[:12], result=result)


def apply(state: LoopState, entry: LedgerEntry) -> LoopState:  # noqa: PLR0911 (one return per kind of entry)
    """Return the state after one more entry."""
    match entry:
        case Started():
            return replace(state, last_failure="" if state.champion is None else state.last_failure)
        case RunStarted():
            return replace(state, runs=(*state.runs, entry), open_run=entry)
        case RunFinished():
            if entry.result is None:
                return replace(state, open_run=None, last_failure=entry.error)
            run = next(run for run in state.runs if run.run_key == entry.run_key)
            return replace(state, open_run=None, candidate=model_of(run, entry.result))
        case Promoted():
            return replace(
                state,
                champion=entry.model,
                previous=state.champion,
                promoted_at=entry.at,
                candidate=None,
                last_failure="",
            )
        case RolledBack():
            return replace(state, champion=entry.model, previous=None, promoted_at=entry.at, candidate=None)
        case Rejected():
            return replace(state, candidate=None, last_failure=entry.reason)
        case Quarantined():
            return replace(state, quarantined=state.quarantined | {entry.window_start})
        case RunHeld():
            return replace(state, held=state.held | {entry.run_key})


def replay(entries: Iterable[LedgerEntry]) -> LoopState:
    """Return the state that a ledger's entries lead to, oldest first."""
    state = LoopState()
    for entry in entries:
        state = apply(state, entry)
    return state
