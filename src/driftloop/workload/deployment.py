"""The Deployment of one model version: fetch and verify the Bento, then serve it beside its monitor.

The pod template follows from the serving group of the spec, the Bento and the platform alone, so that nothing else
restarts a server.
"""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner
from driftloop.workload.platform import Platform
from driftloop.workload.podsecurity import build_container_security, build_pod_security
from driftloop.workload.resources import (
    EVALUATOR_MEBIBYTES,
    LABELS_MEBIBYTES,
    build_fetch_resources,
    build_monitor_resources,
    build_server_resources,
    build_thread_env,
)
from driftloop.workload.storeaccess import build_store_env

BENTO_FOLDER = "/models/bento"
"""Where the Bento is unpacked. Below the volume's root, so that it appears whole or not at all."""
DRAIN_SECONDS = 8
"""Time for which a server that was told to end goes on answering: until every node has taken it out of the Service."""
KEEP_ALIVE_SECONDS = 75
"""Idle time of a connection before the server closes it: above the 60 s of usual load balancers, which close first."""
TERMINATION_SECONDS = 60
"""Drain, requests under way (10 s), the tap (5 s), then the monitor's last flush (20 s)."""
PROGRESS_DEADLINE_SECONDS = 600
_START_ATTEMPTS, _START_PERIOD_SECONDS = 90, 2
_TOKEN_SECONDS = 3607  # what kube-apiserver gives its own automatic mounts
_MODELS, _TAP, _MONITOR, _LOOP, _TOKEN = "models", "tap", "monitor", "loop", "token"
_TAP_FOLDER, _MONITOR_FOLDER, _LOOP_FOLDER = "/run/driftloop", "/var/lib/driftloop", "/etc/driftloop"
_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
_LOCAL_LOG_MEBIBYTES = 1024
_CLIENT_SECONDS = 5


def build_server_deployment(  # noqa: PLR0917 - seven facts of seven kinds
    loop: ModelLoop,
    model_version: str,
    bento_uri: str,
    bento_digest: str,
    runtime_image: str,
    platform: Platform,
    owner: Owner,
    *,
    replicas: int | None = None,
) -> dict[str, Any]:
    """Return the Deployment that serves one model version.

    Args:
        loop: whose champion or challenger is served.
        model_version: the first 12 characters of the Bento's digest.
        bento_uri: address of the Bento.
        bento_digest: what its content must add up to.
        runtime_image: image of the server, as the Bento's manifest names it.
        platform: images and object store.
        owner: the ModelLoop.
        replicas: number of pods; None: `minReplicas`. Where an autoscaler is at work, pass what the Deployment has.
    """
    name = loop.metadata.name
    labels = names.server_labels(name, model_version)
    annotations = {names.BENTO_URI_ANNOTATION: bento_uri, names.BENTO_DIGEST_ANNOTATION: bento_digest}
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(names.SERVER_PORT),
        "prometheus.io/path": "/metrics",
        "kubectl.kubernetes.io/default-container": names.SERVER_CONTAINER,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owner.metadata(loop, names.deployment_name(name, model_version), labels, annotations=annotations),
        "spec": {
            "replicas": loop.spec.serving.min_replicas if replicas is None else replicas,
            "selector": {"matchLabels": names.server_selector(name, model_version)},
            # A pod goes only when its successor is ready: a version that never gets ready leaves the old one alone.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations | scrape},
                "spec": _build_pod_spec(
                    loop,
                    platform,
                    init_containers=[
                        _build_fetch(bento_uri, bento_digest, platform),
                        _build_monitor(loop, platform, owner),
                    ],
                    server=_build_server(loop, runtime_image, platform),
                ),
            },
        },
    }


