"""The status of a ModelLoop and of a DriftReport in a cluster: what the operator writes, people and GitOps tools read.

A projection: wiped, it is made again from the ledger and the monitor's state. It holds nothing that changes while
nothing happens, because every change of it wakes all who watch. The API server drops what these types don't know.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from driftloop.spec.boundary import Boundary
from driftloop.spec.driftreport import Budget, Harm, Performance, ReportKind, VerdictKind, Window

HISTORY_SHOWN = 10
LONGEST_MESSAGE = 4096


def _shorten(message: object) -> object:
    """Cut what would not be taken: a status that can't be written tells nothing."""
    if isinstance(message, str) and len(message) > LONGEST_MESSAGE:
        return f"{message[: LONGEST_MESSAGE - 1]}…"
    return message


Message = Annotated[str, Field(max_length=LONGEST_MESSAGE), BeforeValidator(_shorten)]
Score = Annotated[float, AfterValidator(lambda score: round(score, 4))]


class ConditionType(StrEnum):
    """What is told of every loop, as True, False or Unknown."""

    READY = "Ready"
    TRAINED = "Trained"
    AVAILABLE = "Available"
    MONITORED = "Monitored"
    DRIFTED = "Drifted"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


CONDITION_MEANINGS: Mapping[ConditionType, str] = {
    ConditionType.READY: "The summary: a champion serves and is watched. `kubectl wait` and Flux look here.",
    ConditionType.TRAINED: "There is a champion.",
    ConditionType.AVAILABLE: "The champion's Deployment answers.",
    ConditionType.MONITORED: "The monitor writes its log and judges what is due.",
    ConditionType.DRIFTED: "The newest verdict on the champion's traffic is an alarm.",
    ConditionType.RECONCILING: "A run, a rollout or another step is under way. kstatus: InProgress.",
    ConditionType.STALLED: "Nothing will happen without a person; the message says what to do. kstatus: Failed.",
}


class Condition(Boundary):
    """One condition, by the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=316)]
    """Name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one word for programs."""
    message: Message = ""
    """Why, in words for people, with the remedy."""
    last_transition_time: datetime
    """When the status of the condition last changed."""
    observed_generation: int | None = None
    """Generation of the ModelLoop that it speaks of."""


class ModelStatus(Boundary):
    """A model of the loop."""

    label: str
    """The short name people use, such as `v2`."""
    version: str
    """What the server reports: first characters of the digest."""
    digest: str
    """Of the Bento's content."""
    bento: str = ""
    """Tag of the Bento."""
    bento_uri: str = ""
    """Where the Bento lies."""
    algorithm: str = ""
    """What was learned with."""
    metric: str = ""
    """The loop's metric."""
    score: Score | None = None
    """The metric on the model's test rows, to four decimals."""
    run: str = ""
    """Key of the run that made it."""
    promoted_at: datetime | None = None
    """When it became champion."""


class RunStatus(Boundary):
    """The pipeline run under way."""

    run_key: str
    """Key of the run: a key never starts two."""
    reason: Message = ""
    """What called for it."""
    pipeline: str = "training"
    """Training, adoption or feasibility."""
    stage: str = ""
    """Where it is."""
    started_at: datetime | None = None
    """When it was ordered."""
    report: str = ""
    """Name of the drift report that called for it."""
    id: str = ""
    """The runner's own name of the run."""
    url: str = ""
    """Where people look at it."""


class VerdictStatus(Boundary):
    """The newest verdict on the champion's traffic; all of it is in the DriftReport and the object store."""

    kind: ReportKind
    """What was looked at."""
    model_version: str
    """The model whose traffic it is about."""
    window: Window
    """The stretch of traffic."""
    verdict: VerdictKind
    """The triage."""
    summary: Message = ""
    """What was seen, and why it is judged so."""
    performance: Performance | None = None
    """The loop's metric on the window's labelled rows."""
    report: str = ""
    """Name of the DriftReport, where the verdict changed."""
    harm: Harm | None = None
    """For covariate drift: whether it hurts."""
    expected: str = ""
    """Name of the expected change that explains it."""
    budget: Budget | None = None
    """The false-alarm budget as it is kept."""


class DecisionStatus(Boundary):
    """What was decided last."""

    action: Annotated[str, Field(max_length=64)]
    """Such as StartRun, Promote, Reject, Quarantine, Hold, RollBack, Note, Refuse, Wait."""
    reason: Message = ""
    """Why, in plain words."""
    run_key: str = ""
    """The run that it started, or that it is about."""
    at: datetime
    """When."""


class Episode(Boundary):
    """Alarming windows in an unbroken row: one cause, and at most one run."""

    run_key: str
    """Key of the run that answers it."""
    kind: ReportKind
    """What the windows looked at."""
    since: datetime
    """Start of the first of them."""
    quiet: Message = ""
    """Why it starts no run and pages nobody: expected, muted or acknowledged, and by whom; empty where it counts."""


