"""Who may do what in the cluster: the access rules of each role. Chart and workload render their Roles from this list.

Rights that a controller hands on (the monitor's Role) must be among its own: the API server refuses escalation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from driftloop.workload.kinds import kind_of


class AccessRole(StrEnum):
    """Who acts."""

    OPERATOR = "operator"
    """In the whole cluster, or in the namespaces it is told to watch."""
    MONITOR = "monitor"
    """A loop's pods, in the loop's namespace."""
    JOB = "job"
    """A run's pod with the `Job` runner: it speaks to the object store alone."""


@dataclass(frozen=True)
class Rule:
    """One rule of a Role: verbs on resources of one API group."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as a Role holds it."""
        names = {"resourceNames": list(self.resource_names)} if self.resource_names else {}
        return {
            "apiGroups": [self.group],
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        } | names


_READ = ("get", "list", "watch")
_OWN = (*_READ, "create", "update", "patch", "delete", "deletecollection")


def _on(*kinds: str, verbs: tuple[str, ...], subresource: str = "") -> Rule:
    [group] = {kind_of(kind).group for kind in kinds}
    suffix = f"/{subresource}" if subresource else ""
    return Rule(group, tuple(kind_of(kind).plural + suffix for kind in kinds), verbs)


RBAC_RULES: Mapping[AccessRole, tuple[Rule, ...]] = {
    AccessRole.OPERATOR: (
        _on("ModelLoop", verbs=(*_READ, "patch")),
        _on("DriftReport", verbs=(*_READ, "create", "patch", "delete", "deletecollection")),
        _on("ModelLoop", "DriftReport", verbs=("get", "patch", "update"), subresource="status"),
        _on("ModelLoop", verbs=("update",), subresource="finalizers"),  # its objects block the loop's deletion
        _on("Deployment", verbs=_OWN),
        _on("Service", "ServiceAccount", "ConfigMap", verbs=_OWN),
        _on("PodDisruptionBudget", verbs=_OWN),
        _on("HorizontalPodAutoscaler", verbs=_OWN),
        _on("NetworkPolicy", verbs=_OWN),
        _on("Role", "RoleBinding", verbs=_OWN),
        _on("Lease", verbs=_OWN),
        _on("Job", "CronJob", verbs=_OWN),
        _on("ServiceMonitor", verbs=_OWN),
        _on("Pod", verbs=_READ),
        _on("Pod", verbs=("get",), subresource="log"),  # why a run failed
        _on("Event", verbs=("get", "create", "patch")),
        _on("CustomResourceDefinition", verbs=_READ),
        _on("Namespace", verbs=_READ),
    ),
    AccessRole.MONITOR: (
        _on("Lease", verbs=("get", "create", "update")),
        _on("DriftReport", verbs=("get", "list", "create", "delete")),
    ),
    AccessRole.JOB: (),
}


def permits(rules: Iterable[Rule], verb: str, group: str, resource: str) -> bool:
    """Return whether rules without names of objects allow something; a resource may be `modelloops/status`.

    >>> permits(RBAC_RULES[AccessRole.OPERATOR], "patch", "driftloop.dev", "modelloops/status")
    True
    >>> permits(RBAC_RULES[AccessRole.OPERATOR], "get", "", "secrets")
    False
    """
    return any(
        rule.group == group and resource in rule.resources and verb in rule.verbs and not rule.resource_names
        for rule in rules
    )


def policy_rules(role: AccessRole) -> list[dict[str, Any]]:
    """Return a role's rules as the `rules` of a Role or ClusterRole."""
    return [rule.to_dict() for rule in RBAC_RULES[role]]
