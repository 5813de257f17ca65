"""The Services of a loop: predictions from the champion's pods, labels to the monitor of any pod."""

from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner


def build_predictions_service(loop: ModelLoop, model_version: str | None, owner: Owner) -> dict[str, Any]:
    """Return the Service that clients ask: all traffic goes to one model version.

    Switching is applying it with the next version, once that version's Deployment is available: connections that are
    open stay where they are, until the old pods drain.

    Args:
        loop: the loop.
        model_version: the champion; None: there is none yet, and nothing answers.
        owner: the ModelLoop.
    """
    return _build_service(
        loop,
        names.predictions_service_name(loop.metadata.name),
        names.server_selector(loop.metadata.name, model_version or names.NO_MODEL),
        names.SERVER_PORT_NAME,
        owner,
    )


def build_labels_service(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the Service that takes labels (`POST /labels`), and tells the monitors' metrics."""
    return _build_service(
        loop,
        names.labels_service_name(loop.metadata.name),
        names.server_selector(loop.metadata.name),
        names.LABELS_PORT_NAME,
        owner,
    )


def _build_service(
    loop: ModelLoop, name: str, selector: dict[str, str], port_name: str, owner: Owner
) -> dict[str, Any]:
    labels = names.loop_labels(loop.metadata.name) | {names.COMPONENT_LABEL: names.SERVER_COMPONENT}
    port = {"name": port_name, "port": names.SERVICE_PORT, "targetPort": port_name, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(loop, name, labels),
        "spec": {"type": "ClusterIP", "selector": selector, "ports": [port]},
    }
