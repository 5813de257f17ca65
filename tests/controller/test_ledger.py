"""The ledger on disk: nothing acknowledged is lost, nothing half-written is believed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from driftloop.controller.ledger import CorruptLedgerError, Ledger, read_ledger
from driftloop.loop.history import Started

ENTRY = Started(at=datetime(2013, 3, 1, tzinfo=UTC), driftloop_version="0.1.0")


def test_entries_survive_reopening(tmp_path):
    Ledger(tmp_path / "ledger.jsonl").append(ENTRY)
    reopened = Ledger(tmp_path / "ledger.jsonl")
    reopened.append(ENTRY)
    assert read_ledger(tmp_path / "ledger.jsonl") == [ENTRY, ENTRY] == reopened.entries


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append(ENTRY)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length])
        ledger = Ledger(path) if length < len(whole) else None
        assert ledger is not None
        assert ledger.entries == [ENTRY]
        assert path.read_bytes() == whole


def test_reading_while_a_line_is_written_ignores_it(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append(ENTRY)
    path.write_bytes(path.read_bytes() + b'{"entry": "Sta')
    assert read_ledger(path) == [ENTRY]


def test_a_corrupt_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append(ENTRY)
    path.write_bytes(b"not json\n" + path.read_bytes())
    with pytest.raises(CorruptLedgerError, match="Line 1"):
        Ledger(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full (Linux)")
def test_an_entry_that_finds_no_space_leaves_the_ledger_as_it_was(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.append(ENTRY)
    path.rename(tmp_path / "aside")
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        ledger.append(ENTRY)
    path.unlink()
    (tmp_path / "aside").rename(path)
    assert ledger.entries == read_ledger(path) == [ENTRY]
    ledger.append(ENTRY)
    assert ledger.entries == read_ledger(path) == [ENTRY, ENTRY]
