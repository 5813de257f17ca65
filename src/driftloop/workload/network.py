"""Who may talk to the serving pods, and whom they may talk to.

Policies add up: another NetworkPolicy on the same pods opens what this one leaves closed.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner
from driftloop.workload.platform import Platform

_ANYWHERE: dict[str, Any] = {"namespaceSelector": {}}
_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "oracle": 1521,
    "mssql": 1433,
}


def build_network_policy(loop: ModelLoop, platform: Platform, owner: Owner) -> dict[str, Any]:
    """Return the NetworkPolicy of the serving pods.

    Predictions are answered to every pod of the cluster; labels, which decide about retraining, are taken from the
    loop's own namespace and from namespaces labelled for it. Out of the pod lead DNS, the object store, the API server
    and the table of labels.
    """
    name = loop.metadata.name
    own_namespace: dict[str, Any] = {"podSelector": {}}
    labelled = {"namespaceSelector": {"matchLabels": {names.LABEL_SENDERS_LABEL: "true"}}}
    egress = [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
        {"ports": [_port(port) for port in platform.api_server_ports]},
        _reach(platform.store.endpoint_url or "https://s3.amazonaws.com"),
    ]
    if loop.spec.monitoring.labels.uri and "://" in loop.spec.monitoring.labels.uri:
        egress.append(_reach(loop.spec.monitoring.labels.uri))
    unique = [rule for index, rule in enumerate(egress) if rule and rule not in egress[:index]]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(loop, names.network_policy_name(name), names.loop_labels(name)),
        "spec": {
            "podSelector": {"matchLabels": names.server_selector(name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [_ANYWHERE], "ports": [_port(names.SERVER_PORT)]},
                {"from": [own_namespace, labelled], "ports": [_port(names.LABELS_PORT)]},
            ],
            "egress": unique,
        },
    }


def _reach(uri: str) -> dict[str, Any]:
    """Return the rule for a server: a Service's whole namespace, or the port alone where the server is outside.

    A policy sees the port of the pod behind a Service, which may be another than the Service's; so in the cluster the
    namespace counts, and every port.
    """
    parts = urlsplit(uri)
    scheme, host = parts.scheme.partition("+")[0], parts.hostname or ""
    if scheme in ("s3", "gs", "abfs", "az"):
        return {"ports": [_port(443)]}
    if re.fullmatch(r"[a-z0-9-]+", host) and host != "localhost":
        return {"to": [{"podSelector": {}}]}
    service = re.fullmatch(r"[a-z0-9-]+\.([a-z0-9-]+)(\.svc(\..+)?)?", host)
    if service and not re.fullmatch(r"[a-z0-9-]+\.(com|org|net|io|dev|cloud)", host):
        return {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": service[1]}}}]}
    port = parts.port or _DEFAULT_PORTS.get(scheme)
    return {"ports": [_port(port)]} if port else {}


def _port(number: int) -> dict[str, Any]:
    return {"port": number, "protocol": "TCP"}
