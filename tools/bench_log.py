"""How long a window's query of the prediction log takes: ten million rows of twenty features over a hundred dates.

    python tools/bench_log.py query [--rows 10000000] [--dates 100] [--folder KEEP]

The rows are written as segments through the log's own code and merged by its own compaction; then windows of an hour
and of a day are read as the evaluator reads them, each by a process's first and by its later looks.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from driftloop.predictionlog.columns import (
    FEATURE_PREFIX,
    KEY,
    LABEL,
    LABEL_TIME,
    MODEL_VERSION,
    OUTPUT_PREDICTION,
    OUTPUT_PROBABILITY,
    PREDICTION_ID,
    TIME,
)
from driftloop.predictionlog.maintenance import REMOVE_AFTER, LogMaintainer
from driftloop.predictionlog.reader import PredictionLogReader
from driftloop.predictionlog.records import LogCounts
from driftloop.predictionlog.segments import (
    LABELS,
    PREDICTIONS,
    Commit,
    date_folder,
    publish_commit,
    write_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = 20
SEGMENTS_PER_DATE = 12
LIMIT_SECONDS = 1.0
MEBIBYTE = 2**20


def build(root: Path, rows: int, dates: int) -> None:
    """Write the log: a writer with twelve commits a date, then compaction."""
    per_segment = rows // (dates * SEGMENTS_PER_DATE)
    generator = np.random.default_rng(0)
    view = {"monitor": dates * SEGMENTS_PER_DATE}
    maintainer = LogMaintainer(root, timedelta(days=3650))
    for day in range(dates):
        for part in range(SEGMENTS_PER_DATE):
            sequence = day * SEGMENTS_PER_DATE + part + 1
            since = START + timedelta(days=day, seconds=part * 86_400 / SEGMENTS_PER_DATE)
            tables = _tables(generator, since, 86_400 / SEGMENTS_PER_DATE, per_segment, sequence)
            for kind, table in tables.items():
                folder = date_folder(root, kind, since.date())
                folder.mkdir(parents=True, exist_ok=True)
                with (folder / f"monitor-{sequence:010d}.parquet").open("wb") as file:
                    write_parquet(table, file)
        through = START + timedelta(days=day + 1)
        publish_commit(root, "monitor", Commit(through, LogCounts(), (day + 1) * SEGMENTS_PER_DATE), sync=False)
        later = datetime.now(UTC) + 2 * REMOVE_AFTER
        while maintainer.step(through=view, complete_through=through, needed_since=START, now=later):
            pass


def _tables(
    generator: np.random.Generator, since: datetime, seconds: float, rows: int, sequence: int
) -> dict[str, pa.Table]:
    offsets = np.sort(generator.integers(0, int(seconds * 1e6), rows)).astype("timedelta64[us]")
    times = pa.array(np.datetime64(since.replace(tzinfo=None), "us") + offsets, pa.timestamp("us", tz="UTC"))
    ids = [f"{sequence:016x}{number:016x}" for number in range(rows)]
    keys = [f"flight-{sequence}-{number}" for number in range(rows)]
    features = {
        f"{FEATURE_PREFIX}f{n}": pa.array(np.round(generator.normal(size=rows), 3)) for n in range(FEATURES - 4)
    }
    features |= {
        f"{FEATURE_PREFIX}c{n}": pa.array(np.array(["AA", "UA", "DL", "B6"])[generator.integers(0, 4, rows)])
        for n in range(4)
    }
    probability = np.round(generator.random(rows), 6)
    predictions = {
        PREDICTION_ID: pa.array(ids),
        KEY: pa.array(keys),
        TIME: times,
        MODEL_VERSION: pa.repeat("0123456789ab", rows),
        **features,
        OUTPUT_PREDICTION: pa.array(probability > 0.5),  # noqa: PLR2004 (the usual threshold)
        OUTPUT_PROBABILITY: pa.array(probability),
    }
    labels = {
        PREDICTION_ID: pa.nulls(rows, pa.string()),
        KEY: pa.array(keys),
        LABEL: pa.array(generator.random(rows) < probability),
        LABEL_TIME: times,
    }
    return {PREDICTIONS: pa.table(predictions), LABELS: pa.table(labels)}


def measure(root: Path, dates: int) -> bool:
    """Print the seconds of each query; return whether all are within the limit."""
    reader = PredictionLogReader(root)
    day = timedelta(days=1)
    queries: dict[str, Callable[[datetime, datetime], int]] = {
        "predictions": lambda start, end: len(reader.predictions(start, end)),
        "joined with labels of a day": lambda start, end: len(reader.joined(start, end, labelled_by=end + day)),
        "count": lambda start, end: reader.count_on_time(start, end, view=reader.view()),
    }
    starts = [START + timedelta(days=number) for number in np.linspace(0, dates - 2, 9).astype(int).tolist()]
    within = True
    print(f"{'window':10} {'query':30} {'rows':>9} {'first':>8} {'median':>8} {'worst':>8}   (seconds)")
    for name, length in (("one hour", timedelta(hours=1)), ("one day", day)):
        for what, query in queries.items():
            seconds, rows = [], 0
            for start in starts:
                begun = time.perf_counter()
                rows = query(start, start + length)
                seconds.append(time.perf_counter() - begun)
            within &= max(seconds) <= LIMIT_SECONDS
            figures = " ".join(f"{value:8.3f}" for value in (seconds[0], statistics.median(seconds), max(seconds)))
            print(f"{name:10} {what:30} {rows:9,d} {figures}")
    return within


def main() -> int:
    """Build or take the log, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["query"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dates", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="a folder for the log that is kept and used again")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="driftloop-bench-"))
    try:
        root = folder / "log"
        if not root.exists():
            begun = time.perf_counter()
            build(root, options.rows, options.dates)
            print(
                f"{options.rows:,d} rows and as many labels, written and merged in {time.perf_counter() - begun:.0f} s"
            )
        files = list(root.rglob("*.parquet"))
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} Parquet files, {size / MEBIBYTE:,.0f} MiB")
        within = measure(root, options.dates)
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MiB")
    print(f"every query of a window within {LIMIT_SECONDS:.0f} s: {'yes' if within else 'NO'}")
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
