"""The ServiceMonitor of a loop, for clusters with the Prometheus Operator."""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner


def build_service_monitor(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the ServiceMonitor: the server's metrics and the monitor's, each with the model version it belongs to."""
    name = loop.metadata.name
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": owner.metadata(loop, names.service_monitor_name(name), names.loop_labels(name)),
        "spec": {
            "selector": {"matchLabels": names.loop_labels(name)},
            "podTargetLabels": [names.LOOP_LABEL, names.MODEL_VERSION_LABEL],
            "endpoints": [
                {"port": port, "path": "/metrics", "interval": "30s"}
                for port in (names.SERVER_PORT_NAME, names.LABELS_PORT_NAME)
            ],
        },
    }
