"""Logs of every format that was ever written can be read, written on, and compacted."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from driftloop.predictionlog import LogCounts, PredictionLogReader, PredictionLogWriter
from tests.predictionlog.samples import FOREVER, START, at, batch
from tests.predictionlog.test_compaction import maintain

FORMAT_1 = Path(__file__).parent / "data" / "format-1"
"""Written by the first code of format 1, without marks in its segments: never to be written again."""


@pytest.fixture
def root(tmp_path):
    return Path(shutil.copytree(FORMAT_1, tmp_path / "log"))


def truth(joined):
    return {row.prediction_id: row.label for row in joined.itertuples() if pd.notna(row.label)}


def check(root, rows):
    reader = PredictionLogReader(root)
    joined = reader.joined(START, FOREVER)
    assert sorted(joined.prediction_id) == sorted(f"p{number}" for number in rows)
    assert truth(joined) == {"p0": False, "p1": False, "p4": True}
    first = joined.set_index("prediction_id").loc["p0"]
    assert (first["time"], first["model_version"], first["feature.carrier"]) == (at(1), "v1", "AA")
    day = reader.predictions(START, at(24))
    assert day["feature.distance"].dropna().tolist() == [100.0, 2.0, 3.0, 6.0, 7.0, 10.0, 11.0]
    assert reader.complete_through() >= at(47)


def test_a_log_of_format_1_is_read(root):
    check(root, [*range(8), 10, 11])
    assert PredictionLogReader(root).counts() == LogCounts(rows=12, labels=5, dropped=3)


def test_a_log_of_format_1_is_written_on_and_its_write_ahead_file_taken_over(root):
    with PredictionLogWriter(root, writer_id="monitor") as log:
        assert log.pending == LogCounts(rows=2)
        log.append_predictions([batch(20, hours=60)])
        log.commit(at(61))
    check(root, [*range(12), 20, 21])


def test_a_log_of_format_1_is_compacted(root):
    assert maintain(root) > 0
    assert len(list(root.rglob("predictions/date=2013-03-01/*.parquet"))) == 2  # of two layouts
    check(root, [*range(8), 10, 11])
