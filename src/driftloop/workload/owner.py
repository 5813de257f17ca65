"""Who the objects of a loop belong to: the ModelLoop in this cluster, and the loop that outlives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.spec import ModelLoop
from driftloop.workload import names


@dataclass(frozen=True)
class Owner:
    """The two identities of a loop."""

    object_uid: str
    """`metadata.uid` of the ModelLoop: Kubernetes removes with it what refers to it."""
    loop_uid: str
    """Identity in the object store (`StoreLayout.uid`): stays the same where a loop is restored."""

    def metadata(self, loop: ModelLoop, name: str, labels: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """Return the `metadata` of an object of the loop."""
        reference = names.owner_reference(loop.metadata.name, self.object_uid)
        return names.build_metadata(name, loop.metadata.namespace, labels, reference, **more)
