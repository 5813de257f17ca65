"""Runs pipelines on Kubeflow Pipelines: implements `loop.runner.Runner` on its v2beta1 API.

A run is found again by its key, which its name ends with. Creating runs isn't idempotent, so that a create-only object
decides who creates (`runclaim`), and every creation is preceded by a look.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from driftloop.adapters.failedpods import tell_failed_pods
from driftloop.adapters.kfp_local import stage_names
from driftloop.adapters.kubeapi import KubeApi, RejectedError
from driftloop.adapters.kubeflowapi import RUNNER, KubeflowApi, KubeflowRefusedError, NotSentError, plain_text
from driftloop.adapters.pipelinepackage import PipelinePackage, read_package
from driftloop.adapters.runclaim import RunClaim
from driftloop.loop.parameters import step_parameters
from driftloop.loop.runner import RunOrder, RunPhase, RunView
from driftloop.spec import ModelLoop
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload import names
from driftloop.workload.platform import Platform

SCHEDULE = "schedule"
"""Package of what recurs."""
STORE_CONFIG = "driftloop-store"
"""ConfigMap that the runner keeps beside the steps' pods: endpoint and region of the object store."""
SCHEDULE_LOOK = timedelta(minutes=10)
"""Time between two looks at a recurring run that is as it shall be."""
_MOMENT = "[[CurrentTime.200601021504]]"
"""What Kubeflow fills in as it creates a run: the minute. (`[[ScheduledTime]]` stays as it is in v2 runs of 2.17.)"""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)
_KUBEFLOW_NAMESPACE = "kubeflow"
_SINGLE_FLIGHT = "1"
_PHASES = {
    "RUNNING": RunPhase.RUNNING,
    "PAUSED": RunPhase.RUNNING,
    "CANCELING": RunPhase.RUNNING,
    "SUCCEEDED": RunPhase.SUCCEEDED,
    "FAILED": RunPhase.FAILED,
    "CANCELED": RunPhase.FAILED,
    "SKIPPED": RunPhase.FAILED,
}
_PREFERENCE = (RunPhase.SUCCEEDED, RunPhase.RUNNING, RunPhase.PENDING, RunPhase.FAILED)


@dataclass(frozen=True)
class _Target:
    """What a run is created of."""

    experiment_id: str
    pipeline_id: str
    version_id: str


