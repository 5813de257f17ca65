"""Settings of the operator, read once at start from the environment (`DRIFTLOOP_OPERATOR_...`), set by the chart."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from driftloop.workload.platform import Platform


class OperatorSettings(BaseSettings):
    """What the operator is told by whoever installs it.

    Nested fields are named with two underscores: `DRIFTLOOP_OPERATOR_PLATFORM__STORE__URI`.
    """

    model_config = SettingsConfigDict(
        env_prefix="DRIFTLOOP_OPERATOR_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    platform: Platform
    """Images and object store of all loops."""
    namespace: Annotated[str, Field(min_length=1)]
    """Where the operator itself runs, and keeps its Lease."""
    identity: Annotated[str, Field(min_length=1)]
    """Holder of the Lease: the pod's name."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces whose loops are driven, as a JSON list. Empty: all."""
    kubeflow_url: str = ""
    """Kubeflow Pipelines' API, such as `http://ml-pipeline.kubeflow:8888`. Empty: loops with the runner `Kubeflow` wait
    and say so."""
    kubeflow_ui_url: str = ""
    """Where people open Kubeflow's UI; links to runs start with it. Empty: `kubeflow_url`."""
    kubeflow_token_path: str = ""
    """File with a service account token for Kubeflow's API, read again as it changes. Empty: the API asks for none."""
    max_concurrent_runs: Annotated[int, Field(ge=1)] = 4
    """Most runs in progress at a time over all loops: one broken feed may drift every loop at once."""
    webhook_url: str = ""
    """Where alarms and decisions are posted, one CloudEvent each. Empty: nowhere."""
    webhook_timeout_seconds: Annotated[float, Field(gt=0)] = 5
    """Longest wait for the webhook's answer; the loops never wait for it."""
    available_seconds: Annotated[float, Field(gt=0)] = 600
    """Time in which a new model's Deployment must become available, or the model is rejected."""
    drain_seconds: Annotated[float, Field(ge=0)] = 60
    """Time for which the old champion's pods stay after traffic has moved away."""
    poll_seconds: Annotated[float, Field(gt=0)] = 10
    """Time between two looks at a loop that nothing woke."""
    busy_poll_seconds: Annotated[float, Field(gt=0)] = 2
    """Time between two looks at a loop with a run or a rollout under way."""
    lease_seconds: Annotated[float, Field(ge=3)] = 15
    """Time for which the Lease holds without renewal: how long a dead operator's successor waits."""
    workers: Annotated[int, Field(ge=1)] = 16
    """Most loops stepped side by side."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port of `/metrics`."""
    health_port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """Port of `/healthz`."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """Least severe of the log's lines."""
