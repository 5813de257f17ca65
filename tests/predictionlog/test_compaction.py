"""Compaction changes how files hold the records, and nothing that anybody reads."""

import fcntl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pyarrow.parquet as pq
import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter, compaction
from driftloop.predictionlog.maintenance import REMOVE_AFTER, LogMaintainer
from tests.predictionlog.dying import Died, die_at_call
from tests.predictionlog.samples import FOREVER, START, at, batch, label

NOW = datetime.now(UTC)
MUCH_LATER = NOW + timedelta(days=1)
YEARS = timedelta(days=3650)


def fill(root, *, commits=5, writer_id="monitor", first=0, hours=0.0):
    with PredictionLogWriter(root, writer_id=writer_id, sync=False) as log:
        for number in range(first, first + 2 * commits, 2):
            when = hours + number % 24
            log.append_predictions([batch(number, hours=when)])
            log.append_labels([label(number % 4 == 0, hours=when + 1, key=f"k{number}")])
            log.commit(at(when))


def maintain(root, *, through=FOREVER, now=MUCH_LATER, limit=None):
    """Look after the log until there is nothing to do; return how much there was."""
    maintainer = LogMaintainer(root, YEARS)
    view = limit if limit is not None else PredictionLogReader(root).view()
    pieces = 0
    while maintainer.step(through=view, complete_through=through, needed_since=FOREVER, now=now):
        pieces += 1
        assert pieces < 100
    return pieces


def parquet_files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def test_a_date_that_is_over_becomes_one_file_of_each_kind(tmp_path):
    fill(tmp_path)
    before = PredictionLogReader(tmp_path).joined(START, FOREVER)
    maintain(tmp_path)
    assert parquet_files(tmp_path) == [
        "labels/date=2013-03-01/compacted-0000000001.parquet",
        "predictions/date=2013-03-01/compacted-0000000001.parquet",
    ]
    pd.testing.assert_frame_equal(PredictionLogReader(tmp_path).joined(START, FOREVER), before)


def test_a_second_time_there_is_nothing_to_do(tmp_path):
    fill(tmp_path)
    assert maintain(tmp_path) > 0
    assert maintain(tmp_path) == 0


def test_a_date_that_is_written_is_merged_from_time_to_time(tmp_path):
    fill(tmp_path, commits=compaction.OPEN_DATE_SEGMENTS - 1)
    assert maintain(tmp_path, through=START) == 0
    fill(tmp_path, commits=1, first=1000)
    before = PredictionLogReader(tmp_path).predictions(START, FOREVER)
    maintain(tmp_path, through=START)
    assert len(parquet_files(tmp_path)) == 2
    fill(tmp_path, commits=3, first=2000)
    assert len(PredictionLogReader(tmp_path).predictions(START, FOREVER)) == len(before) + 6
    maintain(tmp_path)
    assert len(parquet_files(tmp_path)) == 2


def test_merging_a_written_date_again_keeps_what_was_merged_before(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "OPEN_DATE_SEGMENTS", 3)
    for number in range(3):
        fill(tmp_path, commits=3, first=100 * number)
        assert maintain(tmp_path, through=START) > 0
    assert len(PredictionLogReader(tmp_path).predictions(START, FOREVER)) == 18
    assert len(list((tmp_path / "predictions").rglob("*.parquet"))) == 3


def test_late_records_are_read_at_once_and_merged_when_they_are_many(tmp_path):
    fill(tmp_path)
    maintain(tmp_path)
    for number in range(compaction.LATE_SEGMENTS):
        fill(tmp_path, commits=1, first=100 + 2 * number)
        assert len(PredictionLogReader(tmp_path).predictions(START, FOREVER)) == 12 + 2 * number
        merged = maintain(tmp_path)
        assert bool(merged) is (number == compaction.LATE_SEGMENTS - 1)
    assert len(parquet_files(tmp_path)) == 2


def test_an_earlier_view_sees_the_same_records_after_compaction(tmp_path):
    fill(tmp_path, commits=3)
    fill(tmp_path, commits=3, writer_id="other", first=50)
    reader = PredictionLogReader(tmp_path)
    early = reader.view()
    before = reader.joined(START, FOREVER, view=early)
    fill(tmp_path, commits=3, first=100)
    fill(tmp_path, commits=3, writer_id="third", first=150)
    maintain(tmp_path)
    pd.testing.assert_frame_equal(reader.joined(START, FOREVER, view=early), before)
    some = reader.predictions(START, FOREVER, view={"monitor": 2, "other": 1})
    assert sorted(some.prediction_id) == ["p0", "p1", "p2", "p3", "p50", "p51"]


def test_records_beyond_the_limit_stay_where_they_are(tmp_path):
    fill(tmp_path, commits=4)
    maintain(tmp_path, limit={"monitor": 3})
    assert "predictions/date=2013-03-01/monitor-0000000004.parquet" in parquet_files(tmp_path)
    assert len(PredictionLogReader(tmp_path).predictions(START, FOREVER)) == 8


