"""Names, labels, annotations and ports of every Kubernetes object of a loop.

One definition for builders, operator, monitor and tests.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from driftloop.spec.modelloop import API_VERSION, KIND
from driftloop.stages.package import VERSION_LENGTH

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "driftloop"
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
LOOP_LABEL = "driftloop.dev/loop"
MODEL_VERSION_LABEL = "driftloop.dev/model-version"
RUN_KEY_LABEL = "driftloop.dev/run-key"
LABEL_SENDERS_LABEL = "driftloop.dev/reaches-labels"
"""On a Namespace, with the value `true`: its pods may reach the labels' port of every loop (senders, Prometheus)."""

SERVER_COMPONENT = "server"
RUN_COMPONENT = "run"

BENTO_DIGEST_ANNOTATION = "driftloop.dev/bento-digest"
BENTO_URI_ANNOTATION = "driftloop.dev/bento-uri"

RETRAIN_ANNOTATION = "driftloop.dev/retrain-requested-at"
ROLLBACK_ANNOTATION = "driftloop.dev/rollback"
MUTE_ANNOTATION = "driftloop.dev/mute"
ACKNOWLEDGE_ANNOTATION = "driftloop.dev/acknowledge"
APPROVE_ANNOTATION = "driftloop.dev/approve"

FINALIZER = "driftloop.dev/loop"
"""Keeps a ModelLoop until what its owner references can't reach is cleaned up."""

OPERATOR_LEASE = "driftloop-operator"
"""In the operator's namespace: its holder acts."""
OPERATOR_LABELS: Mapping[str, str] = {NAME_LABEL: "driftloop", COMPONENT_LABEL: "operator"}
"""Of the operator's Deployment, whatever the release is called."""

FETCH_CONTAINER = "fetch"
MONITOR_CONTAINER = "monitor"
SERVER_CONTAINER = "server"

BENTO_REFUSED_EXIT_CODE = 3
"""Of the fetch container, where what it brought is not what the digest names: trying again can't help."""

SERVER_PORT = 3000
LABELS_PORT = 8090
SERVICE_PORT = 80
SERVER_PORT_NAME = "http"
LABELS_PORT_NAME = "labels"

LOOP_FILE = "loop.json"
"""Key of the ConfigMap, and name of the file in the monitor."""

NO_MODEL = "none"
"""Model version that a Service selects as long as there is no champion: no pod has it."""


_LONGEST_SCHEDULED = 52 - len("-schedule")


def deployment_name(loop: str, model_version: str) -> str:
    """Return the name of the Deployment of one model version.

    >>> deployment_name("wine", "0123456789ab")
    'wine-0123456789ab'
    """
    return f"{loop}-{model_version[:VERSION_LENGTH]}"


def predictions_service_name(loop: str) -> str:
    """Return the name of the Service that clients ask for predictions."""
    return loop


def labels_service_name(loop: str) -> str:
    """Return the name of the Service that takes labels."""
    return f"{loop}-labels"


def service_account_name(loop: str) -> str:
    """Return the name of the ServiceAccount of the serving pods; Role and RoleBinding have it too."""
    return loop


def loop_config_name(loop: str) -> str:
    """Return the name of the ConfigMap with the loop for its monitors."""
    return f"{loop}-loop"


def disruption_budget_name(loop: str) -> str:
    """Return the name of the PodDisruptionBudget."""
    return loop


def autoscaler_name(loop: str) -> str:
    """Return the name of the HorizontalPodAutoscaler."""
    return loop


def network_policy_name(loop: str) -> str:
    """Return the name of the NetworkPolicy."""
    return loop


def service_monitor_name(loop: str) -> str:
    """Return the name of the ServiceMonitor."""
    return loop


def evaluator_lease_name(loop: str) -> str:
    """Return the name of the Lease whose holder judges windows."""
    return f"{loop}-evaluator"


def run_job_name(loop: str, run_key: str) -> str:
    """Return the name of the Job of one run."""
    return f"{loop}-{run_key}"


def schedule_name(loop: str) -> str:
    """Return the name of the CronJob of `retraining.schedule`: at most 52 characters, as Kubernetes wants.

    >>> schedule_name("wine")
    'wine-schedule'
    """
    if len(loop) > _LONGEST_SCHEDULED:
        loop = f"{loop[: _LONGEST_SCHEDULED - 9]}-{hashlib.sha256(loop.encode()).hexdigest()[:8]}"
    return f"{loop}-schedule"


def loop_labels(loop: str) -> dict[str, str]:
    """Return the labels of every object of a loop."""
    return {MANAGED_BY_LABEL: MANAGED_BY, LOOP_LABEL: loop}


def server_labels(loop: str, model_version: str) -> dict[str, str]:
    """Return the labels of the serving pods of one model version."""
    return loop_labels(loop) | {
        NAME_LABEL: loop,
        COMPONENT_LABEL: SERVER_COMPONENT,
        MODEL_VERSION_LABEL: model_version[:VERSION_LENGTH],
    }


def server_selector(loop: str, model_version: str | None = None) -> dict[str, str]:
    """Return the labels that select a loop's serving pods: of one model version, or of all."""
    selector = {LOOP_LABEL: loop, COMPONENT_LABEL: SERVER_COMPONENT}
    return selector | ({MODEL_VERSION_LABEL: model_version[:VERSION_LENGTH]} if model_version else {})


def owner_reference(loop: str, object_uid: str) -> dict[str, Any]:
    """Return the reference by which an object goes with its ModelLoop.

    Args:
        loop: name of the ModelLoop.
        object_uid: its `metadata.uid`.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": loop,
        "uid": object_uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def build_metadata(
    name: str, namespace: str, labels: Mapping[str, str], owner: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Return the `metadata` of an owned object; `more` adds fields such as annotations."""
    return {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels),
        "ownerReferences": [dict(owner)],
        **more,
    }
