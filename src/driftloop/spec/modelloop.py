"""The ModelLoop: the one declarative object a user writes. Its groups are in modules beside this one."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from driftloop.spec.acceptance import AcceptanceSpec
from driftloop.spec.boundary import CLUSTER_ONLY, Boundary, RuleError
from driftloop.spec.data import DATA_VARIABLE_PREFIX, NAME_PATTERN, DataSpec
from driftloop.spec.existingmodel import ModelSpec
from driftloop.spec.operation import (
    GovernanceSpec,
    MonitoringSpec,
    PipelineSpec,
    PromotionSpec,
    RetrainingSpec,
    ServingSpec,
)
from driftloop.spec.placement import EnvironmentVariable, SecretKeyRef
from driftloop.spec.preparation import SELECTED_BY_TARGET, PreparationSpec
from driftloop.spec.problem import METRICS_BY_TASK, NEED_LABELS, NEEDS_TARGET, SUPERVISED, ProblemSpec, Task
from driftloop.spec.training import STUDY_PASSWORD, TrainingSpec

API_GROUP = "driftloop.dev"
API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "ModelLoop"


class Maturity(StrEnum):
    """How far the loop may go."""

    PROOF_OF_CONCEPT = "ProofOfConcept"
    PRODUCTION = "Production"


class ModelLoopSpec(Boundary):
    """What the loop shall do."""

    suspend: bool = False
    """Keep serving and watching; start no run and promote nothing."""
    maturity: Maturity = Maturity.PRODUCTION
    """ProofOfConcept: train on a sample within a small budget, judge whether the problem can be solved, and promote
    nothing."""
    problem: ProblemSpec
    data: DataSpec
    model: ModelSpec | None = None
    preparation: PreparationSpec = PreparationSpec()
    training: TrainingSpec = TrainingSpec()
    acceptance: AcceptanceSpec = AcceptanceSpec()
    pipeline: PipelineSpec = PipelineSpec()
    serving: ServingSpec = ServingSpec()
    monitoring: MonitoringSpec = MonitoringSpec()
    retraining: RetrainingSpec = RetrainingSpec()
    promotion: PromotionSpec = PromotionSpec()
    governance: GovernanceSpec = GovernanceSpec()
    deletion_policy: Annotated[Literal["Retain", "Purge"], CLUSTER_ONLY] = "Retain"
    """What happens to the loop's folder in the object store (models, log, history) when the loop is deleted. Retain: it
    stays, and a loop made again under the same name goes on from it. Purge: it is removed."""

    @property
    def run_pods(self) -> PipelineSpec:
        """What the pods of a run get: the group `pipeline`, and in their environment credentials of data and study."""
        credentials = []
        if secret := self.data.secret_ref:
            credentials = [
                EnvironmentVariable(
                    name=f"{DATA_VARIABLE_PREFIX}{key}",
                    secret_key_ref=SecretKeyRef(name=secret.name, key=key, optional=not is_needed),
                )
                for key, is_needed in self.data.secret_keys.items()
            ]
        if self.training.study and (secret := self.training.study.secret_ref):
            password = SecretKeyRef(name=secret.name, key=STUDY_PASSWORD)
            credentials.append(EnvironmentVariable(name=STUDY_PASSWORD, secret_key_ref=password))
        return self.pipeline.model_copy(update={"env": (*self.pipeline.env, *credentials)})

    @field_validator("model")
    @classmethod
    def _concepts_are_trained(cls, model: ModelSpec | None, info: ValidationInfo) -> ModelSpec | None:
        if model and info.data.get("maturity") is Maturity.PROOF_OF_CONCEPT:
            remedy = "Remove it, or set maturity to Production: a model that exists proves the concept."
            raise RuleError("must be absent in a ProofOfConcept", remedy=remedy)
        return model

    @field_validator("data")
    @classmethod
    def _columns_fit_task(cls, data: DataSpec, info: ValidationInfo) -> DataSpec:
        problem = info.data.get("problem")
        if problem is None:
            return data
        task = problem.task
        if task in NEEDS_TARGET and not data.target_column:
            what = "the reward" if task is Task.DECISION else "the column to predict"
            raise RuleError(f"must be set for the task {task}", field="targetColumn", remedy=f"Name {what}.")
        metric = problem.metric_name
        if metric in NEED_LABELS.get(task, ()) and not data.target_column:
            what = f"must be set for the metric {metric} of the task {task}"
            raise RuleError(what, field="targetColumn", remedy=f"Name the labels, or use {METRICS_BY_TASK[task][0]}.")
        for field, column in (("actionColumn", data.action_column), ("propensityColumn", data.propensity_column)):
            if task is Task.DECISION and not column:
                raise RuleError("must be set for the task Decision", field=field, remedy="Name the logged column.")
            if task is not Task.DECISION and column:
                raise RuleError("must be left out of all tasks but Decision", field=field, remedy="Remove it.")
        return data

    @field_validator("preparation")
    @classmethod
    def _sampling_fits_task(cls, preparation: PreparationSpec, info: ValidationInfo) -> PreparationSpec:
        problem = info.data.get("problem")
        if problem and problem.task is not Task.CLASSIFICATION and preparation.sampling not in ("Auto", "None"):
            remedy = "Remove it: no classes to balance."
            raise RuleError(f"must be Auto or None for the task {problem.task}", field="sampling", remedy=remedy)
        return preparation

    @field_validator("preparation")
    @classmethod
    def _preparation_fits_data(cls, preparation: PreparationSpec, info: ValidationInfo) -> PreparationSpec:
        problem, data = info.data.get("problem"), info.data.get("data")
        if problem is None or data is None:
            return preparation
        if preparation.noise == "Smooth" and not data.time_column:
            remedy = "Name the column that orders the rows, or remove Smooth."
            raise RuleError("must come with data.timeColumn to smooth along", field="noise", remedy=remedy)
        if preparation.noise == "LabelFilter" and problem.task is not Task.CLASSIFICATION:
            remedy = "Remove LabelFilter: no classes to doubt."
            raise RuleError(f"must not be LabelFilter for the task {problem.task}", field="noise", remedy=remedy)
        if preparation.encoding == "Target" and problem.task not in SUPERVISED:
            remedy = "Use OneHot or Ordinal: no target to encode by."
            raise RuleError(f"must not be Target for the task {problem.task}", field="encoding", remedy=remedy)
        if preparation.selection in SELECTED_BY_TARGET and problem.task not in SUPERVISED:
            constraint = f"must be Auto, VarianceThreshold or None for the task {problem.task}"
            raise RuleError(constraint, field="selection", remedy="Use VarianceThreshold: no target to tell of.")
        return preparation

    @field_validator("acceptance")
    @classmethod
    def _fairness_can_be_judged(cls, acceptance: AcceptanceSpec, info: ValidationInfo) -> AcceptanceSpec:
        problem, data = info.data.get("problem"), info.data.get("data")
        if acceptance.fairness and problem and problem.task is not Task.CLASSIFICATION:
            remedy = "Remove it: only classes are compared."
            raise RuleError(f"must be left out of the task {problem.task}", field="fairness", remedy=remedy)
        if acceptance.fairness and data and not data.sensitive_columns:
            remedy = "Name the columns there."
            raise RuleError("must have data.sensitiveColumns to compare groups of", field="fairness", remedy=remedy)
        if acceptance.fairness and acceptance.fairness.mitigation != "None" and problem and problem.outcome_values:
            remedy = "Remove one of them: the class is decided by value, or alike for groups."
            raise RuleError(
                "must be None where problem.outcomeValues is set", field="fairness.mitigation", remedy=remedy
            )
        return acceptance

    @field_validator("monitoring")
    @classmethod
    def _polled_labels_have_a_key(cls, monitoring: MonitoringSpec, info: ValidationInfo) -> MonitoringSpec:
        data = info.data.get("data")
        if monitoring.labels.uri and isinstance(data, DataSpec) and not data.key_column:
            raise RuleError(
                "must come with data.keyColumn: labels of a table are joined by it",
                field="labels.uri",
                remedy="Add keyColumn to data, or remove uri and send labels by POST /labels.",
            )
        return monitoring


class Metadata(Boundary):
    """Name, namespace and labels of the loop."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=50)]
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
    """Version of this format."""
    kind: Literal["ModelLoop"]
    """Kind of object."""
    metadata: Metadata
    spec: ModelLoopSpec
