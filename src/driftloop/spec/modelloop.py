"""The ModelLoop: the one declarative object a user writes. Field docstrings are the reference documentation."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from driftloop.spec.boundary import Boundary, Duration

API_VERSION = "driftloop.dev/v1alpha1"
LOOP_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

CLASSIFICATION_METRICS = ("roc_auc", "average_precision", "accuracy", "f1", "neg_log_loss")
REGRESSION_METRICS = ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")


class Task(StrEnum):
    """What kind of answer the model gives."""

    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"


METRICS_BY_TASK = {Task.CLASSIFICATION: CLASSIFICATION_METRICS, Task.REGRESSION: REGRESSION_METRICS}


class Maturity(StrEnum):
    """How far the loop may go."""

    PROOF_OF_CONCEPT = "ProofOfConcept"
    PRODUCTION = "Production"


class Trigger(StrEnum):
    """The verdicts that may start a retraining."""

    CONCEPT_DRIFT = "ConceptDrift"
    COVARIATE_DRIFT = "CovariateDrift"
    PRIOR_SHIFT = "PriorShift"
    PERFORMANCE_DROP = "PerformanceDrop"


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
    """Business figures to follow."""

    @property
    def metric_name(self) -> str:
        """The metric in force: the one named, or the task's usual one."""
        return self.metric.name or METRICS_BY_TASK[self.task][0]

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        fitting = METRICS_BY_TASK[self.task]
        if self.metric_name not in fitting:
            raise ValueError(f"metric.name must fit the task {self.task}: one of {', '.join(fitting)}")
        return self


class SecretRef(Boundary):
    """Name of a Secret in the loop's namespace (on the laptop: credentials come from the environment)."""

    name: Annotated[str, Field(pattern=LOOP_NAME_PATTERN)]
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
    secret_ref: SecretRef | None = None
    """Credentials for the address."""
    target_column: Annotated[str, Field(min_length=1)]
    """Column to predict."""
    time_column: str | None = None
    """When each row happened. Set: rows are split in time order, the newest judge the model. Not used as a feature."""
    key_column: str | None = None
    """Business key of a row: travels with every request; labels may come back by it. Not used as a feature."""
    sensitive_columns: tuple[str, ...] = ()
    """Columns that describe people's protected traits."""
    min_rows: Annotated[int, Field(ge=30)] = 200
    """Smallest number of labelled rows a model may be trained on."""
    provenance: ProvenanceSpec = ProvenanceSpec()
    """Origin and permitted use."""

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        roles = [self.target_column, self.time_column, self.key_column]
        named = [column for column in roles if column]
        if len(set(named)) != len(named):
            raise ValueError("targetColumn, timeColumn and keyColumn must be three different columns")
        return self


class PreparationSpec(Boundary):
    """How rows are cleaned and turned into numbers."""

    missing: Literal["Auto", "Mean", "Median", "MostFrequent"] = "Auto"
    """Filling of missing numbers. Auto: the median, with an indicator where values were missing in training."""
    scaling: Literal["Auto", "Standard", "None"] = "Auto"
    """Scaling of numbers. Auto: standardised."""
    max_one_hot_categories: Annotated[int, Field(ge=2, le=200)] = 12
    """Columns with more categories than this are target-encoded (cross-fitted) rather than one-hot encoded."""


class TrainingSpec(Boundary):
    """Which models are tried, and for how long."""

    algorithms: Annotated[tuple[str, ...], Field(min_length=1)] = ("Auto",)
    """Algorithms of the catalogue (see `driftloop schema`). Auto: all that fit the task."""
    max_trial_count: Annotated[int, Field(ge=1, le=10000)] = 30
    """Trials of hyperparameters over all algorithms."""
    timeout: Duration = timedelta(minutes=10)
    """Longest time all trials together may take."""
    random_state: Annotated[int, Field(ge=0)] = 0
    """Seed of every random choice."""


class AcceptanceSpec(Boundary):
    """What a challenger must show before it may serve."""

    champion_comparison: Literal["Better", "NotWorse"] = "Better"
    """Against the champion on the newest labelled rows. Better: the 95 % interval of the difference lies above 0.
    NotWorse: the difference itself is at least 0."""
    max_generalization_gap: Annotated[float, Field(gt=0)] | None = None
    """Largest allowed difference of the metric between training and test rows."""
    max_latency: Duration | None = None
    """Largest allowed time of a one-row prediction (95th percentile), measured when the Bento is verified."""


class PipelineSpec(Boundary):
    """Where the training pipeline runs in a cluster; the laptop always runs it locally."""

    runner: Literal["Kubeflow", "Job"] = "Kubeflow"
    """Kubeflow Pipelines, or one Kubernetes Job with the local runner inside."""
    service_account_name: str = "pipeline-runner"
    """Service account of the run's pods."""


