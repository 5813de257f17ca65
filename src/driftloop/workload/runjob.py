"""The Job that executes a run of the pipeline with the local runner, and the CronJob that asks for retraining.

For clusters without Kubeflow. One pod does the whole run; it speaks to the object store alone.
"""

import json
from collections.abc import Mapping
from typing import Any

from driftloop.loop.runner import RunOrder
from driftloop.spec import ModelLoop
from driftloop.spec.operation import PipelineSpec
from driftloop.workload import names
from driftloop.workload.platform import Platform
from driftloop.workload.podsecurity import build_container_security, build_pod_security
from driftloop.workload.storeaccess import build_store_env

CONTAINER = "run"
ORDER_FOLDER, ORDER_FILE = "/etc/driftloop/order", "order.json"
"""Where the pod finds what to run (`OrderFile`)."""
WORK_FOLDER = "/work"
CLAIMANT_VARIABLE, REMINDER_VARIABLE = "DRIFTLOOP_JOB_CLAIMANT", "DRIFTLOOP_JOB_MOMENT"
BACKOFF_LIMIT = 2
"""Pods after the first: a lost node or a killed pod is no failed run. A failed stage ends the run at once."""
FAILED_STAGE_EXIT_CODE = 3
"""Exit code of a run that another try would not change."""
TTL_SECONDS = 7 * 24 * 3600
"""Time for which a finished Job stays, for its log."""
_RESOURCES = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
_REMINDER_RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}


def order_content(order: RunOrder) -> str:
    """Return what the pod reads: the package and its parameters."""
    return json.dumps({"package": order.pipeline, "parameters": dict(order.parameters)}, sort_keys=True)


def build_run_config(order: RunOrder, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap with the order of a run; `owner` is the reference to the ModelLoop."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(order.loop, names.run_job_name(order.loop.metadata.name, order.run_key), owner, order),
        "data": {ORDER_FILE: order_content(order)},
    }


def build_run_job(order: RunOrder, platform: Platform, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Job of a run; its name is that of the run, so that there is never a second."""
    name = names.run_job_name(order.loop.metadata.name, order.run_key)
    metadata = _metadata(order.loop, name, owner, order)
    pods = order.loop.spec.run_pods
    container = _container(
        platform,
        ["python", "-m", "driftloop.adapters.pipelinejob", f"{ORDER_FOLDER}/{ORDER_FILE}", WORK_FOLDER],
        resources=_resources(pods),
        env=[
            # The Job's own identity: a pod that follows a killed one finds its own claim of the run.
            _field(CLAIMANT_VARIABLE, "metadata.labels['batch.kubernetes.io/controller-uid']"),
            *build_store_env(platform.store),
            *_spec_env(order.loop.spec.run_pods),
        ],
    )
    container["volumeMounts"] += [{"name": "order", "mountPath": ORDER_FOLDER, "readOnly": True}]
    container["volumeMounts"] += [
        {"name": f"volume-{number}", "mountPath": volume.mount_path} for number, volume in enumerate(pods.volumes)
    ]
    volumes = [{"name": "order", "configMap": {"name": name}}]
    volumes += [
        {"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": volume.claim_name}}
        for number, volume in enumerate(pods.volumes)
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [FAILED_STAGE_EXIT_CODE],
                        },
                    },
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": _pod_template(order.loop, platform, metadata["labels"], container, volumes),
        },
    }


def build_schedule(loop: ModelLoop, platform: Platform, owner: Mapping[str, Any], requests_uri: str) -> dict[str, Any]:
    """Return the CronJob that files a request to retrain by `retraining.schedule`, in UTC; off while suspended."""
    name = names.schedule_name(loop.metadata.name)
    schedule = loop.spec.retraining.schedule or ""
    metadata = _metadata(loop, name, owner)
    container = _container(
        platform,
        ["python", "-m", "driftloop.adapters.reminder", requests_uri, schedule],
        resources=_REMINDER_RESOURCES,
        # A CronJob names its Jobs by the scheduled minute.
        env=[
            _field(REMINDER_VARIABLE, "metadata.labels['batch.kubernetes.io/job-name']"),
            *build_store_env(platform.store),
        ],
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "suspend": loop.spec.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": metadata["labels"]},
                "spec": {
                    "backoffLimit": BACKOFF_LIMIT,
                    "ttlSecondsAfterFinished": TTL_SECONDS,
                    "template": _pod_template(loop, platform, metadata["labels"], container, []),
                },
            },
        },
    }


def _metadata(loop: ModelLoop, name: str, owner: Mapping[str, Any], order: RunOrder | None = None) -> dict[str, Any]:
    labels = names.loop_labels(loop.metadata.name) | {names.COMPONENT_LABEL: names.RUN_COMPONENT}
    if order is None:
        return names.build_metadata(name, loop.metadata.namespace, labels, owner)
    labels[names.RUN_KEY_LABEL] = order.run_key
    annotations = {"driftloop.dev/reason": order.reason} | (
        {"driftloop.dev/drift-report": order.report} if order.report else {}
    )
    return names.build_metadata(name, loop.metadata.namespace, labels, owner, annotations=annotations)


def _pod_template(
    loop: ModelLoop,
    platform: Platform,
    labels: Mapping[str, str],
    container: dict[str, Any],
    volumes: list[dict[str, Any]],
) -> dict[str, Any]:
    pods = loop.spec.pipeline
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": pods.service_account_name or names.service_account_name(loop.metadata.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": build_pod_security(),
        "containers": [container],
        "volumes": [*volumes, {"name": "work", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }
    if pods.node_selector:
        spec["nodeSelector"] = dict(pods.node_selector)
    if pods.tolerations:
        spec["tolerations"] = [toleration.to_dict() for toleration in pods.tolerations]
    if platform.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in platform.images.pull_secrets]
    # A mesh's proxy would outlive the run, and the Job would never end.
    mesh = {"sidecar.istio.io/inject": "false"}
    return {"metadata": {"labels": dict(labels) | mesh, "annotations": dict(mesh)}, "spec": spec}


def _container(
    platform: Platform, command: list[str], *, resources: Mapping[str, Any], env: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": platform.images.pipeline,
        "imagePullPolicy": platform.images.pull_policy,
        "command": command,
        "env": [
            {"name": "HOME", "value": WORK_FOLDER},
            {"name": "BENTOML_HOME", "value": f"{WORK_FOLDER}/bentoml"},
            *env,
        ],
        "resources": dict(resources),
        "securityContext": build_container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "work", "mountPath": WORK_FOLDER}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _resources(pods: PipelineSpec) -> dict[str, dict[str, str]]:
    """Return what the spec says; a resource that it names is the spec's alone, the others have defaults."""
    stated = {"requests": pods.resources.requests, "limits": pods.resources.limits}
    named = {*pods.resources.requests, *pods.resources.limits}
    return {
        group: {name: amount for name, amount in defaults.items() if name not in named} | dict(stated[group])
        for group, defaults in _RESOURCES.items()
    }


def _spec_env(pods: PipelineSpec) -> list[dict[str, Any]]:
    return [
        {
            "name": variable.name,
            "valueFrom": {"secretKeyRef": variable.secret_key_ref.to_dict()},
        }
        for variable in pods.env
    ]


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
