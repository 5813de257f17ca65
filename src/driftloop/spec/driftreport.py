"""The verdict on one window of live traffic, and the DriftReport that records a change of verdict.

Written by the monitor, read by the controller. A verdict is a pure function of the prediction log's closed window,
the model's baseline and the loop's spec.
"""

import hashlib
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from driftloop.spec.boundary import Boundary


class ReportKind(StrEnum):
    """What a verdict looked at."""

    INPUTS = "inputs"
    """Features and predictions; known as soon as the window closes."""
    PERFORMANCE = "performance"
    """Predictions against labels; known once the labels are mature."""


class VerdictKind(StrEnum):
    """The triage of a window."""

    NOT_ENOUGH_DATA = "NotEnoughData"
    STABLE = "Stable"
    DATA_FAULT = "DataFault"
    COVARIATE_DRIFT = "CovariateDrift"
    PRIOR_SHIFT = "PriorShift"
    CONCEPT_DRIFT = "ConceptDrift"
    PERFORMANCE_DROP = "PerformanceDrop"
    UNKNOWN = "Unknown"
    """Something moved, and the evidence fits none of the others."""

    @property
    def is_alarm(self) -> bool:
        """Whether the verdict says that something moved or broke."""
        return self not in (VerdictKind.STABLE, VerdictKind.NOT_ENOUGH_DATA)


class Harm(StrEnum):
    """What covariate drift does to the model's answers, as far as labels or the label-free estimate tell."""

    HARMFUL = "Harmful"
    HARMLESS = "Harmless"
    UNKNOWN = "Unknown"


class Window(Boundary):
    """A stretch of event time, `start <= t < end`, and the predictions logged in it."""

    start: datetime
    """Event time of its start, which belongs to it."""
    end: datetime
    """Event time of its end, which does not."""
    rows: int
    """Predictions in it."""
    labelled_rows: int = 0
    """Those with a label."""


class CheckResult(Boundary):
    """One check of the inputs before any test of distributions."""

    check: str
    """Name of the check, one of `monitor.checks`: `missing`, `column` (no value at all), `type`, `new_category`,
    `range`, `unit`, `swapped`, `stuck`, `duplicates`, `volume`, `freshness`."""
    feature: str
    """Name of the column; empty for a check of the whole window."""
    passed: bool
    """Whether what was observed is within the limit."""
    observed: float
    """A share of rows, 0 to 1; of `volume` the ratio to the usual number, of `freshness` the silent share of a usual
    window, or for a date the ratio to its oldest age."""
    limit: float
    """The most, for volume also the least, that is within the budget."""
    message: str
    """One plain sentence."""


class FeatureDrift(Boundary):
    """The drift test of one feature, output or pair of features."""

    feature: str
    """Name of the feature, of the output (`prediction`, `probability`), of a pair of features (`a ~ b`), or `(all)`."""
    test: str
    """The engine's test, e.g. `KolmogorovSmirnov`, `ChiSquare`, `Fisher`."""
    statistic: float
    """The engine's figure, at independent rows."""
    p_value: float
    """Probability of such a difference on unchanged traffic, as calibrated on the time-ordered reference."""
    threshold: float
    """p-value below which the difference is significant within the false-alarm budget."""
    effect_size: float
    """Share of traffic that moved, 0 to 1 (Kolmogorov-Smirnov or total variation distance)."""
    drifted: bool
    """Significant and at least minEffectSize."""
    windows: int = 1
    """Consecutive windows, this one the last, that the p-value looks at together."""
    moved: str = ""
    """What moved, as a clause; empty where nothing is worth saying."""


class Power(Boundary):
    """What a window of this size would have shown; the reach of 'no drift'."""

    rows: int
    """Rows judged."""
    probability: float
    """Chance of an alarm at a shift of this size, 0 to 1."""
    shift_sd: float | None = None
    """Shift of a typical numeric column, in its standard deviations; None without one."""
    shift_share: float
    """Share of traffic that such a shift moves, 0 to 1; the unit of minEffectSize."""


class Budget(Boundary):
    """The false-alarm budget as it is kept, in alarms per 30 days for the model as a whole."""

    asked: float
    """What the loop's file asks for."""
    carried: float
    """What the reference can carry; more than asked where the budget can't be kept."""
    reasons: tuple[str, ...] = ()
    """Why it is more, in plain words."""
    spent: float = 0.0
    """The share of one alarm that this window was allowed to cost, 0 to 1."""


