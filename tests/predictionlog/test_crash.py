"""What was acknowledged is there once, wherever the writer was when it died."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from tests.predictionlog.dying import Died, die_at_call
from tests.predictionlog.samples import FOREVER, START, at, batch, label

WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from driftloop.predictionlog import Label, PredictionLogWriter
from driftloop.predictionlog.columns import prediction_table
from tests.predictionlog.samples import START, batch

prediction_table([batch(0)])  # The first conversion imports pandas: not the moment to be killed at.
root, first = Path(sys.argv[1]), int(sys.argv[2])
with PredictionLogWriter(root, writer_id="monitor") as log:
    for number in range(first, first + 100_000, 5):
        time = START + timedelta(minutes=number)
        log.append_predictions([batch(number, rows=5, hours=number / 60)])
        log.append_labels([Label(label=True, time=time, key=f"k{number}")])
        print(number, flush=True)
        if number % 25 == 0:
            log.commit(time)
"""


@pytest.mark.parametrize("lives", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_no_acknowledged_record_is_lost_or_doubled_when_the_process_is_killed(tmp_path, lives):
    generator = random.Random(7)
    acknowledged = []
    for life in range(lives):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(life * 100_000)], stdout=subprocess.PIPE, text=True
        ) as process:
            acknowledged.append(int(process.stdout.readline()))
            time.sleep(generator.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    with PredictionLogWriter(tmp_path, writer_id="monitor") as log:
        log.commit(FOREVER)
    reader = PredictionLogReader(tmp_path)
    joined = reader.joined(START, FOREVER)
    expected = {f"p{number + row}" for number in acknowledged for row in range(5)}
    assert len(acknowledged) > 2 * lives
    assert expected <= set(joined.prediction_id)
    assert joined.prediction_id.is_unique
    assert reader.counts().rows == len(joined)
    assert {f"k{number}" for number in acknowledged} <= set(joined[joined.label.notna()].key)


def test_a_crash_between_any_two_steps_of_a_commit_loses_and_doubles_nothing(tmp_path, monkeypatch):
    for fatal in range(1, 100):
        root = tmp_path / str(fatal)
        log = PredictionLogWriter(root, writer_id="monitor")
        log.append_predictions([batch(0), batch(2, hours=30, dropped=3)])
        log.commit(at(1))
        log.append_predictions([batch(4, hours=2), batch(6, hours=60)])
        log.append_labels([label(True, hours=61, key="k6")])
        with monkeypatch.context() as patch:
            die_at_call(patch, fatal)
            try:
                log.commit(at(2))
                died = False
            except Died:
                died = True
        log.close()  # Files only, as the kernel does for a dead process.

        reader = PredictionLogReader(root)
        assert len(reader.predictions(START, FOREVER)) in (4, 8)
        assert reader.complete_through() in (at(1), at(2))
        with PredictionLogWriter(root, writer_id="monitor") as recovered:
            recovered.append_predictions([batch(8, hours=3)])
            recovered.commit(at(4))
        joined = reader.joined(START, FOREVER)
        assert sorted(joined.prediction_id) == [f"p{number}" for number in range(10)]
        assert list(joined[joined.label.notna()].key) == ["k6"]
        counts = reader.counts()
        assert (counts.rows, counts.labels, counts.dropped) == (10, 1, 3)
        if not died:
            assert fatal > 10
            return
    pytest.fail("the commit never came to its end")


def written_log(root):
    """Return the write-ahead file of two acknowledged appends, and its length after the first."""
    log = PredictionLogWriter(root, writer_id="monitor")
    log.append_predictions([batch(0)])
    path = next((root / "wal").glob("*.wal"))
    first = path.stat().st_size
    log.append_predictions([batch(2)])
    log.close()
    return path, first


def recovered_ids(root):
    with PredictionLogWriter(root, writer_id="monitor") as log:
        log.append_predictions([batch(4)])
        log.commit(at(1))
    return list(PredictionLogReader(root).predictions(START, FOREVER).prediction_id)


@pytest.mark.parametrize("kept", [1, 7, 8, 9, 50, -1])
def test_a_torn_tail_is_cut_and_what_lies_before_it_kept(tmp_path, kept):
    path, first = written_log(tmp_path)
    os.truncate(path, first + kept if kept > 0 else path.stat().st_size + kept)
    assert recovered_ids(tmp_path) == ["p0", "p1", "p4", "p5"]


@pytest.mark.parametrize("offset", [0, 3, 4, 8, 60])
def test_a_garbled_tail_is_cut_and_what_lies_before_it_kept(tmp_path, offset):
    path, first = written_log(tmp_path)
    content = bytearray(path.read_bytes())
    content[first + offset] ^= 0xFF
    path.write_bytes(content)
    assert recovered_ids(tmp_path) == ["p0", "p1", "p4", "p5"]


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\0" * 5, b"\xff" * 100])
def test_bytes_that_were_never_written_are_cut(tmp_path, tail):
    path, _ = written_log(tmp_path)
    with path.open("ab") as file:
        file.write(tail)
    assert recovered_ids(tmp_path) == ["p0", "p1", "p2", "p3", "p4", "p5"]
