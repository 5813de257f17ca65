"""Writes traffic as a prediction log that the monitor reads: the log's own files, without its write-ahead detour.

Everything is in the log from the start; what the monitor may see of it is said by the commit record, which moves on.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from driftloop.predictionlog.columns import (
    KEY,
    LABEL,
    LABEL_TIME,
    MODEL_VERSION,
    PREDICTION_ID,
    TIME,
    TIMESTAMP,
    typed,
)
from driftloop.predictionlog.durablefile import write_durably
from driftloop.predictionlog.records import LogCounts
from driftloop.predictionlog.segments import (
    LABELS,
    PREDICTIONS,
    TIME_COLUMNS,
    Commit,
    date_folder,
    open_parquet_writer,
    publish_commit,
    segment_name,
)

if TYPE_CHECKING:
    import pandas as pd

WRITER = "replay"
_SEQUENCE = 1
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LiveLog:
    """The log of a replay under one folder.

    Args:
        root: an empty folder.
        duration: length of a window: rows of a window lie together in a file.
    """

    def __init__(self, root: Path, duration: timedelta) -> None:
        self._root = root
        self._duration = min(duration, _DAY)
        self._counts = LogCounts()

    def write(self, frame: "pd.DataFrame") -> None:
        """Add answered rows: the log's columns, and `label` and `label_time` where the truth is known.

        A file holds a date: whole dates are given at once, in order of time.
        """
        labelled = frame[frame[LABEL].notna()]
        known = pa.table(
            {
                PREDICTION_ID: pa.array(labelled[PREDICTION_ID], pa.string()),
                KEY: pa.nulls(len(labelled), pa.string()),
                LABEL: typed(labelled[LABEL].tolist()),
                LABEL_TIME: pa.array(labelled[LABEL_TIME], TIMESTAMP),
            }
        )
        self._write_dates(PREDICTIONS, _prediction_table(frame.drop(columns=[LABEL, LABEL_TIME])), "")
        # Labels of a date may come from several dates of predictions, and so in several files.
        self._write_dates(LABELS, known.sort_by(LABEL_TIME), f".{self._counts.rows}" if self._counts.rows else "")
        self._counts += LogCounts(rows=len(frame), labels=len(labelled))

    def complete_through(self, through: datetime) -> None:
        """Let the monitor see the log as it was at an event time."""
        publish_commit(self._root, WRITER, Commit(through, self._counts, _SEQUENCE), sync=False)

    def _write_dates(self, kind: str, table: pa.Table, suffix: str) -> None:
        name = f"{segment_name(WRITER, _SEQUENCE)}{suffix}.parquet"
        for day, of_day in _parts(table, TIME_COLUMNS[kind], _DAY):
            path = date_folder(self._root, kind, day.date()) / name
            write_durably(path, partial(self._write_file, of_day, TIME_COLUMNS[kind]), sync=False)

    def _write_file(self, table: pa.Table, time: str, file: BinaryIO) -> None:
        with open_parquet_writer(table.schema, file) as writer:
            for _, window in _parts(table, time, self._duration):
                writer.write_table(window)


def _prediction_table(frame: "pd.DataFrame") -> pa.Table:
    fixed = {PREDICTION_ID: pa.string(), KEY: pa.string(), MODEL_VERSION: pa.string(), TIME: TIMESTAMP}
    return pa.table({name: _column(frame[name], fixed.get(name)) for name in frame.columns})


def _column(values: "pd.Series[Any]", type_: pa.DataType | None) -> pa.Array:
    if type_ is not None:
        return pa.array(values, type_, from_pandas=True)
    return (
        typed([_plain(value) for value in values.tolist()])
        if values.dtype == object
        else pa.array(values, from_pandas=True)
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # probabilities of several classes, as a log gives them
        return value.tolist()
    return None if value != value else value  # noqa: PLR0124 - NaN alone differs from itself


def _parts(table: pa.Table, time: str, length: timedelta) -> Iterator[tuple[datetime, pa.Table]]:
    """Cut a table in order of time at multiples of a length since the epoch."""
    if not table.num_rows:
        return
    micros = table[time].cast(pa.int64()).to_numpy() // (length // timedelta(microseconds=1))
    starts = [0, *((micros[1:] != micros[:-1]).nonzero()[0] + 1).tolist(), len(micros)]
    for start, end in pairwise(starts):
        yield _EPOCH + int(micros[start]) * length, table.slice(start, end - start)
