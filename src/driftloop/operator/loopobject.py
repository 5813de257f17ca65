"""The ModelLoop as the API server keeps it, read into the types that the rest works with."""

from collections.abc import Mapping
from typing import Any

from driftloop.spec import ModelLoop
from driftloop.spec.documents import Document
from driftloop.spec.loading import parse_modelloop
from driftloop.spec.problems import InvalidModelLoopError


def read_loop(obj: Mapping[str, Any]) -> ModelLoop:
    """Return the loop; what Kubernetes adds to an object is left out.

    Raises:
        InvalidModelLoopError: the spec breaks a rule that the custom resource's schema can't express, or is of another
            version of driftloop.
    """
    metadata = {name: obj["metadata"][name] for name in ("name", "namespace", "labels") if name in obj["metadata"]}
    value = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": metadata,
        "spec": obj.get("spec", {}),
    }
    found = parse_modelloop(Document(value, {}, ()), f"ModelLoop {metadata['namespace']}/{metadata['name']}")
    if isinstance(found, list):
        raise InvalidModelLoopError(found)
    return found


def purges(obj: Mapping[str, Any]) -> bool:
    """Whether the loop's folder goes with it, even where the rest of the spec can't be read."""
    return bool((obj.get("spec") or {}).get("deletionPolicy") == "Purge")
