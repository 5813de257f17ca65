"""What the serving pods may do in the API server: their monitor elects an evaluator and reports drift, nothing else."""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.spec.modelloop import API_GROUP
from driftloop.workload import names
from driftloop.workload.owner import Owner

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
    """Return the monitor's Role: its one Lease, and the loop's DriftReports."""
    lease = names.evaluator_lease_name(loop.metadata.name)
    return {
        "apiVersion": f"{_RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": _metadata(loop, owner),
        "rules": [
            # An object's name can't bound its creation.
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "resourceNames": [lease],
                "verbs": ["get", "update"],
            },
            {
                "apiGroups": [API_GROUP],
                "resources": ["driftreports"],
                "verbs": ["create", "get", "list", "delete"],
            },
        ],
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