class MuteStatus(Boundary):
    """A silence that a person asked for."""

    until: datetime
    """Until when drift alarms start no run and page nobody."""
    kind: VerdictKind | None = None
    """The verdict that is muted; absent: every drift alarm."""
    by: str
    """Who asked for it."""
    reason: Message
    """Why."""


class LogStatus(Boundary):
    """Counts of the prediction log."""

    rows: int = 0
    """Predictions logged."""
    labels: int = 0
    """Labels received."""
    dropped: int = 0
    """Predictions that were served and not logged."""
    late: int = 0
    """Predictions that came too late for a verdict; they are used for training."""


class LabelStatus(Boundary):
    """How far the truth about the newest complete window is known."""

    window_start: datetime
    """Start of the window."""
    window_end: datetime
    """Its end."""
    predictions: int
    """Predictions in it."""
    labelled: int
    """Those with a label."""
    waiting: int
    """Those without one, and younger than `monitoring.labels.expectedDelay`."""
    overdue: int
    """Those without one, and older."""


class CriterionStatus(Boundary):
    """A business figure, and what it was measured to be."""

    name: str
    """As in `problem.successCriteria`."""
    value: float | None = None
    """The newest measured value."""
    measured_at: datetime | None = None
    """When it was measured."""
    by: str = ""
    """Who recorded it."""
    reached: bool | None = None
    """Whether it is at the goal or beyond."""


class FeasibilityStatus(Boundary):
    """Outcome of a proof of concept."""

    verdict: str
    """Whether the problem can be solved with these data."""
    reasons: tuple[Message, ...] = ()
    """Why."""
    report: str = ""
    """Where the page for people lies."""


class HistoryLine(Boundary):
    """One entry of the ledger."""

    at: datetime
    """When it happened."""
    entry: Annotated[str, Field(max_length=64)]
    """Kind of entry, such as RunStarted or Promoted."""
    message: Message
    """What happened, why, and who asked."""
    by: str = ""
    """Who asked for it."""
    run_key: str = ""
    """The run that it is about."""


class Addresses(Boundary):
    """Where the loop is spoken to inside the cluster."""

    predictions: str = ""
    """Address of `POST /predict`."""
    labels: str = ""
    """Address of `POST /labels`."""


class HandledRequests(Boundary):
    """Values of the request annotations that were answered: the same value asks for nothing more."""

    retrain_requested_at: str = ""
    """Of `driftloop.dev/retrain-requested-at`."""
    approve: str = ""
    """Of `driftloop.dev/approve`."""
    rollback: str = ""
    """Of `driftloop.dev/rollback`."""
    mute: str = ""
    """Of `driftloop.dev/mute`."""
    acknowledge: str = ""
    """Of `driftloop.dev/acknowledge`."""


class ModelLoopStatus(Boundary):
    """What the loop is, does and waits for. Written by the operator alone."""

    observed_generation: int | None = None
    """Generation of the spec that the status speaks of."""
    conditions: tuple[Condition, ...] = ()
    """State of the loop, condition by condition."""
    uid: str = ""
    """Identity of the loop, kept in the object store: the same after a restore in another cluster."""
    champion: ModelStatus | None = None
    """The model that serves."""
    challenger: ModelStatus | None = None
    """A finished model that is not yet decided upon."""
    run: RunStatus | None = None
    """The pipeline run under way."""
    last_verdict: VerdictStatus | None = None
    """The newest verdict on the champion's traffic."""
    last_decision: DecisionStatus | None = None
    """The newest decision that did something."""
    waiting_for: tuple[Message, ...] = ()
    """What the loop waits for, the first thing first."""
    episode: Episode | None = None
    """The drift episode that is open."""
    mutes: tuple[MuteStatus, ...] = ()
    """Silences in force."""
    handled_requests: HandledRequests | None = None
    """Requests that were answered."""
    evaluated_through: datetime | None = None
    """Event time up to which the traffic is judged."""
    labelled_rows: int | None = None
    """Logged predictions with a label, outside quarantined windows: what a retraining may learn from."""
    promotions: int | None = None
    """How often a model was promoted."""
    retrained_at: datetime | None = None
    """When the newest run that made a model finished."""
    log: LogStatus | None = None
    """Counts of the prediction log."""
    labels: LabelStatus | None = None
    """How far the truth is known."""
    addresses: Addresses | None = None
    """Where predictions and labels are taken."""
    success_criteria: tuple[CriterionStatus, ...] = ()
    """Business figures."""
    feasibility: FeasibilityStatus | None = None
    """Outcome of a proof of concept."""
    last_failure: Message = ""
    """Why the newest run failed or its model was rejected; empty once a model is promoted."""
    history: Annotated[tuple[HistoryLine, ...], Field(max_length=HISTORY_SHOWN)] = ()
    """The newest entries of the ledger, oldest first."""


class DriftReportStatus(Boundary):
    """What became of a drift report. Written by the operator alone."""

    decision: DecisionStatus | None = None
    """The decision that answered it."""
