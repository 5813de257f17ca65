"""The history of a loop: the entries of its append-only ledger, and the state that follows from them.

The ledger is the truth about champion and runs. `LoopState` is a fold over it and is never stored; nothing here reads a
clock or a file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from driftloop.loop.basis import Basis
from driftloop.spec import FeasibilityResult, RunResult, RunVerdict, VerdictKind
from driftloop.spec.boundary import Boundary
from driftloop.spec.training import Effort

PipelineName = Literal["training", "adoption", "feasibility"]
"""The pipelines that a loop runs."""


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


class Answer(Entry):
    """An entry that may answer a person's request."""

    request_id: str = ""
    """The request that it answers; empty where the loop acted by itself."""
    by: str = ""
    """Who asked."""


class Started(Entry):
    """A controller took over; a first run that failed or was rejected may be tried again."""

    entry: Literal["Started"] = "Started"
    driftloop_version: str


class RunStarted(Answer):
    """A pipeline run was ordered; written before it starts."""

    entry: Literal["RunStarted"] = "RunStarted"
    run_key: str
    number: int
    reason: str
    data_uri: str
    data_through: datetime | None = None
    """Newest event time in the data; None for a run on the data that the user names."""
    basis: Basis | None = None
    """What the user gave to learn from; None for a run on logged traffic."""
    champion: str = ""
    """Version of the model that the candidate is compared with; empty for a first model."""
    report: str = ""
    """Name of the drift report that called for it."""
    pipeline: PipelineName = "training"
    """adoption: the model is the one that the file names. feasibility: a proof of concept, which makes no candidate."""
    effort: Effort | None = None
    """Rung of the ladder of improvement; None for a first model, and for runs from before there were rungs."""
    effort_reason: str = ""
    """Why this rung, as the rest of a sentence."""


class RunFinished(Entry):
    """A run ended, with its result or with an error."""

    entry: Literal["RunFinished"] = "RunFinished"
    run_key: str
    result: RunResult | None = None
    error: str = ""


class FeasibilityJudged(Entry):
    """A proof of concept ended: whether the problem can be solved with these data. It promotes nothing."""

    entry: Literal["FeasibilityJudged"] = "FeasibilityJudged"
    run_key: str
    result: FeasibilityResult
    report: str
    """Path of the page for people."""


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


class RolledBack(Answer):
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


class Approved(Answer):
    """A person let a candidate serve."""

    entry: Literal["Approved"] = "Approved"
    run_key: str


class Recorded(Answer):
    """A person measured a success criterion."""

    entry: Literal["Recorded"] = "Recorded"
    name: str
    value: float
    measured_at: datetime
    note: str = ""


class Muted(Answer):
    """A person asked for silence: drift alarms start no run and page nobody until then."""

    entry: Literal["Muted"] = "Muted"
    until: datetime
    """On the loop's clock."""
    kind: VerdictKind | None = None
    """The verdict that is muted; None for every drift alarm."""
    reason: str


class Unmuted(Answer):
    """A person ended a silence."""

    entry: Literal["Unmuted"] = "Unmuted"
    kind: VerdictKind | None = None
    """The verdict whose own mute ended; None for every mute."""
    reason: str = ""


class Acknowledged(Answer):
    """A person knows of a drift episode: it starts no run and pages nobody any more."""

    entry: Literal["Acknowledged"] = "Acknowledged"
    run_key: str
    """Key of the run that would have answered the episode."""
    report: str
    """Name of the drift report of its first window."""
    reason: str


class RequestRefused(Answer):
    """A person asked for what can't be done."""

    entry: Literal["RequestRefused"] = "RequestRefused"
    verb: str
    reason: str


LedgerEntry = Annotated[
    Started
    | RunStarted
    | RunFinished
    | FeasibilityJudged
    | Promoted
    | Rejected
    | RolledBack
    | Quarantined
    | RunHeld
    | Approved
    | Recorded
    | Muted
    | Unmuted
    | Acknowledged
    | RequestRefused,
    Field(discriminator="entry"),
]
LEDGER_ENTRY: TypeAdapter[LedgerEntry] = TypeAdapter(LedgerEntry)


@dataclass(frozen=True)
class LoopState:
    """What follows from the history."""

    champion: Model | None = None
    served: tuple[Model, ...] = ()
    """Every model that was champion, in the order in which they took over."""
    withdrawn: frozenset[str] = field(default_factory=frozenset)
    """Versions that were rolled back from: the same model isn't promoted again."""
    promoted_at: datetime | None = None
    """When the champion took over."""
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
    approved: Mapping[str, Approved] = field(default_factory=dict)
    """Approvals, by run key."""
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    """The newest measured value of each success criterion, by name."""
    mutes: Mapping[VerdictKind | None, Muted] = field(default_factory=dict)
    """The newest mute of each verdict, and of all (None); some may be over."""
    acknowledged: Mapping[str, Acknowledged] = field(default_factory=dict)
    """Episodes that people know of, by the key of the run that would answer them."""
    handled: frozenset[str] = field(default_factory=frozenset)
    """Ids of the requests that were answered."""
    judged: FeasibilityJudged | None = None
    """The newest outcome of a proof of concept."""
    unaccepted: frozenset[str] = field(default_factory=frozenset)
    """Keys of the runs whose model did not pass acceptance, or was the champion once more."""
    learned: frozenset[str] = field(default_factory=frozenset)
    """Keys of the bases that were learned from."""

    @property
    def run_keys(self) -> frozenset[str]:
        """Keys of all runs ever ordered: a key is never used twice."""
        return frozenset(run.run_key for run in self.runs)

    @property
    def next_number(self) -> int:
        """Number of the next run's model."""
        return len(self.runs) + 1

    @property
    def previous(self) -> Model | None:
        """Where a rollback goes: the newest earlier champion that was not itself rolled back from."""
        champion = self.champion
        if champion is None:
            return None
        earlier = [m for m in self.served if m.number < champion.number and m.version not in self.withdrawn]
        return max(earlier, key=lambda model: model.number, default=None)

    @property
    def data_through(self) -> datetime | None:
        """Newest event time that any run has seen."""
        return max((run.data_through for run in self.runs if run.data_through), default=None)

    @property
    def basis(self) -> Basis | None:
        """What the newest run on the user's own data learned from."""
        return next((run.basis for run in reversed(self.runs) if run.basis), None)

    def model(self, version: str) -> Model | None:
        """Return the newest champion of a version; None where there was none."""
        return next((model for model in reversed(self.served) if model.version == version), None)

    def run(self, run_key: str) -> RunStarted:
        """Return a run by its key."""
        return next(run for run in self.runs if run.run_key == run_key)


