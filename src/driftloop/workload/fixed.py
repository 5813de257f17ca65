"""The objects of a loop that do not depend on which model serves."""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload.access import build_role, build_role_binding, build_service_account
from driftloop.workload.loopconfig import build_loop_config
from driftloop.workload.monitoring import build_service_monitor
from driftloop.workload.network import build_network_policy
from driftloop.workload.owner import Owner
from driftloop.workload.platform import Platform
from driftloop.workload.scaling import build_disruption_budget
from driftloop.workload.services import build_labels_service


def build_fixed_objects(loop: ModelLoop, platform: Platform, owner: Owner) -> list[dict[str, Any]]:
    """Return what a loop has from its first moment to its last, in the order in which it is needed.

    The Deployments, the predictions' Service and the autoscaler follow the champion, and are built by themselves.
    """
    objects = [
        build_service_account(loop, owner),
        build_role(loop, owner),
        build_role_binding(loop, owner),
        build_loop_config(loop, owner),
        build_network_policy(loop, platform, owner),
        build_labels_service(loop, owner),
        build_disruption_budget(loop, owner),
    ]
    if platform.service_monitors or loop.spec.serving.metrics_monitor == "ServiceMonitor":
        objects.append(build_service_monitor(loop, owner))
    return objects
