"""How the loop runs: pipeline, serving, monitoring, retraining, promotion, and who answers for it.

Groups of the ModelLoop. Field docstrings are the reference documentation.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from driftloop.spec.boundary import CLUSTER_ONLY, PLANNED, Boundary, Duration, Moment, RuleError
from driftloop.spec.placement import EnvironmentVariable, ResourcesSpec, Toleration, VolumeMount

DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql", "duckdb", "snowflake", "bigquery")
"""Schemes of SQLAlchemy's URLs that can't mean a file."""
CRON_PATTERN = r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$"


class Trigger(StrEnum):
    """The verdicts that may start a retraining."""

    CONCEPT_DRIFT = "ConceptDrift"
    COVARIATE_DRIFT = "CovariateDrift"
    PRIOR_SHIFT = "PriorShift"
    PERFORMANCE_DROP = "PerformanceDrop"


class PipelineSpec(Boundary):
    """How the training pipeline runs in a cluster; the laptop always runs it locally."""

    runner: Annotated[Literal["Kubeflow", "Job"], CLUSTER_ONLY] = "Kubeflow"
    """Kubeflow Pipelines, or one Kubernetes Job with the local runner inside."""
    service_account_name: Annotated[str, Field(max_length=253), CLUSTER_ONLY] = ""
    """Service account of the run's pods. Empty: Kubeflow's own (`pipeline-runner`, or `default-editor` with profiles);
    for a Job, the one made for the loop."""
    resources: Annotated[ResourcesSpec, CLUSTER_ONLY] = ResourcesSpec()
    """Requests and limits of each step; of the whole run for a Job."""
    node_selector: Annotated[dict[str, str], CLUSTER_ONLY] = Field(default_factory=dict)
    """Labels of the nodes that the pods may run on."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=50), CLUSTER_ONLY] = ()
    """Taints of nodes that the pods put up with."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=50), CLUSTER_ONLY] = ()
    """Environment variables of the pods, read from Secrets."""
    volumes: Annotated[tuple[VolumeMount, ...], Field(max_length=50), CLUSTER_ONLY] = ()
    """Volumes that the pods mount, such as one that holds the data."""


class RolloutSpec(Boundary):
    """How traffic moves to a promoted model."""

    type: Literal["Immediate", "Canary"] = "Immediate"
    """Immediate: all of it, once the new server is ready. Canary: in steps, back at the first sign of harm."""
    step_weights: Annotated[tuple[Annotated[int, Field(ge=1, le=99)], ...], Field(min_length=1, max_length=20)] = (
        10,
        50,
    )
    """Canary: percent of the traffic at each step before the last."""
    interval: Duration = timedelta(minutes=30)
    """Canary: length of a step."""

    @field_validator("step_weights")
    @classmethod
    def _steps_rise(cls, weights: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise(weights)):
            raise RuleError("must rise from step to step")
        return weights


class ServingSpec(Boundary):
    """How the champion serves in a cluster; the laptop runs one server."""

    max_replicas: Annotated[int, Field(ge=1), CLUSTER_ONLY] = 1
    """Most serving pods. Greater than minReplicas: they follow the load."""
    min_replicas: Annotated[int, Field(ge=1), CLUSTER_ONLY] = 1
    """Fewest serving pods."""
    target_utilization: Annotated[int, Field(ge=1, le=100), CLUSTER_ONLY] = 70
    """Percent of the requested CPU that the pods shall use on average before there are more of them."""
    resources: Annotated[ResourcesSpec, CLUSTER_ONLY] = ResourcesSpec()
    """Requests and limits of the server in a serving pod. Empty: requests that suit a small model."""
    node_selector: Annotated[dict[str, str], CLUSTER_ONLY] = Field(default_factory=dict)
    """Labels of the nodes that the pods may run on."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=50), CLUSTER_ONLY] = ()
    """Taints of nodes that the pods put up with."""
    metrics_monitor: Annotated[Literal["None", "ServiceMonitor"], CLUSTER_ONLY] = "None"
    """ServiceMonitor: one is made for the Prometheus Operator, which must be installed."""
    rollout: Annotated[RolloutSpec, PLANNED] = RolloutSpec()
    """How traffic moves to a promoted model."""

    @field_validator("min_replicas")
    @classmethod
    def _replicas_are_ordered(cls, min_replicas: int, info: ValidationInfo) -> int:
        max_replicas = info.data.get("max_replicas", min_replicas)
        if min_replicas > max_replicas:
            raise RuleError("must be at most maxReplicas", remedy="Raise maxReplicas, or lower it.")
        return min_replicas


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

    uri: Annotated[str, Field(min_length=1)] | None = None
    """Table to poll for labels, joined by `data.keyColumn`: CSV or Parquet (a file, a folder or a pattern; a path
    relative to this file, or an address of an object store), or a database as an SQLAlchemy URL. New rows become labels
    once; a row that changes becomes a later label, which holds. Absent: labels come by `POST /labels` alone."""
    query: Annotated[str, Field(min_length=1)] | None = Field(default=None, validate_default=True)
    """For a database, and needed there: name of the table, or a SELECT statement that returns key and label."""
    column: Annotated[str, Field(min_length=1)] | None = None
    """Column of the table that holds the label; rows where it is empty wait. Absent: `data.targetColumn`."""
    time_column: Annotated[str, Field(min_length=1)] | None = None
    """Column of the table that says when each label became known. By wall clock it only orders the rows of one key, and
    the time of receipt counts; a replay needs it."""
    poll_interval: Duration = timedelta(minutes=5)
    """Time between two looks at the table."""
    expected_delay: Duration = timedelta(days=1)
    """Time after a prediction by which its label is expected; performance of a window is judged that much later."""

    @field_validator("query")
    @classmethod
    def _databases_are_queried(cls, query: str | None, info: ValidationInfo) -> str | None:
        uri = info.data.get("uri") or ""
        if query is None and uri.partition(":")[0].partition("+")[0] in DATABASES:
            raise RuleError(
                "must be set where uri is a database", remedy="Add the table's name, or a SELECT statement."
            )
        if query is not None and not re.match(r"[A-Za-z0-9_+]+:", uri):
            raise RuleError("must come with a database as uri", remedy="Set uri to an SQLAlchemy URL.")
        return query