def model_of(run: RunStarted, result: RunResult) -> Model:
    """Return the model that a finished run produced."""
    return Model(number=run.number, version=result.bento_digest[:12], result=result)


def apply(state: LoopState, entry: LedgerEntry) -> LoopState:  # noqa: C901, PLR0911 (one return per kind of entry)
    """Return the state after one more entry."""
    if isinstance(entry, Answer) and entry.request_id:
        state = replace(state, handled=state.handled | {entry.request_id})
    match entry:
        case Started():
            return replace(state, last_failure="" if state.champion is None else state.last_failure)
        case RunStarted() | RunFinished():
            return _apply_run(state, entry)
        case FeasibilityJudged():
            return replace(_with_content(state, entry), open_run=None, judged=entry, last_failure="")
        case Promoted() | RolledBack():
            return _apply_succession(state, entry)
        case Rejected():
            return replace(_with_unaccepted(state), candidate=None, last_failure=entry.reason)
        case Quarantined():
            return replace(state, quarantined=state.quarantined | {entry.window_start})
        case RunHeld():
            return replace(state, held=state.held | {entry.run_key})
        case Approved():
            return replace(state, approved={**state.approved, entry.run_key: entry})
        case Recorded():
            return replace(state, recorded={**state.recorded, entry.name: entry})
        case Muted() | Unmuted() | Acknowledged():
            return _apply_silence(state, entry)
        case RequestRefused():
            return state


def _with_unaccepted(state: LoopState) -> LoopState:
    """Note a candidate that was turned down for what it is, not because a person wanted another."""
    candidate, champion = state.candidate, state.champion
    if candidate is None:
        return state
    is_same = champion is not None and champion.version == candidate.version
    if candidate.result.verdict is not RunVerdict.REJECTED and not is_same:
        return state
    return replace(state, unaccepted=state.unaccepted | {candidate.result.run_key})


def _apply_silence(state: LoopState, entry: Muted | Unmuted | Acknowledged) -> LoopState:
    match entry:
        case Muted():
            return replace(state, mutes={**state.mutes, entry.kind: entry})
        case Unmuted(kind=None):
            return replace(state, mutes={})
        case Unmuted():
            return replace(state, mutes={kind: mute for kind, mute in state.mutes.items() if kind != entry.kind})
    return replace(state, acknowledged={**state.acknowledged, entry.run_key: entry})


def _apply_run(state: LoopState, entry: RunStarted | RunFinished) -> LoopState:
    if isinstance(entry, RunStarted):
        learned = {entry.basis.key} if entry.basis else set()
        return replace(state, runs=(*state.runs, entry), open_run=entry, learned=state.learned | learned)
    if entry.result is None:
        return replace(state, open_run=None, last_failure=entry.error)
    state = _with_content(state, entry)
    return replace(state, open_run=None, candidate=model_of(state.run(entry.run_key), entry.result))


def _with_content(state: LoopState, entry: RunFinished | FeasibilityJudged) -> LoopState:
    """Note which content a run saw."""
    run = state.run(entry.run_key)
    if (
        run.basis and entry.result
    ):  # the data may have changed once more between the order and the run's own look at them
        basis = run.basis.model_copy(update={"content": entry.result.data_digest})
        seen = run.model_copy(update={"basis": basis})
        runs = tuple(seen if known is run else known for known in state.runs)
        state = replace(state, runs=runs, learned=state.learned | {basis.key})
    return state


def _apply_succession(state: LoopState, entry: Promoted | RolledBack) -> LoopState:
    withdrawn = state.withdrawn - {entry.model.version}
    if isinstance(entry, RolledBack) and state.champion and entry.model.number < state.champion.number:
        withdrawn |= {state.champion.version}
    state = replace(
        state,
        champion=entry.model,
        served=(*state.served, entry.model),
        withdrawn=withdrawn,
        promoted_at=entry.at,
    )
    # A rollback decides nothing about a candidate; the next decision does.
    return replace(state, candidate=None, last_failure="") if isinstance(entry, Promoted) else state


def replay(entries: Iterable[LedgerEntry]) -> LoopState:
    """Return the state that a ledger's entries lead to, oldest first."""
    state = LoopState()
    for entry in entries:
        state = apply(state, entry)
    return state
