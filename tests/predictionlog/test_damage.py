"""Damaged files are named, with what to do, and take nothing else down."""

import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftloop.predictionlog import (
    LogDamagedError,
    NewerFormatError,
    PredictionLogReader,
    PredictionLogWriter,
)
from tests.predictionlog.samples import FOREVER, START, at, batch, label
from tests.predictionlog.test_compaction import fill, maintain, parquet_files


@pytest.fixture
def log(tmp_path):
    """Two dates with a segment of each kind."""
    with PredictionLogWriter(tmp_path, writer_id="monitor") as opened:
        for day in range(2):
            opened.append_predictions([batch(100 * day, hours=24 * day, rows=50)])
            opened.append_labels([label(True, hours=24 * day + 1, key=f"k{100 * day}")])
            opened.commit(at(24 * day + 2))
    return tmp_path


def segment(root, kind="predictions", date="2013-03-01"):
    (path,) = (root / kind / f"date={date}").glob("*.parquet")
    return path


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -9])
def test_a_truncated_segment_is_named_with_the_remedy(log, kept):
    path = segment(log)
    os.truncate(path, kept if kept >= 0 else path.stat().st_size + kept)
    with pytest.raises(LogDamagedError) as caught:
        PredictionLogReader(log).predictions(START, at(1))
    assert f"The file '{path}' of the prediction log must be as it was written, and can't be read: " in str(
        caught.value
    )
    assert "Put it back from a backup, or move it out of the log to go on without its rows." in str(caught.value)
    assert caught.value.path == path


def test_a_flipped_bit_never_changes_what_is_read(log):
    path = segment(log)
    content = path.read_bytes()
    whole = PredictionLogReader(log).predictions(START, at(1))
    found = []
    footer = int.from_bytes(content[-8:-4], "little")
    for offset in range(4, len(content) - footer - 8, 17):
        flip(path, offset)
        try:
            pd.testing.assert_frame_equal(PredictionLogReader(log).predictions(START, at(1)), whole)
            found.append(False)  # A part of a page's header that nobody reads.
        except LogDamagedError:
            found.append(True)
        path.write_bytes(content)
    assert sum(found) > 0.7 * len(found)


def test_other_dates_are_read_and_the_rest_after_moving_it_away(log, tmp_path):
    path = segment(log)
    os.truncate(path, 100)
    reader = PredictionLogReader(log)
    assert len(reader.predictions(at(24), FOREVER)) == 50
    path.unlink()
    assert len(reader.predictions(START, FOREVER)) == 50


def test_a_damaged_segment_is_not_compacted_and_costs_no_other_row(tmp_path, caplog):
    fill(tmp_path)
    damaged = tmp_path / "predictions/date=2013-03-01/monitor-0000000003.parquet"
    content = damaged.read_bytes()
    os.truncate(damaged, 100)
    maintain(tmp_path)
    assert len([record for record in caplog.records if str(damaged) in record.message]) == 1
    assert len(list(damaged.parent.glob("*.parquet"))) == 5
    damaged.write_bytes(content)
    maintain(tmp_path)
    assert len(PredictionLogReader(tmp_path).predictions(START, FOREVER)) == 10
    assert len(parquet_files(tmp_path)) == 2


def test_a_compacted_file_that_is_damaged_or_missing_is_named_with_its_folder(tmp_path):
    fill(tmp_path)
    maintain(tmp_path)
    path = segment(tmp_path)
    os.truncate(path, 100)
    reader = PredictionLogReader(tmp_path)
    with pytest.raises(LogDamagedError, match=rf"{path}.* move '{path.parent}' out of the log"):
        reader.predictions(START, FOREVER)
    path.unlink()
    with pytest.raises(LogDamagedError, match=rf"{path}.* it is missing"):
        reader.predictions(START, FOREVER)


@pytest.mark.parametrize("content", [b"", b'{"formatVersion": 1}', b"\0" * 30])
def test_a_damaged_commit_record_is_named(log, content):
    path = log / "commits" / "monitor.json"
    path.write_bytes(content)
    with pytest.raises(LogDamagedError, match=f"{path}"):
        PredictionLogReader(log).counts()
    with pytest.raises(LogDamagedError, match=f"{path}"):
        PredictionLogWriter(log, writer_id="monitor")


def test_a_damaged_index_is_named(tmp_path):
    fill(tmp_path)
    maintain(tmp_path)
    path = segment(tmp_path).parent / "_index.json"
    path.write_text('{"formatVersion": 1, "covers": ')
    with pytest.raises(LogDamagedError, match=f"{path}"):
        PredictionLogReader(tmp_path).predictions(START, FOREVER)


def test_a_newer_format_is_refused_and_says_so(log):
    path = log / "commits" / "monitor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"formatVersion": 2}))
    with pytest.raises(
        NewerFormatError, match=r"must be 1 at most. Got 2. A newer driftloop wrote it: upgrade this one."
    ):
        PredictionLogReader(log).counts()


def test_a_newer_segment_is_refused_and_says_so(log):
    path = segment(log)
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.replace_schema_metadata({"driftloop.format": "7"}), path)
    with pytest.raises(NewerFormatError, match=rf"{path}.* Got 7"):
        PredictionLogReader(log).predictions(START, FOREVER)


def test_segments_are_marked_with_their_format(log):
    assert pq.read_schema(segment(log)).metadata[b"driftloop.format"] == b"1"
    assert pa.types.is_timestamp(pq.read_schema(segment(log)).field("time").type)
