from datetime import UTC, datetime

import pytest

from driftloop.adapters.objectstore import FsspecStore
from driftloop.loop.history import Started
from driftloop.operator.guardedstore import GuardedStore, StoreUnavailableError
from driftloop.operator.ledger import DamagedLedgerError, LedgerMovedError, StoreLedger
from driftloop.operator.metrics import Metrics


def entry(number):
    return Started(at=datetime(2026, 1, number, tzinfo=UTC), driftloop_version="1")


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "ledger")


@pytest.fixture
def store():
    return FsspecStore()


def test_entries_come_back_in_order(store, folder):
    ledger = StoreLedger(store, folder)
    for number in (1, 2, 3):
        ledger.append(entry(number))

    again = StoreLedger(store, folder)
    again.catch_up()

    assert again.entries == [entry(1), entry(2), entry(3)]
    assert store.names(folder) == ["0000000001.json", "0000000002.json", "0000000003.json"]


def test_of_two_that_append_one_must_read_again(store, folder):
    first, second = StoreLedger(store, folder), StoreLedger(store, folder)
    first.append(entry(1))

    with pytest.raises(LedgerMovedError, match="Entry 1"):
        second.append(entry(2))

    assert second.entries == []
    second.catch_up()
    second.append(entry(2))
    first.catch_up()
    assert first.entries == second.entries == [entry(1), entry(2)]


def test_an_append_whose_reply_was_lost_counts(store, folder):
    StoreLedger(store, folder).append(entry(1))
    again = StoreLedger(store, folder)

    again.append(entry(1))

    assert again.entries == [entry(1)]


def test_a_hole_is_damage(store, folder):
    ledger = StoreLedger(store, folder)
    for number in (1, 2, 3):
        ledger.append(entry(number))
    store.remove(f"{folder}/0000000002.json")

    with pytest.raises(DamagedLedgerError, match=r"Entry 2.*missing"):
        StoreLedger(store, folder).catch_up()


def test_an_entry_that_is_none_is_damage(store, folder):
    store.create(f"{folder}/0000000001.json", b"{}")

    with pytest.raises(DamagedLedgerError, match="can't be read"):
        StoreLedger(store, folder).catch_up()


def test_a_failing_store_has_one_name_and_is_counted():
    class Broken:
        def read(self, uri):
            raise RuntimeError("EndpointConnectionError")

    metrics = Metrics()
    with pytest.raises(StoreUnavailableError, match="EndpointConnectionError"):
        GuardedStore(Broken(), metrics).read("s3://x/y")
    assert metrics.store_errors._value.get() == 1