class KubeflowRunner:
    """Kubeflow Pipelines as the runner of every loop of a cluster. Threads may share it.

    Args:
        url: of the API, such as `http://ml-pipeline.kubeflow:8888`.
        objects: the Kubernetes API of the cluster that it runs in.
        platform: images and object store of the steps.
        ui_url: where people open Kubeflow's UI; empty: `url`.
        token_path: file with a service account token; empty for a Kubeflow Pipelines without users.
        now: the clock.
    """

    def __init__(
        self,
        url: str,
        objects: KubeApi,
        platform: Platform,
        *,
        ui_url: str = "",
        token_path: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = KubeflowApi(url, token_path=token_path, now=now)
        self._objects = objects
        self._platform = platform
        self._ui_url = (ui_url or url).rstrip("/")
        self._claim = RunClaim(objects, RUNNER, self._api.url, now)
        self._now = now
        self._is_multi_user: bool | None = None
        self._known: dict[tuple[str, ...], str] = {}  # ids by what they are of
        self._schedules: dict[tuple[str, str], tuple[str, datetime]] = {}  # what recurs, and when that was seen

    def start(self, order: RunOrder) -> None:
        """Start the run unless it was started before."""
        if self._find(order):
            return
        target = self._prepare(order.loop, read_package(order.pipeline, order.loop.spec.run_pods))
        if self._claim.take(order) and self._find(order):
            return  # the attempt before this one took effect late
        try:
            self._api.create_run(self._build_run(order, target))
        except (NotSentError, KubeflowRefusedError) as error:
            self._claim.release(order)
            if isinstance(error, KubeflowRefusedError):
                self._forget()  # what the run refers to may have been deleted
            raise

    def look(self, order: RunOrder) -> RunView | None:
        """Return how far the run is; None when no run with this key was ever started."""
        run = self._find(order)
        if run is None:
            return None
        phase = _phase(run)
        return RunView(
            phase=phase,
            stage=_stage_under_way(run, stage_names(order.pipeline)) if phase is RunPhase.RUNNING else "",
            error=self._tell_failure(order, run) if phase is RunPhase.FAILED else "",
            url=f"{self._ui_url}/#/runs/details/{run.run_id}",
        )

    def cancel(self, order: RunOrder) -> None:
        """End the run if it is under way."""
        run = self._find(order)
        if run is not None and _phase(run) in (RunPhase.PENDING, RunPhase.RUNNING):
            self._api.terminate_run(run.run_id)

    def keep_schedule(self, loop: ModelLoop) -> None:
        """Make the loop's recurring run what `retraining.schedule` says; off while the loop is suspended."""
        if loop.spec.retraining.schedule is None:
            self.drop_schedule(loop)
            return
        package = read_package(SCHEDULE)
        wanted = self._schedule_digest(loop, package)
        state = f"{wanted} {'off' if loop.spec.suspend else 'on'}"
        if self._was_left(loop, state):
            return
        found = self._recurring_runs(loop)
        kept = next((run for run in found if wanted in (run.description or "")), None)
        for run in found:
            if run is not kept:
                self._api.delete_recurring_run(run.recurring_run_id)
        if kept is None:
            self._api.create_recurring_run(self._build_recurring_run(loop, package, wanted))
        elif (kept.status == "ENABLED") == loop.spec.suspend:
            self._api.switch_recurring_run(kept.recurring_run_id, on=not loop.spec.suspend)
        self._note_left(loop, state)

    def drop_schedule(self, loop: ModelLoop) -> None:
        """Remove the loop's recurring run; gone already is fine."""
        if self._was_left(loop, "none"):
            return
        for run in self._recurring_runs(loop):
            self._api.delete_recurring_run(run.recurring_run_id)
        self._note_left(loop, "none")

    def _was_left(self, loop: ModelLoop, state: str) -> bool:
        """Return whether that was the state a while ago; people may have changed it in the UI since."""
        known, seen = self._schedules.get((loop.metadata.namespace, loop.metadata.name), ("", _LONG_AGO))
        return known == state and self._now() < seen + SCHEDULE_LOOK

    def _note_left(self, loop: ModelLoop, state: str) -> None:
        self._schedules[loop.metadata.namespace, loop.metadata.name] = (state, self._now())

    def _find(self, order: RunOrder) -> Any | None:
        """Return the run of an order.

        A late submission or a person's clone makes several of a key: the one counts that got on best, because the
        others end at the claim in the object store.
        """
        found = self._api.runs(order.run_key, self._namespace(order.loop))
        ours = [run for run in found if run.display_name == run_name(order)] or found
        return min(ours, key=lambda run: (_PREFERENCE.index(_phase(run)), str(run.created_at)), default=None)

    def _prepare(self, loop: ModelLoop, package: PipelinePackage) -> _Target:
        """Make sure of pipeline, version and experiment, and of what the steps' pods read."""
        namespace = self._namespace(loop)
        self._keep_store_config(namespace or self._kubeflow_namespace())
        pipeline_id = self._once(
            ("pipeline", namespace, package.pipeline),
            lambda: self._api.pipeline(package.pipeline, namespace),
            lambda: self._api.create_pipeline(package.pipeline, namespace, "Runs for driftloop's ModelLoops."),
            "pipeline_id",
        )
        version_id = self._once(
            ("version", pipeline_id, package.version),
            lambda: self._api.pipeline_version(pipeline_id, package.version),
            lambda: self._upload(pipeline_id, package),
            "pipeline_version_id",
        )
        name = f"{loop.metadata.namespace}/{loop.metadata.name}"
        experiment_id = self._once(
            ("experiment", namespace, name),
            lambda: self._api.experiment(name, namespace),
            lambda: self._api.create_experiment(name, namespace, f"Runs of the ModelLoop {name}."),
            "experiment_id",
        )
        return _Target(experiment_id, pipeline_id, version_id)

    def _once(
        self, key: tuple[str, ...], find: Callable[[], Any | None], create: Callable[[], Any], id_field: str
    ) -> str:
        """Return the id of something that has a unique name, which is created where it is missing."""
        if key not in self._known:
            found = find()
            if found is None:
                try:
                    found = create()
                except KubeflowRefusedError as error:
                    if error.status != HTTPStatus.CONFLICT or (found := find()) is None:
                        raise
            self._known[key] = str(getattr(found, id_field))
        return self._known[key]

    def _upload(self, pipeline_id: str, package: PipelinePackage) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{package.version}.yaml"
            path.write_text(package.content, encoding="utf-8")
            description = "Named by its content; never changed."
            return self._api.upload_version(pipeline_id, package.version, path, description)

    def _keep_store_config(self, namespace: str) -> None:
        """Tell the steps where the object store is; an operator without the right leaves that to whoever installs."""
        store = self._platform.store
        data = {"AWS_DEFAULT_REGION": store.region}
        if store.endpoint_url:
            data["AWS_ENDPOINT_URL"] = store.endpoint_url
        key, state = ("store", namespace), json.dumps(data)
        if self._known.get(key) == state:
            return
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
        metadata = {"name": STORE_CONFIG, "namespace": namespace, "labels": labels}
        try:
            self._objects.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        except RejectedError as error:
            _log.warning("ConfigMap '%s/%s' not kept: %s", namespace, STORE_CONFIG, error)
        self._known[key] = state

    def _build_run(self, order: RunOrder, target: _Target) -> Any:
        models = self._api.models
        report = f" Drift report: {order.loop.metadata.namespace}/{order.report}." if order.report else ""
        return models.V2beta1Run(
            experiment_id=target.experiment_id,
            display_name=run_name(order),
            description=f"{order.reason.rstrip('.')}.{report} Run key: {order.run_key}. It promotes nothing by itself.",
            pipeline_version_reference=models.V2beta1PipelineVersionReference(
                pipeline_id=target.pipeline_id, pipeline_version_id=target.version_id
            ),
            runtime_config=models.V2beta1RuntimeConfig(parameters=dict(order.parameters) | self._store_parameters()),
            service_account=order.loop.spec.pipeline.service_account_name or None,
        )

    def _store_parameters(self) -> dict[str, str]:
        secret = self._platform.store.secret_name
        return {"store_config": STORE_CONFIG} | ({"store_secret": secret} if secret else {})

    def _recurring_runs(self, loop: ModelLoop) -> list[Any]:
        found = self._api.recurring_runs(_schedule_name(loop), self._namespace(loop))
        return sorted(found, key=lambda run: (str(run.created_at), run.recurring_run_id))

    def _schedule_parameters(self, loop: ModelLoop) -> dict[str, Any]:
        layout = StoreLayout(self._platform.store.uri, loop.metadata.namespace, loop.metadata.name)
        placed = step_parameters(loop.spec.pipeline)
        return {
            "loop": loop.metadata.name,
            "requests_uri": layout.requests,
            "schedule": loop.spec.retraining.schedule,
            "moment": _MOMENT,
            "image": self._platform.images.pipeline,
            **{name: placed[name] for name in ("node_selector", "tolerations") if name in placed},
            **self._store_parameters(),
        }

    def _schedule_digest(self, loop: ModelLoop, package: PipelinePackage) -> str:
        parts = [package.version, self._schedule_parameters(loop), loop.spec.pipeline.service_account_name]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def _build_recurring_run(self, loop: ModelLoop, package: PipelinePackage, digest: str) -> Any:
        models, target = self._api.models, self._prepare(loop, package)
        return models.V2beta1RecurringRun(
            experiment_id=target.experiment_id,
            display_name=_schedule_name(loop),
            description=f"Asks the loop to retrain; its controller decides and starts the run. State {digest}.",
            pipeline_version_reference=models.V2beta1PipelineVersionReference(
                pipeline_id=target.pipeline_id, pipeline_version_id=target.version_id
            ),
            runtime_config=models.V2beta1RuntimeConfig(parameters=self._schedule_parameters(loop)),
            service_account=loop.spec.pipeline.service_account_name or None,
            # Kubeflow's cron lines begin with seconds.
            trigger=models.V2beta1Trigger(
                cron_schedule=models.V2beta1CronSchedule(cron=f"0 {loop.spec.retraining.schedule}")
            ),
            mode="DISABLE" if loop.spec.suspend else "ENABLE",
            max_concurrency=_SINGLE_FLIGHT,
            no_catchup=True,
        )

    def _tell_failure(self, order: RunOrder, run: Any) -> str:
        where = self._namespace(order.loop) or self._kubeflow_namespace()
        said = tell_failed_pods(self._objects, where, run.run_id, stage_names(order.pipeline))
        if said:
            return said
        if run.state in ("CANCELING", "CANCELED"):
            return "it was stopped in Kubeflow"
        tasks = [task for task in _tasks(run) if task.state == "FAILED" and task.error and task.error.message]
        told = [f"{task.display_name}: {plain_text(task.error.message)}" for task in tasks]
        if run.error and run.error.message:
            told.append(plain_text(run.error.message))
        return "; ".join(dict.fromkeys(told)) or "Kubeflow gives no reason; see the run's page"

    def _namespace(self, loop: ModelLoop) -> str:
        """Return the namespace of the loop's runs as the API counts it: none where there are no users."""
        if self._is_multi_user is None:
            self._is_multi_user = self._api.is_multi_user()
        return loop.metadata.namespace if self._is_multi_user else ""

    def _kubeflow_namespace(self) -> str:
        """Return where steps run in a Kubeflow Pipelines without users: in its own namespace, by its Service's name."""
        parts = (urlsplit(self._api.url).hostname or "").split(".")
        return parts[1] if len(parts) > 1 and not parts[-1].isdigit() else _KUBEFLOW_NAMESPACE

    def _forget(self) -> None:
        self._known.clear()


def run_name(order: RunOrder) -> str:
    """Return what people read in the list of runs; it ends with the key."""
    return f"{order.loop.metadata.name} v{order.number} · {order.cause} · {order.run_key}"


def _schedule_name(loop: ModelLoop) -> str:
    return f"{loop.metadata.namespace}/{loop.metadata.name} · schedule"


def _phase(run: Any) -> RunPhase:
    return _PHASES.get(str(run.state), RunPhase.PENDING)


def _tasks(run: Any) -> list[Any]:
    return list(run.run_details.task_details or ()) if run.run_details else []


def _stage_under_way(run: Any, stages: tuple[str, ...]) -> str:
    running = {task.display_name for task in _tasks(run) if task.state == "RUNNING"}
    return next((stage for stage in reversed(stages) if stage in running), "")
