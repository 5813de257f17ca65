"""The verdict on one window of live traffic, and the DriftReport that records a change of verdict.

Written by the monitor, read by the controller. A verdict is a pure function of the prediction log's closed window,
the model's baseline and the loop's spec.
"""

import hashlib
from datetime import datetime
from enum import StrEnum

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

    @property
    def is_alarm(self) -> bool:
        """Whether the verdict says that something moved or broke."""
        return self not in (VerdictKind.STABLE, VerdictKind.NOT_ENOUGH_DATA)


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
    """One check of the inputs before any test of distributions: missing rate, new categories, range, type."""

    check: str
    """`missing`, `column` (no value at all), `type`, `new_category` or `range`."""
    feature: str
    """Name of the column."""
    passed: bool
    """Whether the share is within the limit."""
    observed: float
    """Share of rows that violate the check, 0 to 1."""
    limit: float
    """Largest share allowed, 0 to 1."""
    message: str
    """One plain sentence."""


class FeatureDrift(Boundary):
    """The drift test of one feature or output."""

    feature: str
    """Name of the feature, or of the output (`prediction`, `probability`)."""
    test: str
    """Name of the test, e.g. `KolmogorovSmirnov`, `ChiSquare`."""
    statistic: float
    """The test's own figure."""
    p_value: float
    """Probability of such a difference by chance."""
    threshold: float
    """p-value below which the difference is significant within the false-alarm budget."""
    effect_size: float
    """Share of traffic that moved, 0 to 1 (Kolmogorov-Smirnov or total variation distance)."""
    drifted: bool
    """Significant and at least minEffectSize."""


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
