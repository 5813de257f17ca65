"""A real tap and a real intake process that is killed or stopped: every row is in the log exactly once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from driftloop.serving.outbox import TapRecord
from driftloop.serving.tap import Receipts, Tap
from tests.sidecar.conftest import environment, wait_until

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2013, 1, 1, tzinfo=UTC)


def record(number, rows=3):
    ids = [f"{number}-{row}" for row in range(rows)]
    return TapRecord(
        time=datetime.now(UTC),
        model_version="v1",
        prediction_ids=ids,
        keys=ids,
        features={f"x{column}": [float(number)] * rows for column in range(5)},
        predictions=[True] * rows,
        probability=[0.5] * rows,
        size=500,
    )


@pytest.fixture
def settings(monitor_settings):
    return monitor_settings.model_copy(update={"clock": "wall", "commit_interval_seconds": 0.2})


@contextlib.contextmanager
def intake(settings):
    command = [sys.executable, "-m", "driftloop.sidecar", "intake"]
    with subprocess.Popen(command, env=environment(settings), stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@contextlib.contextmanager
def tapping(settings, max_rows=100_000):
    tap = Tap(settings.tap_socket, max_rows=max_rows, max_bytes=32_000_000, receipts=Receipts())
    tap.start()
    try:
        yield tap
    finally:
        tap.close(0.1)


def logged(settings):
    with PredictionLogWriter(settings.log_dir, writer_id=settings.writer_id) as writer:
        writer.commit()
        counts = writer.committed
    ids = PredictionLogReader(settings.log_dir).predictions(EARLIEST, FOREVER).prediction_id
    return sorted(ids), counts


@pytest.mark.parametrize("lives", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_no_answered_row_is_lost_or_doubled_however_often_the_monitor_is_killed(settings, lives):
    chance, offered = random.Random(11), 0
    with tapping(settings) as tap:
        for _ in range(lives):
            with intake(settings):
                until = time.monotonic() + chance.uniform(0.6, 1.6)
                while time.monotonic() < until:
                    tap.offer(record(offered))
                    offered += 1
                    time.sleep(0.002)
        assert tap.dropped_rows == 0
        with intake(settings) as last:
            tap.close(20)
            last.send_signal(signal.SIGTERM)
            last.wait(20)
        assert (tap.dropped_rows, tap.held_rows) == (0, 0)
    ids, counts = logged(settings)
    assert ids == sorted(f"{number}-{row}" for number in range(offered) for row in range(3))
    assert (counts.rows, counts.dropped) == (3 * offered, 0)  # once on disk too, not only for the reader


def test_what_was_promised_complete_stays_so_with_two_servers_and_kills(settings):
    settings = settings.model_copy(update={"return_seconds": 1.3})
    reader = PredictionLogReader(settings.log_dir)
    seen, offered = {}, 0
    with tapping(settings) as one, tapping(settings) as other:
        for _ in range(3):
            with intake(settings):
                until, enough = time.monotonic() + 15, len(seen) + 2
                while time.monotonic() < until and len(seen) < enough:
                    (one if offered % 2 else other).offer(record(offered, rows=1))
                    offered += 1
                    through = reader.complete_through()
                    if through is not None and through not in seen:
                        seen[through] = len(reader.predictions(EARLIEST, through))
                    time.sleep(0.005)
        with intake(settings) as last:
            one.close(20)
            other.close(20)
            last.send_signal(signal.SIGTERM)
            last.wait(20)
    assert len(seen) >= 4
    assert {through: len(reader.predictions(EARLIEST, through)) for through in seen} == seen


def test_a_stopped_monitor_never_makes_an_offer_wait_and_memory_stays_bounded(settings):
    with intake(settings) as process, tapping(settings, max_rows=2000) as tap:
        tap.offer(record(0))
        wait_until(lambda: tap.held_rows == 0)
        process.send_signal(signal.SIGSTOP)
        durations = []
        for number in range(1, 5001):
            message = record(number)
            start = time.perf_counter()
            tap.offer(message)
            durations.append(time.perf_counter() - start)
            time.sleep(0.0002)
        assert tap.held_rows <= 2000
        assert tap.dropped_rows == 15_000 - tap.held_rows
        durations.sort()
        assert durations[len(durations) * 99 // 100] < 0.005
        assert durations[-1] < 0.25
        dropped = tap.dropped_rows
        process.send_signal(signal.SIGCONT)
        tap.close(20)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    ids, counts = logged(settings)
    assert len(ids) == counts.rows == 15_003 - dropped
    assert counts.dropped == dropped


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_a_fresh_intake_takes_records_within_two_seconds(settings):
    with tapping(settings) as tap:
        tap.offer(record(0))
        with intake(settings) as process:
            wait_until(lambda: tap.held_rows == 0, seconds=60)
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            # Of processor time: on a busy machine nothing can be said of any other.
            assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") < 2


def test_a_server_that_ends_properly_holds_nothing_back(settings):
    reader = PredictionLogReader(settings.log_dir)
    with intake(settings):
        with tapping(settings) as old:
            old.offer(record(0))
            wait_until(lambda: old.held_rows == 0)
            old.close(5)
        with tapping(settings):
            closed = datetime.now(UTC)
            wait_until(lambda: (reader.complete_through() or EARLIEST) > closed + timedelta(seconds=0.5))
