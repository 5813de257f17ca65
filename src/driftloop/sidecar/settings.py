"""Settings of the monitor's processes, read once at start from the environment (`DRIFTLOOP_MONITOR_...`)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 2**20


class MonitorSettings(BaseSettings):
    """What the supervisor, the intake and the evaluator share."""

    model_config = SettingsConfigDict(
        env_prefix="DRIFTLOOP_MONITOR_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    loop_file: Path
    """The ModelLoop whose traffic is watched."""
    loop_uid: Annotated[str, Field(min_length=1)]
    """Identity of the loop: part of the names of drift reports."""
    log_dir: Path
    """Folder of the prediction log."""
    state_dir: Path
    """Folder of verdicts, drift reports and the evaluator's progress."""
    baselines_dir: Path
    """Folder with `<model version>/{schema,baseline}.json` for every version that may serve."""
    tap_socket: Path
    """Unix socket on which model servers hand over their records."""
    host: str = "127.0.0.1"
    """Address on which labels are taken. In a pod: 0.0.0.0."""
    labels_port: Annotated[int, Field(ge=1, le=65535)] = 8090
    """Port of labels, status, health and metrics."""
    writer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "monitor"
    """Name of this monitor as a writer of the log, unique among those that share the folder. In a pod: the pod's."""
    clock: Literal["wall", "replay"] = "wall"
    """wall: event time is the time of receipt. replay: event time comes with requests and labels, and every watermark
    is committed at once."""
    commit_interval_seconds: Annotated[float, Field(gt=0)] = 300
    """Time between two commits of the log by wall clock: how late a window's close may be noticed."""
    sync: Literal["always", "interval", "never"] = "always"
    """When the disk is waited for, beyond what a killed process survives anyway. always: before each acknowledgement.
    interval: for predictions every `sync_interval_seconds`; for labels before each. never: as the system likes. See
    docs/prediction-log-durability.md."""
    sync_interval_seconds: Annotated[float, Field(gt=0)] = 1
    """Predictions that a power failure may take, in seconds, while `sync` is interval."""
    return_seconds: Annotated[float, Field(ge=0)] = 3
    """Time after the start in which nothing is promised complete: model servers come back with what they hold."""
    writer_silence_seconds: Annotated[float, Field(gt=0)] = 900
    """Time by wall clock after which windows no longer wait for a writer of the log that commits nothing: three of its
    commit intervals. The verdict names it. In a replay every writer is waited for."""
    evaluator_memory_mebibytes: Annotated[int, Field(ge=512)] = 1024
    """Data memory at which the evaluator fails, rather than the pod. alibi-detect alone takes 300."""
    labels_memory_mebibytes: Annotated[int, Field(ge=256)] = 1024
    """Data memory at which the label process fails, rather than the pod: some two million rows of a polled table."""
    poll_interval_seconds: Annotated[float, Field(gt=0)] = 1
    """Time between two looks of the evaluator at the log."""
    store_uri: str = ""
    """In a cluster: root of the object store of all loops, such as `s3://bucket/driftloop`. Empty: the log stays
    on this machine, and this monitor alone judges it."""
    namespace: str = ""
    """In a cluster: namespace of the ModelLoop."""
    loop_object_uid: str = ""
    """In a cluster: `metadata.uid` of the ModelLoop, which owns the DriftReports."""
    lease_seconds: Annotated[int, Field(ge=3)] = 15
    """In a cluster: time after which another monitor judges in the place of one that is gone."""
    label_commit_seconds: Annotated[float, Field(ge=0)] = 2
    """In a cluster: least time between two commits for the sake of labels, which are acknowledged only in the store."""
    label_wait_seconds: Annotated[float, Field(gt=0)] = 20
    """In a cluster: time after which a request with labels that are not in the store is answered 503."""
    local_log_mebibytes: Annotated[int, Field(ge=64)] = 1024
    """In a cluster: size of the local log at which no more records are taken, as on a full disk: what the store has not
    taken yet must fit into the pod's volume. Keep it below the volume's `sizeLimit`, which evicts the pod."""
    shipped_keep_seconds: Annotated[float, Field(ge=0)] = 60
    """In a cluster: time that segments stay on this machine after the store has them."""

    @model_validator(mode="after")
    def _says_which_loop(self) -> Self:
        if self.store_uri and not (self.namespace and self.loop_object_uid and self.clock == "wall"):
            raise ValueError("with a store_uri, namespace and loop_object_uid must be set, and the clock must be wall")
        return self
