"""What a model is made of as far as the user sets it: the training-relevant part of the file, and the data behind it.

Two runs with the same basis learn the same. What serves, watches, decides or describes is no part of it.
"""

import hashlib
import json

from driftloop.spec import ModelLoopSpec
from driftloop.spec.boundary import Boundary

GROUPS = ("problem", "data", "preparation", "training")
# Words for people, and the address: the content behind it counts.
_DESCRIPTIVE = {
    "problem": {"objective", "challenge", "success_criteria"},
    "data": {"uri", "secret_ref", "provenance"},
}


class Basis(Boundary):
    """Digests of what the user gave to learn from."""

    groups: dict[str, str]
    """Digest of each training-relevant group of the spec."""
    content: str
    """Digest of the data's content, as `snapshot` computes it."""

    @property
    def key(self) -> str:
        """Identity: equal for equal spec and content."""
        return "/".join([*(f"{name}={digest}" for name, digest in sorted(self.groups.items())), self.content])


def basis_of(spec: ModelLoopSpec, content: str) -> Basis:
    """Return the basis of a spec and data with this content digest.

    Only what differs from the defaults counts, so that a new version of driftloop with one more field changes nothing.
    """
    return Basis(groups={name: _digest(spec, name) for name in GROUPS}, content=content)


def tell_change(old: Basis, new: Basis, data_uri: str) -> str:
    """Say what changed between two bases that differ."""
    names = [f"spec.{name}" for name in GROUPS if old.groups.get(name) != new.groups.get(name)]
    told = [f"{' and '.join(names)} changed"] if names else []
    if old.content != new.content:
        told.append(f"the data at {data_uri} changed: new content")
    return "; ".join(told)


def _digest(spec: ModelLoopSpec, name: str) -> str:
    group: Boundary = getattr(spec, name)
    fields = group.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=_DESCRIPTIVE.get(name, set()))
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
