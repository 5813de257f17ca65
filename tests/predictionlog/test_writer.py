import resource
from dataclasses import replace
from datetime import datetime

import pytest

from driftloop.predictionlog import (
    InvalidRecordError,
    LogCounts,
    LogInUseError,
    LogWriteError,
    PredictionLogReader,
    PredictionLogWriter,
    writer,
)
from tests.predictionlog.samples import FOREVER, START, at, batch, label


@pytest.fixture
def log(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor") as opened:
        yield opened


@pytest.fixture
def reader(tmp_path):
    return PredictionLogReader(tmp_path)


def ids(reader):
    return list(reader.predictions(START, FOREVER).prediction_id)


def test_a_log_that_does_not_exist_is_empty(reader):
    assert reader.complete_through() is None
    assert reader.counts() == LogCounts()
    assert reader.joined(START, FOREVER).empty


def test_readers_see_nothing_before_the_commit_and_everything_after(log, reader):
    log.append_predictions([batch(0), batch(2, hours=1, dropped=5)])
    log.append_labels([label(True, hours=30, key="k0")])
    assert ids(reader) == []
    assert log.pending == LogCounts(rows=4, labels=1, dropped=5)
    log.commit(at(24))
    assert ids(reader) == ["p0", "p1", "p2", "p3"]
    assert reader.counts() == LogCounts(rows=4, labels=1, dropped=5)
    assert reader.complete_through() == at(24)
    assert log.pending == LogCounts()


def test_an_idle_commit_moves_the_watermark_and_writes_no_segment(log, reader, tmp_path):
    log.commit(at(1))
    log.commit(at(2))
    assert reader.complete_through() == at(2)
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_watermark_never_goes_back(log, reader):
    log.commit(at(5))
    log.append_predictions([batch(0)])
    log.commit(at(3))
    assert reader.complete_through() == at(5)
    assert ids(reader) == ["p0", "p1"]


def test_a_commit_without_a_watermark_makes_rows_visible_and_promises_nothing(log, reader):
    log.append_predictions([batch(0)])
    log.commit()
    assert ids(reader) == ["p0", "p1"]
    assert reader.complete_through() is None


def test_the_slowest_writer_sets_the_watermark(log, reader, tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="other-pod") as other:
        log.commit(at(5))
        other.append_predictions([batch(10)])
        other.commit(at(3))
    log.append_predictions([batch(0)])
    log.commit(at(6))
    assert reader.complete_through() == at(3)
    assert ids(reader) == ["p0", "p1", "p10", "p11"]


def test_a_second_writer_under_the_same_id_is_refused(log, tmp_path):
    with pytest.raises(LogInUseError, match="one writer 'monitor' at a time"):
        PredictionLogWriter(tmp_path, writer_id="monitor")


def test_a_writer_id_can_not_leave_the_folder(tmp_path):
    with pytest.raises(ValueError, match=r"\.\./x"):
        PredictionLogWriter(tmp_path, writer_id="../x")


def test_a_ragged_batch_names_its_column():
    with pytest.raises(InvalidRecordError, match=r"'features.distance' .* \(2\). Got 1"):
        batch(0, features={"distance": [1.0]})


def test_a_time_without_zone_is_refused():
    with pytest.raises(InvalidRecordError, match="time zone"):
        replace(batch(0), time=datetime(2013, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_a_value_that_no_segment_could_hold_is_refused_and_nothing_of_the_group_is_kept(log, reader, value):
    with pytest.raises(InvalidRecordError):
        log.append_predictions([batch(0), batch(2, features={"distance": [1.0, value]})])
    log.append_predictions([batch(4)])
    log.commit(at(1))
    assert ids(reader) == ["p4", "p5"]


def test_a_long_write_ahead_file_is_flushed_early(log, reader, monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "FLUSH_BYTES", 2000)
    for number in range(0, 100, 2):
        log.append_predictions([batch(number)])
    assert max(path.stat().st_size for path in (tmp_path / "wal").iterdir()) < 3000
    assert reader.counts().rows + log.pending.rows == 100
    log.commit(at(1))
    assert len(ids(reader)) == 100


@pytest.fixture
def disk_limit():
    """A disk that takes no file longer than n bytes: writes are cut short, then refused, as on a full one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size if size is not None else limits[0], limits[1]))

    yield limit
    limit(None)


def test_a_full_disk_refuses_the_batch_and_keeps_what_was_acknowledged(log, reader, disk_limit, tmp_path):
    log.append_predictions([batch(0)])
    disk_limit(next((tmp_path / "wal").glob("*.wal")).stat().st_size + 20)
    with pytest.raises(LogWriteError, match=r"must be writable, but an append failed: .* Free space"):
        log.append_predictions([batch(2)])
    disk_limit(None)
    log.append_predictions([batch(4)])
    log.commit(at(1))
    assert ids(reader) == ["p0", "p1", "p4", "p5"]


@pytest.mark.parametrize("room", [0, 60, 1000])
def test_a_disk_that_is_full_during_a_commit_loses_and_doubles_nothing(log, reader, disk_limit, room):
    log.append_predictions([batch(0), batch(2, hours=30)])
    disk_limit(room)
    with pytest.raises(LogWriteError, match="a commit failed"):
        log.commit(at(1))
    disk_limit(None)
    assert ids(reader) == []
    log.append_predictions([batch(4)])
    log.commit(at(2))
    assert ids(reader) == ["p0", "p1", "p4", "p5", "p2", "p3"]
    assert reader.counts().rows == 6