class ServingSpec(Boundary):
    """How the champion serves in a cluster."""

    min_replicas: Annotated[int, Field(ge=1)] = 1
    """Fewest serving pods."""
    max_replicas: Annotated[int, Field(ge=1)] = 1
    """Most serving pods."""

    @model_validator(mode="after")
    def _replicas_are_ordered(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"maxReplicas must be at least minReplicas ({self.min_replicas}). Got {self.max_replicas}")
        return self


class WindowSpec(Boundary):
    """The stretch of live traffic that one verdict is about."""

    duration: Duration = timedelta(days=1)
    """Length of a window."""
    min_rows: Annotated[int, Field(ge=30)] = 200
    """Fewest predictions for a verdict; below it the verdict is 'not enough data'."""


class FalseAlarmBudget(Boundary):
    """How many false alarms a person is willing to get."""

    max: Annotated[int, Field(ge=1)] = 1
    """Most false alarms in the period."""
    per: Duration = timedelta(days=30)
    """The period."""


class LabelsSpec(Boundary):
    """When and where the truth arrives."""

    uri: str | None = None
    """Table to poll for labels, joined by keyColumn. Absent: labels come by `POST /labels`."""
    expected_delay: Duration = timedelta(days=1)
    """Time after a prediction by which its label is expected; performance of a window is judged that much later."""


class MonitoringSpec(Boundary):
    """How live traffic is watched."""

    engine: Literal["AlibiDetect", "SciPy"] = "AlibiDetect"
    """Library behind the drift tests: alibi-detect (Business Source License), or the same tests on SciPy."""
    window: WindowSpec = WindowSpec()
    """Stretch of traffic judged at once."""
    false_alarm_budget: FalseAlarmBudget = FalseAlarmBudget()
    """Shared by all tests of the model."""
    min_effect_size: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Smallest share of traffic that must have moved (0 to 1) before a significant difference is called drift."""
    labels: LabelsSpec = LabelsSpec()
    """Truth for performance."""
    report_history_limit: Annotated[int, Field(ge=1)] = 100
    """Drift reports kept."""


class RetrainingLimit(Boundary):
    """A brake on retraining."""

    max: Annotated[int, Field(ge=1)] = 3
    """Most runs in the period."""
    per: Duration = timedelta(days=7)
    """The period."""


class RetrainingSpec(Boundary):
    """When the loop retrains."""

    triggers: tuple[Trigger, ...] = (Trigger.CONCEPT_DRIFT, Trigger.PRIOR_SHIFT, Trigger.PERFORMANCE_DROP)
    """Verdicts that start a run. Covariate drift alone does not hurt every model and is off by default."""
    cooldown: Duration = timedelta(hours=12)
    """Shortest time between two runs."""
    limit: RetrainingLimit = RetrainingLimit()
    """Most runs in a period."""
    mode: Literal["Automatic", "DryRun"] = "Automatic"
    """DryRun: decisions are recorded, nothing is run."""


class PromotionSpec(Boundary):
    """Who lets a challenger serve."""

    approval: Literal["Automatic", "Manual"] = "Automatic"
    """Manual: an accepted challenger waits for a person."""


class GovernanceSpec(Boundary):
    """Who answers for the model; copied to the model card."""

    owner: str = ""
    """Person or team responsible."""
    intended_use: str = ""
    """What the model may be used for."""


class ModelLoopSpec(Boundary):
    """What the loop shall do."""

    suspend: bool = False
    """Keep serving and watching; start no run and promote nothing."""
    maturity: Maturity = Maturity.PRODUCTION
    """ProofOfConcept: train and report, promote nothing after the first model."""
    problem: ProblemSpec
    data: DataSpec
    preparation: PreparationSpec = PreparationSpec()
    training: TrainingSpec = TrainingSpec()
    acceptance: AcceptanceSpec = AcceptanceSpec()
    pipeline: PipelineSpec = PipelineSpec()
    serving: ServingSpec = ServingSpec()
    monitoring: MonitoringSpec = MonitoringSpec()
    retraining: RetrainingSpec = RetrainingSpec()
    promotion: PromotionSpec = PromotionSpec()
    governance: GovernanceSpec = GovernanceSpec()


class Metadata(Boundary):
    """Kubernetes object metadata; what the laptop needs of it."""

    name: Annotated[str, Field(pattern=LOOP_NAME_PATTERN, max_length=50)]
    """Name of the loop: lower-case letters, digits and dashes."""
    namespace: str = "default"
    """Kubernetes namespace."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Kubernetes labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Kubernetes annotations."""


class ModelLoop(Boundary):
    """A model that is trained, served, watched and retrained."""

    api_version: Literal["driftloop.dev/v1alpha1"]
    kind: Literal["ModelLoop"]
    metadata: Metadata
    spec: ModelLoopSpec
