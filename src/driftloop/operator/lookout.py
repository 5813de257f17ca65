"""Which loops have a run in progress, by their ledgers: what a new operator must know before it lets a run begin."""

from collections.abc import Iterator

from driftloop.adapters.kubeapi import KubeApi
from driftloop.loop.history import replay
from driftloop.operator.guardedstore import GuardedStore
from driftloop.operator.ledger import DamagedLedgerError, StoreLedger
from driftloop.operator.settings import OperatorSettings
from driftloop.spec.storelayout import StoreLayout


def loops_with_runs(api: KubeApi, store: GuardedStore, settings: OperatorSettings) -> Iterator[str]:
    """Yield `namespace/name` of every loop whose ledger has an open run."""
    for obj in api.list("ModelLoop"):
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        if settings.watch_namespaces and namespace not in settings.watch_namespaces:
            continue
        ledger = StoreLedger(store, StoreLayout(settings.platform.store.uri, namespace, name).ledger)
        try:
            ledger.catch_up()
        except DamagedLedgerError:  # its own step tells
            continue
        if replay(ledger.entries).open_run:
            yield f"{namespace}/{name}"
