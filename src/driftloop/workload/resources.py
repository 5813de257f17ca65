"""CPU and memory of the containers of a serving pod: what the spec says, and defaults where it says nothing."""

from decimal import Decimal
from typing import Any

from driftloop.spec.placement import ResourcesSpec

_MEBIBYTES_BEYOND_CHILDREN = 1024
"""Memory of the monitor beside its limited children: intake, shipping, leader, supervisor, and the page cache."""
EVALUATOR_MEBIBYTES = 1024
LABELS_MEBIBYTES = 1024

# No limits of ephemeral storage: the volumes have their own, and one container's limit would count for the whole pod.
_SERVER_DEFAULTS = {
    "requests": {"cpu": "250m", "memory": "512Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def build_server_resources(resources: ResourcesSpec) -> dict[str, dict[str, str]]:
    """Return the `resources` of the model server.

    A resource that the spec names, as a request or as a limit, is the spec's alone; Kubernetes takes a limit for the
    request that is missing. The HPA needs a CPU request, and so always finds one.
    """
    stated = {"requests": resources.requests, "limits": resources.limits}
    named = {*resources.requests, *resources.limits}
    return {
        group: {name: amount for name, amount in defaults.items() if name not in named} | dict(stated[group])
        for group, defaults in _SERVER_DEFAULTS.items()
    }


def build_fetch_resources() -> dict[str, dict[str, str]]:
    """Return the `resources` of the container that fetches the Bento; they are free again once it is done."""
    return {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


def build_monitor_resources(*, polls_labels: bool) -> dict[str, dict[str, str]]:
    """Return the `resources` of the monitor: its limit lies above what its children are held to, all together."""
    limit = EVALUATOR_MEBIBYTES + _MEBIBYTES_BEYOND_CHILDREN + (LABELS_MEBIBYTES if polls_labels else 0)
    return {
        "requests": {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "256Mi"},
        "limits": {"cpu": "1", "memory": f"{limit}Mi"},
    }


def build_thread_env(cpu_limit: str | None) -> list[dict[str, Any]]:
    """Return the `env` that keeps numeric libraries from starting a thread for every core of the node.

    >>> build_thread_env("2500m")[0]
    {'name': 'OMP_NUM_THREADS', 'value': '2'}
    """
    threads = str(max(1, int(_cores(cpu_limit)))) if cpu_limit else "1"
    return [{"name": name, "value": threads} for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]


def _cores(quantity: str) -> Decimal:
    if quantity.endswith("m"):
        return Decimal(quantity.removesuffix("m")) / 1000
    return Decimal(quantity.removesuffix("k")) * (1000 if quantity.endswith("k") else 1)
