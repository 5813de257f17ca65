"""Runs pipelines in Kubernetes Jobs, for clusters without Kubeflow: implements `loop.runner.Runner`.

A Job is named by its run's key, so that creating it again changes nothing. What it executes is in `pipelinejob`.
"""

from contextlib import suppress
from typing import Any

from driftloop.adapters.failedpods import explain_container
from driftloop.adapters.kubeapi import AlreadyExistsError, ApiUnavailableError, KubeApi
from driftloop.adapters.runclaim import owner_of
from driftloop.errors import DriftloopError
from driftloop.loop.runner import RunnerUnavailableError, RunOrder, RunPhase, RunView
from driftloop.spec import ModelLoop
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload import names
from driftloop.workload.platform import Platform
from driftloop.workload.runjob import CONTAINER, build_run_config, build_run_job, build_schedule

_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")
_TAIL_LINES = 80


class JobRunner:
    """One Kubernetes Job for each run. Threads may share it.

    Args:
        objects: the Kubernetes API.
        platform: image and object store of the Jobs.
    """

    def __init__(self, objects: KubeApi, platform: Platform) -> None:
        self._objects = objects
        self._platform = platform

    def start(self, order: RunOrder) -> None:
        """Create the run's Job unless there is one."""
        try:
            owner = owner_of(self._objects, order.loop)
            for built in (build_run_config(order, owner), build_run_job(order, self._platform, owner)):
                with suppress(AlreadyExistsError):
                    self._objects.create(built)
        except ApiUnavailableError as error:
            raise self._unavailable(error) from error

    def look(self, order: RunOrder) -> RunView | None:
        """Return how far the run's Job is; None where there is none."""
        try:
            job = self._objects.get("Job", *self._place(order))
            return None if job is None else self._view(order, job)
        except ApiUnavailableError as error:
            raise self._unavailable(error) from error

    def cancel(self, order: RunOrder) -> None:
        """Stop the run's pods; the Job stays, so that the run is not started again."""
        if (view := self.look(order)) and view.phase in (RunPhase.PENDING, RunPhase.RUNNING):
            self._objects.patch("Job", *self._place(order), {"spec": {"suspend": True}})

    def keep_schedule(self, loop: ModelLoop) -> None:
        """Make the loop's CronJob what `retraining.schedule` says."""
        if loop.spec.retraining.schedule is None:
            self.drop_schedule(loop)
            return
        layout = StoreLayout(self._platform.store.uri, loop.metadata.namespace, loop.metadata.name)
        try:
            owner = owner_of(self._objects, loop)
            self._objects.apply(build_schedule(loop, self._platform, owner, layout.requests))
        except ApiUnavailableError as error:
            raise self._unavailable(error) from error

    def drop_schedule(self, loop: ModelLoop) -> None:
        """Remove the loop's CronJob."""
        try:
            self._objects.delete("CronJob", loop.metadata.namespace, names.schedule_name(loop.metadata.name))
        except ApiUnavailableError as error:
            raise self._unavailable(error) from error

    def _view(self, order: RunOrder, job: dict[str, Any]) -> RunView:
        status = job.get("status", {})
        conditions = {one["type"]: one for one in status.get("conditions", ()) if one["status"] == "True"}
        if "Complete" in conditions:
            return RunView(RunPhase.SUCCEEDED)
        if "Failed" in conditions:
            return RunView(RunPhase.FAILED, error=self._tell_failure(order, conditions["Failed"]))
        if job["spec"].get("suspend"):
            return RunView(RunPhase.FAILED, error="it was stopped")
        return self._view_of_pod(self._newest_pod(order))

    def _view_of_pod(self, pod: dict[str, Any] | None) -> RunView:
        if pod is None:
            return RunView(RunPhase.PENDING)
        status = pod.get("status", {})
        if status.get("phase") == "Running":
            return RunView(RunPhase.RUNNING, stage=self._stage(pod))
        waiting = (_container(pod).get("state", {}).get("waiting") or {}) if status.get("containerStatuses") else {}
        if waiting.get("reason") in _STUCK:
            return RunView(RunPhase.PENDING, stage=f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": "))
        unplaced = [one for one in status.get("conditions", ()) if one.get("reason") == "Unschedulable"]
        return RunView(
            RunPhase.PENDING, stage=f"no node takes it: {unplaced[0].get('message', '')}" if unplaced else ""
        )

    def _stage(self, pod: dict[str, Any]) -> str:
        """Return the stage that was told of last; the pod itself can't write to the API."""
        for line in reversed(self._log(pod, 1).splitlines()):
            word, _, rest = line.partition(" ")
            if word == "stage":
                return rest.split(" ")[0]
        return ""

    def _tell_failure(self, order: RunOrder, condition: dict[str, Any]) -> str:
        pod = self._newest_pod(order)
        ended = _container(pod).get("state", {}).get("terminated") if pod else None
        if pod and ended and ended.get("exitCode"):
            return " ".join(explain_container(ended, self._log(pod, _TAIL_LINES)).split())
        evicted = pod.get("status", {}).get("message") if pod else ""
        return str(evicted or condition.get("message") or condition.get("reason") or "its Job failed without a word")

    def _newest_pod(self, order: RunOrder) -> dict[str, Any] | None:
        namespace, name = self._place(order)
        pods = self._objects.list("Pod", namespace, {"batch.kubernetes.io/job-name": name})
        return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)

    def _log(self, pod: dict[str, Any], lines: int) -> str:
        metadata = pod["metadata"]
        try:
            return self._objects.pod_log(metadata["namespace"], metadata["name"], CONTAINER, tail_lines=lines)
        except DriftloopError:
            return ""

    def _place(self, order: RunOrder) -> tuple[str, str]:
        loop = order.loop.metadata
        return loop.namespace, names.run_job_name(loop.name, order.run_key)

    def _unavailable(self, error: ApiUnavailableError) -> RunnerUnavailableError:
        return RunnerUnavailableError("The Kubernetes API", self._objects.host, error)


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return next((one for one in statuses if one["name"] == CONTAINER), {})
