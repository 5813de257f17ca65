"""What is to be decided, and how success is measured: group `problem` of the ModelLoop.

Field docstrings are the reference documentation.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from driftloop.spec.boundary import Boundary, RuleError

CLASSIFICATION_METRICS = ("roc_auc", "average_precision", "accuracy", "f1", "neg_log_loss")
REGRESSION_METRICS = ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")
CLUSTERING_METRICS = ("silhouette", "calinski_harabasz", "neg_davies_bouldin", "stability", "adjusted_rand")
ANOMALY_METRICS = ("stability", "average_precision", "roc_auc", "f1")
DECISION_METRICS = ("doubly_robust", "snips", "ips")
Ratio = Annotated[float, Field(ge=0, le=1)]


class Task(StrEnum):
    """What kind of answer the model gives."""

    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"
    CLUSTERING = "Clustering"
    ANOMALY_DETECTION = "AnomalyDetection"
    DECISION = "Decision"


NEED_LABELS = {
    Task.CLUSTERING: ("adjusted_rand",),
    Task.ANOMALY_DETECTION: ("average_precision", "roc_auc", "f1"),
}
"""Metrics of tasks that can do without a target which can't."""
METRICS_BY_TASK = {
    Task.CLASSIFICATION: CLASSIFICATION_METRICS,
    Task.REGRESSION: REGRESSION_METRICS,
    Task.CLUSTERING: CLUSTERING_METRICS,
    Task.ANOMALY_DETECTION: ANOMALY_METRICS,
    Task.DECISION: DECISION_METRICS,
}
SUPERVISED = (Task.CLASSIFICATION, Task.REGRESSION)
"""Tasks that learn a target."""
UNSUPERVISED = (Task.CLUSTERING, Task.ANOMALY_DETECTION)
"""Tasks that learn without a target; where there is one, models are compared by it."""
NUMBERS = (Task.REGRESSION, Task.DECISION)
"""Tasks whose target is a number; a decision's is the reward."""
NEEDS_TARGET = (*SUPERVISED, Task.DECISION)
"""Tasks that can't do without `data.targetColumn`; a decision's is the reward."""


class MetricSpec(Boundary):
    """The number by which models are compared; greater is better."""

    name: str = ""
    """Metric, by scikit-learn's scorer name. Empty: `roc_auc` for classification, `r2` for regression, `silhouette` for
    clustering, `stability` for anomaly detection (agreement of the scores of models fitted on halves of the rows; the
    others need labels, as `adjusted_rand` does), `doubly_robust` for decisions (estimated reward of the policy)."""
    threshold: float | None = None
    """Smallest value on the test rows at which a model may be promoted. Absent: no minimum."""


class OutcomeValue(Boundary):
    """What one kind of outcome is worth."""

    actual: Annotated[str, Field(min_length=1, max_length=256)]
    """Class that came true, as text."""
    predicted: Annotated[str, Field(min_length=1, max_length=256)]
    """Class that was predicted, as text."""
    value: float
    """Worth of one such case, in any unit; negative: a cost."""


class SuccessCriterion(Boundary):
    """A number outside the model that tells whether the project succeeds."""

    name: Annotated[str, Field(min_length=1)]
    """What is counted, with its unit."""
    baseline: float | None = None
    """Its value before the model."""
    goal: float
    """The value that means success."""


class ProblemSpec(Boundary):
    """What is to be decided, and how success is measured."""

    objective: str = ""
    """What the predictions are for, in one sentence."""
    challenge: str = ""
    """Why it is hard, in one sentence."""
    task: Task
    """Kind of problem."""
    metric: MetricSpec = MetricSpec()
    """Metric by which models are tuned, compared and watched."""
    outcome_values: Annotated[tuple[OutcomeValue, ...], Field(max_length=100)] = ()
    """What outcomes are worth. Set: the model answers with the class of the greatest expected value, and every report
    tells the value per 1,000 cases. Outcomes not listed are worth 0. Classification only."""
    success_criteria: tuple[SuccessCriterion, ...] = ()
    """Business figures to follow; `driftloop record` notes what was measured."""

    @property
    def metric_name(self) -> str:
        """The metric in force: the one named, or the task's usual one."""
        return self.metric.name or METRICS_BY_TASK[self.task][0]

    @field_validator("metric")
    @classmethod
    def _metric_fits_task(cls, metric: MetricSpec, info: ValidationInfo) -> MetricSpec:
        task = info.data.get("task")  # absent when the task itself is wrong
        if task and metric.name and metric.name not in METRICS_BY_TASK[task]:
            fitting = ", ".join(METRICS_BY_TASK[task])
            raise RuleError(f"must be a metric of the task {task}", field="name", remedy=f"Use one of: {fitting}.")
        return metric

    @field_validator("outcome_values")
    @classmethod
    def _values_are_of_classes(cls, values: tuple[OutcomeValue, ...], info: ValidationInfo) -> tuple[OutcomeValue, ...]:
        task = info.data.get("task")
        if values and task and task is not Task.CLASSIFICATION:
            raise RuleError(f"must be left out of the task {task}", remedy="Remove it: only classes have outcomes.")
        return values
