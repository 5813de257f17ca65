"""The ConfigMap that tells the monitors of a loop what is asked of them."""

import json
from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names
from driftloop.workload.owner import Owner


def build_loop_config(loop: ModelLoop, owner: Owner) -> dict[str, Any]:
    """Return the ConfigMap with the loop as `loop.json`.

    Labels and annotations stay out: they change for reasons that are no monitor's business.
    """
    name = loop.metadata.name
    content = loop.to_dict() | {"metadata": {"name": name, "namespace": loop.metadata.namespace}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(loop, names.loop_config_name(name), names.loop_labels(name)),
        "data": {names.LOOP_FILE: json.dumps(content, indent=2, sort_keys=True)},
    }
