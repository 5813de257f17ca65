"""What the serving pods may do in the API server: their monitor elects an evaluator and reports drift, nothing else."""

from dataclasses import replace
from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.kinds import kind_of
from driftloop.workload.owner import Owner
from driftloop.workload.rights import RBAC_RULES, AccessRole, Rule

_RBAC_GROUP = "rbac.authorization.k8s.io"


def build_service_account(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the ServiceAccount of the serving pods; no token is mounted by itself."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(loop, owner),
        "automountServiceAccountToken": False,
    }


def build_role(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the monitor's Role: the rules of `rights`, on its one Lease alone."""
    lease = names.evaluator_lease_name(loop.metadata.name)
    rules = [rule for whole in RBAC_RULES[AccessRole.MONITOR] for rule in _on_lease(whole, lease)]
    return {
        "apiVersion": f"{_RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": _metadata(loop, owner),
        "rules": [rule.to_dict() for rule in rules],
    }


def build_role_binding(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the binding of the two."""
    name = names.service_account_name(loop.metadata.name)
    return {
        "apiVersion": f"{_RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(loop, owner),
        "roleRef": {"apiGroup": _RBAC_GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": loop.metadata.namespace}],
    }


def _metadata(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    name = names.service_account_name(loop.metadata.name)
    return owner.metadata(loop, name, names.loop_labels(loop.metadata.name))


def _on_lease(rule: Rule, lease: str) -> tuple[Rule, ...]:
    """Narrow a rule about Leases to one of them; only its creation can't be bound to a name."""
    if rule.resources != (kind_of("Lease").plural,):
        return (rule,)
    others = tuple(verb for verb in rule.verbs if verb != "create")
    return replace(rule, verbs=("create",)), replace(rule, verbs=others, resource_names=(lease,))