def _build_pod_spec(
    loop: ModelLoop, platform: Platform, *, init_containers: list[dict[str, Any]], server: dict[str, Any]
) -> dict[str, Any]:
    pod = {
        "serviceAccountName": names.service_account_name(loop.metadata.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": build_pod_security(),
        "terminationGracePeriodSeconds": TERMINATION_SECONDS,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.server_selector(loop.metadata.name)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "initContainers": init_containers,
        "containers": [server],
        "volumes": _build_volumes(loop.metadata.name),
    }
    serving = loop.spec.serving
    optional = {
        "imagePullSecrets": [{"name": name} for name in platform.images.pull_secrets],
        "nodeSelector": serving.node_selector,
        "tolerations": [toleration.to_dict() for toleration in serving.tolerations],
    }
    return pod | {key: value for key, value in optional.items() if value}


def _build_fetch(bento_uri: str, bento_digest: str, platform: Platform) -> dict[str, Any]:
    """Return the container that brings the Bento and verifies it before anything of it is loaded."""
    return {
        "name": names.FETCH_CONTAINER,
        "image": platform.images.controller,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", "driftloop.adapters.bentofetch"],
        "args": [bento_uri, bento_digest, BENTO_FOLDER],
        "env": build_store_env(platform.store),
        "resources": build_fetch_resources(),
        "securityContext": build_container_security(),
        "volumeMounts": [{"name": _MODELS, "mountPath": "/models"}, {"name": "fetch-tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _build_monitor(loop: ModelLoop, platform: Platform, owner: Owner) -> dict[str, Any]:
    """Return the native sidecar: starts before the server, ends after it, has no say in the pod's readiness."""
    flush_seconds = platform.flush_interval_seconds
    settings = {
        "LOOP_FILE": f"{_LOOP_FOLDER}/{names.LOOP_FILE}",
        "LOOP_UID": owner.loop_uid,
        "LOOP_OBJECT_UID": owner.object_uid,
        "NAMESPACE": loop.metadata.namespace,
        "STORE_URI": platform.store.uri,
        "LOG_DIR": f"{_MONITOR_FOLDER}/log",
        "STATE_DIR": f"{_MONITOR_FOLDER}/state",
        "BASELINES_DIR": f"{_MONITOR_FOLDER}/baselines",
        "TAP_SOCKET": f"{_TAP_FOLDER}/tap.sock",
        "HOST": "0.0.0.0",  # noqa: S104  the pod's neighbours send labels
        "LABELS_PORT": str(names.LABELS_PORT),
        "COMMIT_INTERVAL_SECONDS": f"{flush_seconds:g}",
        "POLL_INTERVAL_SECONDS": "5",  # each look is a listing of the object store
        "WRITER_SILENCE_SECONDS": f"{3 * flush_seconds:g}",
        "LOCAL_LOG_MEBIBYTES": str(_LOCAL_LOG_MEBIBYTES),
        "EVALUATOR_MEMORY_MEBIBYTES": str(EVALUATOR_MEBIBYTES),
        "LABELS_MEMORY_MEBIBYTES": str(LABELS_MEBIBYTES),
    }
    pod_name = {"valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    return {
        "name": names.MONITOR_CONTAINER,
        "image": platform.images.monitor,
        "imagePullPolicy": platform.images.pull_policy,
        "restartPolicy": "Always",
        "command": ["python", "-m", "driftloop.sidecar"],
        "env": [
            *({"name": f"DRIFTLOOP_MONITOR_{key}", "value": value} for key, value in settings.items()),
            {"name": "DRIFTLOOP_MONITOR_WRITER_ID", **pod_name},
            *build_thread_env(None),
            *build_store_env(platform.store),
        ],
        "ports": [{"name": names.LABELS_PORT_NAME, "containerPort": names.LABELS_PORT, "protocol": "TCP"}],
        "resources": build_monitor_resources(polls_labels=loop.spec.monitoring.labels.uri is not None),
        "securityContext": build_container_security(),
        "volumeMounts": [
            {"name": _TAP, "mountPath": _TAP_FOLDER},
            {"name": _MONITOR, "mountPath": _MONITOR_FOLDER},
            {"name": _LOOP, "mountPath": _LOOP_FOLDER, "readOnly": True},
            {"name": _TOKEN, "mountPath": _TOKEN_FOLDER, "readOnly": True},
            {"name": "monitor-tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def _build_server(loop: ModelLoop, runtime_image: str, platform: Platform) -> dict[str, Any]:
    """Return the model server: the Bento's own sources on the image that it was packaged for."""
    resources = build_server_resources(loop.spec.serving.resources)
    script = f"{BENTO_FOLDER}/src/driftloop/adapters/bento_server.py"
    return {
        "name": names.SERVER_CONTAINER,
        "image": runtime_image,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-P", script, BENTO_FOLDER, str(names.SERVER_PORT)],
        "args": [
            "--host=0.0.0.0",
            f"--drain-seconds={DRAIN_SECONDS}",
            f"--keep-alive-seconds={KEEP_ALIVE_SECONDS}",
        ],
        "env": [
            {"name": "DRIFTLOOP_SERVING_TAP_SOCKET", "value": f"{_TAP_FOLDER}/tap.sock"},
            {"name": "BENTOML_HOME", "value": "/tmp/bentoml"},  # noqa: S108
            {"name": "BENTOML_DO_NOT_TRACK", "value": "1"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            *build_thread_env(resources["limits"].get("cpu")),
        ],
        "ports": [{"name": names.SERVER_PORT_NAME, "containerPort": names.SERVER_PORT, "protocol": "TCP"}],
        "resources": resources,
        "securityContext": build_container_security(),
        # Until the model is loaded nobody asks whether the server lives.
        "startupProbe": _probe("/readyz", _START_PERIOD_SECONDS, _START_ATTEMPTS),
        "readinessProbe": _probe("/readyz", 5, 3),
        "livenessProbe": _probe("/livez", 10, 6),
        "volumeMounts": [
            {"name": _MODELS, "mountPath": "/models", "readOnly": True},
            {"name": _TAP, "mountPath": _TAP_FOLDER},
            {"name": "server-tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def _probe(path: str, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": names.SERVER_PORT_NAME},
        "periodSeconds": period_seconds,
        "timeoutSeconds": _CLIENT_SECONDS,
        "failureThreshold": failures,
    }


def _build_volumes(loop: str) -> list[dict[str, Any]]:
    sizes = {
        _MODELS: "2Gi",
        _TAP: "16Mi",
        _MONITOR: f"{4 * _LOCAL_LOG_MEBIBYTES}Mi",
        "fetch-tmp": "1Gi",
        "monitor-tmp": "512Mi",
        "server-tmp": "512Mi",
    }
    token_sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    return [
        *({"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()),
        {"name": _LOOP, "configMap": {"name": names.loop_config_name(loop)}},
        {"name": _TOKEN, "projected": {"sources": token_sources}},
    ]