def test_a_narrow_window_reads_few_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "ROW_GROUP_ROWS", 4)
    fill(tmp_path, commits=12)
    maintain(tmp_path)
    (path,) = (tmp_path / "predictions").rglob("*.parquet")
    groups = pq.ParquetFile(path).metadata
    times = [groups.row_group(n).column(2).statistics for n in range(groups.num_row_groups)]
    assert groups.num_row_groups == 6
    assert all(one.max < other.min for one, other in pairwise(times))
    assert list(PredictionLogReader(tmp_path).predictions(at(4), at(5)).prediction_id) == ["p4", "p5"]


def test_a_feature_of_two_types_keeps_both_and_a_window_sees_its_own(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor") as log:
        for number, values in enumerate(([1.0, 2.0], [None, None], ["x", "y"], [True, False], [3.0, None])):
            log.append_predictions([batch(2 * number, hours=number, features={"a": values})])
            log.commit(at(number))
    reader = PredictionLogReader(tmp_path)
    windows = [(at(n), at(n + 1)) for n in range(5)] + [(START, at(2)), (at(1), at(4)), (START, FOREVER)]
    before = [reader.predictions(*window) for window in windows]
    maintain(tmp_path)
    for window, frame in zip(windows, before, strict=True):
        pd.testing.assert_frame_equal(reader.predictions(*window), frame)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(tmp_path, monkeypatch, is_over):
    monkeypatch.setattr(compaction, "OPEN_DATE_SEGMENTS", 3)
    through = FOREVER if is_over else START
    for fatal in range(1, 200):
        root = tmp_path / str(fatal)
        fill(root, commits=4)
        fill(root, commits=2, writer_id="other", first=100)
        before = PredictionLogReader(root).joined(START, FOREVER)
        with monkeypatch.context() as patch:
            die_at_call(patch, fatal)
            try:
                maintain(root, through=through)
                died = False
            except Died:
                died = True
        pd.testing.assert_frame_equal(PredictionLogReader(root).joined(START, FOREVER), before)
        fill(root, commits=1, first=200)
        maintain(root, through=FOREVER)
        assert len(PredictionLogReader(root).joined(START, FOREVER)) == len(before) + 2
        assert len(parquet_files(root)) == 2 if fatal == 1 else len(parquet_files(root)) <= 4
        if not died:
            assert fatal > 8
            return
    pytest.fail("maintenance never came to its end")


COMPACTOR = """
import sys
from pathlib import Path
from tests.predictionlog.test_compaction import maintain
maintain(Path(sys.argv[1]))
"""


def test_killed_at_any_moment_compaction_starts_over(tmp_path):
    fill(tmp_path, commits=60)
    before = PredictionLogReader(tmp_path).joined(START, FOREVER)
    for milliseconds in (0, 10, 40):
        with subprocess.Popen([sys.executable, "-c", COMPACTOR, str(tmp_path)]) as process:
            deadline = time.monotonic() + 60
            while not (tmp_path / "maintenance.lock").exists() and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(milliseconds / 1000)
            process.kill()
        pd.testing.assert_frame_equal(PredictionLogReader(tmp_path).joined(START, FOREVER), before)
        (tmp_path / "maintenance.lock").unlink()
    maintain(tmp_path)
    pd.testing.assert_frame_equal(PredictionLogReader(tmp_path).joined(START, FOREVER), before)
    assert len(parquet_files(tmp_path)) == 2


def test_readers_see_every_row_while_files_are_replaced_under_their_hands(tmp_path):
    fill(tmp_path, commits=12)
    reader, done, seen = PredictionLogReader(tmp_path), threading.Event(), []

    def read():
        while not done.is_set():
            view = reader.view()
            expected = {"p0", *(f"p{2 * number}" for number in range(12))}
            seen.append(expected <= set(reader.predictions(START, FOREVER, view=view).prediction_id))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(12):
        fill(tmp_path, commits=compaction.LATE_SEGMENTS, first=1000 + 100 * number)
        maintain(tmp_path)
    done.set()
    thread.join()
    assert len(seen) > 5
    assert all(seen)


def test_merged_files_stay_a_while_for_readers_that_have_listed_them(tmp_path):
    fill(tmp_path)
    maintain(tmp_path, now=datetime.now(UTC))
    assert len(parquet_files(tmp_path)) == 12
    maintain(tmp_path, now=datetime.now(UTC) + 2 * REMOVE_AFTER)
    assert len(parquet_files(tmp_path)) == 2


def test_one_process_at_a_time_looks_after_a_log(tmp_path):
    fill(tmp_path)
    with (tmp_path / "maintenance.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert maintain(tmp_path) == 0
    assert maintain(tmp_path) > 0


def test_a_writer_can_not_take_the_name_of_compacted_files(tmp_path):
    with pytest.raises(ValueError, match="compacted-1"):
        PredictionLogWriter(tmp_path, writer_id="compacted-1")
