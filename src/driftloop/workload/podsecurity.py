"""What every pod of driftloop is held to: the restricted Pod Security Standard, and a root that nobody writes to.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from typing import Any

USER = 10001
"""User and group of all images."""


def build_pod_security() -> dict[str, Any]:
    """Return the `securityContext` of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def build_container_security() -> dict[str, Any]:
    """Return the `securityContext` of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
