"""What the loop learns: the problem, the data, how a model is made of them, and what it must show to be accepted.

Groups of the ModelLoop. Field docstrings are the reference documentation.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from driftloop.spec.boundary import CLUSTER_ONLY, PLANNED, Boundary, Duration, RuleError

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
CLASSIFICATION_METRICS = ("roc_auc", "average_precision", "accuracy", "f1", "neg_log_loss")
REGRESSION_METRICS = ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")

# Names in `algorithms.CATALOGUE`; here so that schema, CRD and messages know them.
AlgorithmName = Literal["Auto", "Linear", "RandomForest", "HistGradientBoosting", "MLP"]
SamplingName = Literal["Auto", "ClassWeights", "RandomOverSampler", "RandomUnderSampler", "None"]
Ratio = Annotated[float, Field(ge=0, le=1)]
# Bounded, because the API server reckons with the longest when it compares names.
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]


DATA_VARIABLE_PREFIX = "DRIFTLOOP_DATA_"
"""Of the environment variables by which a run's pods get what `data.secretRef` holds."""
DATA_SECRET_KEYS = {
    "AWS_ACCESS_KEY_ID": True,
    "AWS_SECRET_ACCESS_KEY": True,
    "AWS_ENDPOINT_URL": False,
    "AWS_DEFAULT_REGION": False,
}
"""Keys of that Secret, and whether it must have each."""
FEWEST_ROWS = 30
"""No model is trained on fewer rows, whatever `data.minRows` says."""


class Task(StrEnum):
    """What kind of answer the model gives."""

    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"


METRICS_BY_TASK = {Task.CLASSIFICATION: CLASSIFICATION_METRICS, Task.REGRESSION: REGRESSION_METRICS}


class MetricSpec(Boundary):
    """The number by which models are compared; greater is better."""

    name: str = ""
    """Metric, by scikit-learn's scorer name. Empty: `roc_auc` for classification, `r2` for regression."""
    threshold: float | None = None
    """Smallest value on the test rows at which a model may be promoted. Absent: no minimum."""


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


class SecretRef(Boundary):
    """Name of a Secret in the loop's namespace (on the laptop: credentials come from the environment)."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=253)]
    """Name of the Secret."""


class ProvenanceSpec(Boundary):
    """Where the data come from and what they may be used for; copied to the model card."""

    source: str = ""
    """Where the data were obtained."""
    licence: str = ""
    """Licence or contract they come under."""
    purpose: str = ""
    """What they were collected for."""
    consent: str = ""
    """What the people described in them agreed to."""


class DataSpec(Boundary):
    """The table to learn from."""

    uri: Annotated[str, Field(min_length=1)]
    """Parquet or CSV file: a path (relative to this file), or an address of an object store."""
    secret_ref: Annotated[SecretRef | None, CLUSTER_ONLY] = None
    """Credentials of an S3 address, other than the platform's own: a Secret with `AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`, and with `AWS_ENDPOINT_URL` and `AWS_DEFAULT_REGION` where they differ."""
    target_column: ColumnName
    """Column to predict."""
    time_column: ColumnName | None = None
    """When each row happened. Set: rows are split in time order, the newest judge the model. Not used as a feature."""
    key_column: ColumnName | None = None
    """Business key of a row: travels with every request; labels may come back by it. Not used as a feature."""
    sensitive_columns: Annotated[tuple[ColumnName, ...], Field(max_length=50)] = ()
    """Columns that describe people's protected traits. Not used as features; every model is assessed by their groups,
    and acceptance.fairness may limit the difference. Numbers and dates are grouped into quartiles."""
    min_rows: Annotated[int, Field(ge=FEWEST_ROWS)] = 200
    """Smallest number of labelled rows a model may be trained on."""
    provenance: ProvenanceSpec = ProvenanceSpec()
    """Origin and permitted use."""

    @field_validator("time_column", "key_column")
    @classmethod
    def _columns_have_one_role(cls, column: str | None, info: ValidationInfo) -> str | None:
        for other in ("target_column", "time_column"):
            if column and other != info.field_name and column == info.data.get(other):
                raise RuleError(f"must be another column than {to_camel(other)}")
        return column

    @field_validator("sensitive_columns")
    @classmethod
    def _sensitive_columns_have_no_other_role(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for role in ("target_column", "time_column", "key_column"):
            if info.data.get(role) in columns:
                raise RuleError(f"must be other columns than {to_camel(role)}")
        if len(set(columns)) < len(columns):
            raise RuleError("must name each column once")
        return columns


class PreparationSpec(Boundary):
    """How rows are cleaned and turned into numbers."""

    missing: Literal["Auto", "Mean", "Median", "MostFrequent"] = "Auto"
    """Filling of missing numbers. Auto: the median, with an indicator where values were missing in training."""
    scaling: Literal["Auto", "Standard", "None"] = "Auto"
    """Scaling of numbers. Auto: standardised."""
    outliers: Annotated[Literal["Auto", "Clip", "None"], PLANNED] = "Auto"
    """Extreme numbers. Clip: drawn in to the 0.5 % and 99.5 % quantiles of the training rows. Auto: what validates
    better."""
    extraction: Annotated[Literal["Auto", "PCA", "None"], PLANNED] = "Auto"
    """Fewer, combined columns. PCA: principal components of the numbers. Auto: what validates better."""
    sampling: SamplingName = "Auto"
    """Balancing of rare classes in the training rows: weights, or imbalanced-learn's samplers. Auto: ClassWeights where
    the rarest class has less than a fiftieth of an equal share (1 % of two classes), else None. Probabilities are
    corrected back to the true shares, so that predictions stay the most probable class. Classification only."""
    max_one_hot_categories: Annotated[int, Field(ge=2, le=200)] = 12
    """Columns with more categories than this are target-encoded (cross-fitted) rather than one-hot encoded."""


class TrainingSpec(Boundary):
    """Which models are tried, and for how long."""

    algorithms: Annotated[tuple[AlgorithmName, ...], Field(min_length=1)] = ("Auto",)
    """Algorithms to try. Auto: all that fit the task, but MLP, which is tried only where it is named."""
    max_trial_count: Annotated[int, Field(ge=1, le=10000)] = 30
    """Trials of hyperparameters over all algorithms."""
    timeout: Duration = timedelta(minutes=10)
    """Longest time all trials together may take."""
    random_state: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice."""


class FairnessSpec(Boundary):
    """How differently the model may treat the groups of the sensitive columns."""

    metric: Literal["demographic_parity_difference", "equalized_odds_difference"] = "equalized_odds_difference"
    """Difference between groups, by fairlearn's name."""
    max: Ratio = 0.1
    """Largest difference allowed on the test rows, 0 to 1."""


class AcceptanceSpec(Boundary):
    """What a challenger must show before it may serve."""

    champion_comparison: Literal["Better", "NotWorse"] = "Better"
    """Against the champion on the newest labelled rows. Better: the 95 % interval of the difference lies above 0.
    NotWorse: the difference itself is at least 0."""
    max_generalization_gap: Annotated[float, Field(gt=0)] | None = None
    """Largest allowed difference of the metric between training and test rows."""
    max_latency: Duration | None = None
    """Largest allowed time of a one-row prediction (95th percentile), measured when the Bento is verified."""
    fairness: FairnessSpec | None = None
    """Largest difference between the groups of each of data.sensitiveColumns. Absent: assessed and reported, not
    judged. A model that can't be assessed, because the rows lack the column or its groups are small, is rejected."""
