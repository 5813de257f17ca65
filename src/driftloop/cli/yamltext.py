"""Kubernetes objects as YAML that people read and `kubectl apply -f -` takes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def to_yaml(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return the objects as documents of one YAML stream, in their order and without anchors."""
    import yaml

    plain = json.loads(json.dumps(list(objects)))  # so that nothing is shared, which YAML would write as an alias
    return str(yaml.safe_dump_all(plain, sort_keys=False, explicit_start=True, width=120))