REPEATS = {"Weekly": timedelta(days=7), "Monthly": timedelta(days=28), "Yearly": timedelta(days=365)}
"""Ways to repeat, and the shortest time from one occurrence to the next."""


class ExpectedChange(Boundary):
    """A stretch of time in which people expect other traffic: a holiday season, a campaign."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What people call it."""
    start: Moment
    """When it begins, with the offset from UTC: `'2026-12-20T00:00:00Z'`."""
    end: Moment
    """When it is over."""
    repeat: Literal["Weekly", "Monthly", "Yearly"] | None = None
    """How it comes again, at the same time by the offset of its start (no daylight saving). A day that a month does not
    have is its last one. Absent: it does not."""

    @field_validator("end")
    @classmethod
    def _is_after_start(cls, end: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("start")
        if start is not None and end <= start:
            raise RuleError("must be after start")
        return end

    @field_validator("repeat")
    @classmethod
    def _is_shorter_than_its_period(cls, repeat: str | None, info: ValidationInfo) -> str | None:
        start, end = info.data.get("start"), info.data.get("end")
        if repeat and start and end and end - start >= REPEATS[repeat]:
            raise RuleError(
                "must leave time between two occurrences (7 days Weekly, 28 Monthly, 365 Yearly)",
                remedy="Set an earlier end: what is always expected is never seen.",
            )
        return repeat


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
    expected_changes: Annotated[tuple[ExpectedChange, ...], Field(max_length=50)] = ()
    """Calendar of changes that people expect. Inputs, predictions and labels that move then are judged and recorded as
    ever, but start no run and page nobody. Faulty data and a model that does worse count as at any time."""
    report_history_limit: Annotated[int, Field(ge=1)] = 100
    """Drift reports kept."""
    log_retention: Duration = timedelta(days=365)
    """Age at which logged predictions and labels are removed, by whole dates. What an open window or labels still
    expected may need stays, however old."""

    @field_validator("expected_changes")
    @classmethod
    def _changes_have_names_of_their_own(cls, changes: tuple[ExpectedChange, ...]) -> tuple[ExpectedChange, ...]:
        if len({change.name for change in changes}) < len(changes):
            raise RuleError("must have another name for each change")
        return changes


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
    schedule: Annotated[Annotated[str, Field(pattern=CRON_PATTERN, max_length=100)] | None, CLUSTER_ONLY] = None
    """Times to retrain regardless of drift, as a cron line in UTC. Absent: none."""
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
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Users who may approve a challenger, by the operating system's names on a laptop. Empty: anyone with the right to
    change the loop."""
    strict: Annotated[bool, PLANNED] = False
    """Refuse to serve a model whose card lacks owner, intended use or provenance."""
