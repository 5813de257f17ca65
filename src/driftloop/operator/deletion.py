"""The end of a loop: everything that it owns in the cluster goes, and its folder in the object store where it says so.

Owner references would do most of it; this does it at once, in every cluster, and in an order that loses nothing: pods
write their last words before the folder goes.
"""

import logging

from driftloop.adapters.kubeapi import NotFoundError
from driftloop.errors import DriftloopError
from driftloop.loop.history import replay
from driftloop.operator.ledger import StoreLedger
from driftloop.operator.loopobject import purges, read_loop
from driftloop.operator.looprun import Surroundings
from driftloop.operator.runs import RunDesk
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload.names import evaluator_lease_name, loop_labels

OWNED_KINDS = (
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Deployment",
    "CronJob",
    "Job",
    "Service",
    "ServiceMonitor",
    "NetworkPolicy",
    "ConfigMap",
    "RoleBinding",
    "Role",
    "ServiceAccount",
    "DriftReport",
    "Lease",
)
"""What is removed, in this order; a kind that the cluster doesn't know is passed over."""

_log = logging.getLogger(__name__)


class StillThereError(DriftloopError):
    """Something of the loop has not gone yet."""

    def __init__(self, loop: str, pods: int) -> None:
        super().__init__(f"The loop '{loop}' waits for {pods} of its pods to end before its folder is removed.")


def delete_loop(around: Surroundings, obj: dict[str, object], namespace: str, name: str) -> None:
    """Remove what a loop owns. May be repeated, and must be until it returns.

    Raises:
        StillThereError: pods are ending; try again in a while.
        DriftloopError: the API server or the object store is away; try again.
    """
    layout = StoreLayout(around.settings.platform.store.uri, namespace, name)
    _stop_runs(around, obj, layout)
    for kind in OWNED_KINDS:
        try:
            around.api.delete_all(kind, namespace, loop_labels(name))
        except NotFoundError:
            _log.debug("kind not known to this cluster: %s", kind)
    around.api.delete("Lease", namespace, evaluator_lease_name(name))
    if purges(obj):
        pods = around.api.list("Pod", namespace, loop_labels(name))
        if pods:
            raise StillThereError(f"{namespace}/{name}", len(pods))
        around.store.remove(layout.root)
    around.capacity.note(f"{namespace}/{name}", has_run=False)
    around.metrics.forget(namespace, name)


def _stop_runs(around: Surroundings, obj: dict[str, object], layout: StoreLayout) -> None:
    """End the run under way, and what recurs; a run that can't be reached ends by itself."""
    try:
        loop = read_loop(obj)
        if loop.spec.retraining.schedule:
            around.runner_of(loop).drop_schedule(loop)
        ledger = StoreLedger(around.store, layout.ledger)
        ledger.catch_up()
        state = replay(ledger.entries)
        if state.open_run:
            desk = RunDesk(around.store, layout, around.settings.platform, around.runner_of, around.code_digest)
            desk.cancel(loop, state, state.open_run)
    except DriftloopError as error:
        _log.warning("run not cancelled: loop=%s/%s error=%s", layout.namespace, layout.name, error)
