"""Who may submit a run: a create-only ConfigMap named by the run's key, for servers whose submission isn't idempotent.

A submission whose reply was lost may still take effect, so that the next one waits until that can't be any more. At any
moment there is at most one who submits; `snapshot`'s claim in the object store catches whatever comes later still.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from driftloop.adapters.kubeapi import AlreadyExistsError, ConflictError, KubeApi
from driftloop.errors import DriftloopError
from driftloop.loop.runner import RunnerUnavailableError, RunOrder
from driftloop.spec import ModelLoop
from driftloop.workload import names

SETTLE = timedelta(minutes=2)
"""Longest time in which a submission without a reply takes effect; clocks may differ by a part of it."""
_ATTEMPTED = "attemptedAt"
_NEVER = datetime.min.replace(tzinfo=UTC)


class LoopGoneError(DriftloopError):
    """A run is ordered for a ModelLoop that is not there."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(
            f"A run belongs to its ModelLoop. There is no ModelLoop '{namespace}/{name}' any more. Apply it again."
        )


def owner_of(objects: KubeApi, loop: ModelLoop) -> dict[str, Any]:
    """Return the reference by which objects of a run go with their ModelLoop.

    Raises:
        LoopGoneError: it is not there.
    """
    found = objects.get("ModelLoop", loop.metadata.namespace, loop.metadata.name)
    if found is None:
        raise LoopGoneError(loop.metadata.namespace, loop.metadata.name)
    return names.owner_reference(loop.metadata.name, found["metadata"]["uid"])


@dataclass(frozen=True)
class RunClaim:
    """The claims of one runner."""

    objects: KubeApi
    runner: str
    """For people, and for errors."""
    address: str
    now: Callable[[], datetime]

    def take(self, order: RunOrder) -> bool:
        """Take the right to submit a run now; return whether somebody tried before.

        Raises:
            RunnerUnavailableError: another submission may still take effect, or was quicker.
        """
        try:
            self.objects.create(self._build(order))
        except AlreadyExistsError:
            self._take_over(order)
            return True
        return False

    def release(self, order: RunOrder) -> None:
        """Say that the submission certainly had no effect: the next may follow at once."""
        self.objects.patch(
            "ConfigMap", order.loop.metadata.namespace, self._name(order), {"data": {_ATTEMPTED: _NEVER.isoformat()}}
        )

    def _take_over(self, order: RunOrder) -> None:
        claim = self.objects.get("ConfigMap", order.loop.metadata.namespace, self._name(order))
        if claim is None:
            raise self._busy("the claim of the run was removed a moment ago")
        attempted = datetime.fromisoformat(claim["data"][_ATTEMPTED])
        if self.now() < attempted + SETTLE:
            raise self._busy(f"it was asked at {attempted:%H:%M:%S} UTC and may still do it; a second run would follow")
        try:
            self.objects.replace(claim | {"data": {_ATTEMPTED: self.now().isoformat()}})
        except ConflictError as error:
            raise self._busy("another operator was quicker") from error

    def _build(self, order: RunOrder) -> dict[str, Any]:
        loop = order.loop.metadata
        labels = names.loop_labels(loop.name) | {
            names.COMPONENT_LABEL: names.RUN_COMPONENT,
            names.RUN_KEY_LABEL: order.run_key,
        }
        owner = owner_of(self.objects, order.loop)
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": names.build_metadata(self._name(order), loop.namespace, labels, owner),
            "data": {_ATTEMPTED: self.now().isoformat()},
        }

    def _name(self, order: RunOrder) -> str:
        return names.run_job_name(order.loop.metadata.name, order.run_key)

    def _busy(self, reason: str) -> RunnerUnavailableError:
        return RunnerUnavailableError(self.runner, self.address, reason)
