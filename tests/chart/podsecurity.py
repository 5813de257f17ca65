"""The restricted Pod Security Standard as a checker of pod specs, and what driftloop asks beyond it.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
}  # fmt: skip


def find_violations(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a pod violates, as `path: what`."""
    security = pod.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key}: must not be set"
    for sysctl in security.get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctls: {sysctl['name']} is not safe"
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volumes.{volume['name']}: must be one of {sorted(_VOLUMES)}"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        yield from (f"{container['name']}.{what}" for what in _of_container(container, security))


def _of_container(container: Mapping[str, Any], pod_security: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**pod_security, **own}
    if own.get("privileged"):
        yield "privileged: must not be set"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation: must be false"
    if "ALL" not in own.get("capabilities", {}).get("drop", []):
        yield "capabilities.drop: must hold ALL"
    if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add: may hold NET_BIND_SERVICE alone"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot: must be true"
    if both.get("runAsUser") == 0:
        yield "runAsUser: must not be 0"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile.type: must be RuntimeDefault or Localhost"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "ports.hostPort: must not be set"
    yield from _beyond_the_standard(container)


def _beyond_the_standard(container: Mapping[str, Any]) -> Iterator[str]:
    if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem: must be true"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "resources: must request cpu and memory, and limit memory"
