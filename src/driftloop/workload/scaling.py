"""How many serving pods there are: at least, at most, and while nodes are drained."""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner

_SCALE_DOWN_SECONDS = 300


def build_disruption_budget(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the PodDisruptionBudget: nodes take one serving pod at a time, and may always take a broken one.

    With one replica that one may be taken too: a budget of none would block every node drain. Ask for two replicas
    where predictions must go on.
    """
    name = loop.metadata.name
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(loop, names.disruption_budget_name(name), names.loop_labels(name)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": names.server_selector(name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def is_autoscaled(loop: ModelLoop) -> bool:
    """Whether the number of pods follows the load."""
    return loop.spec.serving.max_replicas > loop.spec.serving.min_replicas


def build_autoscaler(loop: ModelLoop, model_version: str, owner: Owner) -> dict[str, Any] | None:
    """Return the HorizontalPodAutoscaler of the champion's Deployment; None where min and max are one number.

    It looks at the model server alone: what the monitor computes beside it is no reason for more pods.
    """
    if not is_autoscaled(loop):
        return None
    name = loop.metadata.name
    target = {"type": "Utilization", "averageUtilization": loop.spec.serving.target_utilization}
    metric = {"name": "cpu", "container": names.SERVER_CONTAINER, "target": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": owner.metadata(loop, names.autoscaler_name(name), names.loop_labels(name)),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": names.deployment_name(name, model_version),
            },
            "minReplicas": loop.spec.serving.min_replicas,
            "maxReplicas": loop.spec.serving.max_replicas,
            "metrics": [{"type": "ContainerResource", "containerResource": metric}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": _SCALE_DOWN_SECONDS}},
        },
    }