class Estimate(Boundary):
    """The loop's metric without labels, from the model's calibrated probabilities or estimated losses."""

    metric: str
    """The loop's metric."""
    method: str
    """`CBPE` for classification, `DLE` for regression."""
    value: float | None = None
    """None where it can't be estimated."""
    standard_error: float | None = None
    """Of the value: sampling of the window, and calibration."""
    reference: float
    """The same estimate on the model's test rows."""
    changed: bool = False
    """Significantly and materially worse than the reference."""


class ErrorChange(Boundary):
    """A change of the model's errors within the labelled stream, in order of time."""

    since: datetime | None = None
    """Event time at which the change most likely began; None without a change."""
    before: float
    """Mean error before it: share of wrong answers, or mean absolute error."""
    after: float
    """Mean error since."""
    statistic: float
    """The detector's figure."""
    threshold: float
    """Value above which it is significant within the false-alarm budget."""
    changed: bool = False
    """Significant and material."""


class Segment(Boundary):
    """The part of the traffic where the change is worst."""

    feature: str
    """Column that splits the traffic."""
    values: str
    """The part, as a clause: `carrier is UA`, `temp above 31`."""
    rows: int
    """Rows of the window in it."""
    share: float
    """Share of the window's rows, 0 to 1."""
    effect: float
    """What is worse there: the share of its traffic that moved, or the metric's drop."""
    message: str
    """One plain sentence."""


class LabelsWithin(Boundary):
    """A point of the maturity curve."""

    delay_seconds: float
    """Time since the prediction."""
    share: float
    """Share of predictions whose label came within that time, 0 to 1."""


class Performance(Boundary):
    """The loop's metric on a window's labelled predictions against the model's own test rows."""

    metric: str
    """The loop's metric."""
    value: float | None = None
    """None where the metric is undefined, e.g. one class only."""
    standard_error: float | None = None
    """Of the value."""
    reference: float
    """The metric on the model's test rows."""
    dropped: bool = False
    """Significantly and materially below the reference."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Every metric of the task on the same rows, e.g. accuracy, precision, recall, f1."""
    maturity: tuple[LabelsWithin, ...] = ()
    """How soon labels arrive."""


class Verdict(Boundary):
    """What the monitor says of one window of one model version."""

    kind: ReportKind
    """What was looked at."""
    model_version: str
    """The model whose traffic it is about."""
    window: Window
    """The stretch of traffic."""
    verdict: VerdictKind
    """The triage."""
    summary: str
    """One or two plain sentences: what was seen and why it is judged so."""
    checks: tuple[CheckResult, ...] = ()
    """Every check of the inputs."""
    features: tuple[FeatureDrift, ...] = ()
    """Every test made, the largest effect first."""
    performance: Performance | None = None
    """For the kind performance."""
    engine: str = ""
    """Library that computed the statistics."""
    harm: Harm | None = None
    """For covariate drift: whether it hurts."""
    power: Power | None = None
    """What would have been seen."""
    budget: Budget | None = None
    """The false-alarm budget as it is kept."""
    estimate: Estimate | None = None
    """The metric without labels."""
    errors: ErrorChange | None = None
    """Concept drift on the error stream; for the kind performance."""
    segment: Segment | None = None
    """Where it is worst."""
    expected: str = ""
    """Name of the expected change of the loop's calendar that covers the window; such drift starts no run."""
    silent_writers: tuple[str, ...] = ()
    """Monitors that were not heard of for too long, and whose rows of the window may be missing."""


class DriftReport(Boundary):
    """A change of verdict, worth a record of its own."""

    api_version: str = "driftloop.dev/v1alpha1"
    kind: str = "DriftReport"
    name: str
    loop: str
    loop_uid: str
    created_at: datetime
    """Event time at which the window closed."""
    verdict: Verdict


class DriftReportSpec(Boundary):
    """What a DriftReport says as a custom resource. It never changes; what became of it is in its status."""

    loop_name: str
    """Name of the ModelLoop, in the same namespace."""
    loop_uid: str
    """The loop's own identity, kept in the object store."""
    created_at: datetime
    """Event time at which the window closed."""
    verdict: Verdict
    """The verdict that differs from the one before."""


def report_name(loop_uid: str, model_version: str, kind: ReportKind, window_start: datetime) -> str:
    """Return the name that makes a second report about the same window impossible."""
    facts = f"{loop_uid}/{model_version}/{kind}/{window_start.isoformat()}"
    return f"{kind}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
