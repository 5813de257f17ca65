"""Merging of a date's segments into one in order of time, so that a window's query opens few files and reads little.

Rows keep the writer and sequence number they came with: views and manifests select by them, before and after. The
date's index is published last and in one step; a crash before it leaves a file that nobody reads, a crash after it
leaves files that nobody needs. One process per log compacts; readers and writers need not know.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.predictionlog.columns import PREDICTION_ID, unite
from driftloop.predictionlog.durablefile import write_durably
from driftloop.predictionlog.layout import group_by_layout, layout_of_schema
from driftloop.predictionlog.scan import PROVENANCE, SegmentFile, Stretch
from driftloop.predictionlog.segments import (
    COMPACTED_PREFIX,
    Index,
    Segment,
    View,
    list_folder,
    open_parquet_writer,
    publish_index,
)

ROW_GROUP_ROWS = 20_000
"""Rows that are sorted and written at once: bounds memory, and what a narrow window reads too much."""
OPEN_DATE_SEGMENTS = 64
"""Segments of a date that is still being written at which they are merged already."""
LATE_SEGMENTS = 8
"""Segments that late records may add to a date before it is merged again."""
_DAY_SECONDS = 86_400


def compact_date(folder: Path, day: date, time_column: str, *, through: View, is_over: bool) -> bool:
    """Merge the date's segments when there are enough of them; return whether there were.

    Args:
        folder: the date's folder.
        day: the date.
        time_column: the kind's event time.
        through: records that may be compacted.
        is_over: whether every writer has said that the date is complete.

    Raises:
        LogDamagedError: a segment can't be read; the date stays as it is.
        OSError: the disk refuses; the date stays as it is.
    """
    index, plain = list_folder(folder)
    fresh = [s for s in plain if all(high <= through.get(w, 0) for w, (_, high) in s.sequences.items())]
    files = [*index.compacted, *fresh]
    if is_over and not index.is_whole:
        due = len(files) > 1
    else:
        due = len(fresh) >= (LATE_SEGMENTS if is_over else OPEN_DATE_SEGMENTS)
    if not due:
        return False
    sources, kept = (files, []) if is_over else (fresh, list(index.compacted))
    number = _next_number(folder)
    merged: list[Segment] = []
    schemas = {segment.path: _schema_of(segment, time_column) for segment in sources}
    for group in group_by_layout(sources, lambda segment: layout_of_schema(schemas[segment.path])):
        columns = unite([schemas[segment.path].empty_table() for segment in group]).schema
        schema = pa.schema([*columns, *PROVENANCE])
        path = folder / f"{COMPACTED_PREFIX}{number + len(merged):010d}.parquet"
        _write_merged(path, group, schema, datetime.combine(day, time.min, UTC), time_column)
        merged.append(Segment(path, _sequences(group), is_compacted=True))
    covers = dict(index.covers) | {w: max(sequence, index.covers.get(w, 0)) for w, sequence in through.items()}
    publish_index(folder, Index(covers, (*kept, *merged), is_whole=is_over))
    return True


def superseded(folder: Path) -> list[Path]:
    """Return the files of the date that no new reader looks at."""
    index, plain = list_folder(folder)
    needed = {segment.path for segment in (*index.compacted, *plain)}
    return [path for path in sorted(folder.glob("*.parquet")) if path not in needed]


def _write_merged(
    path: Path, sources: Sequence[Segment], schema: pa.Schema, midnight: datetime, time_column: str
) -> None:
    """Write the rows of the sources in order of time, one stretch of the day in memory at once."""
    rows_by_second = np.zeros(_DAY_SECONDS, np.int64)
    spans = []
    for segment in sources:
        with SegmentFile(segment, time_column) as file:
            times = file.read(Stretch(), [time_column])[time_column].to_numpy()
        seconds = (times - np.datetime64(midnight.replace(tzinfo=None), "us")) // np.timedelta64(1, "s")
        rows_by_second += np.bincount(seconds, minlength=_DAY_SECONDS)
        spans.append((segment, seconds.min(), seconds.max()))

    def write(file: BinaryIO) -> None:
        with open_parquet_writer(schema, file) as writer:
            for first, last in _stretches(rows_by_second):
                since, until = midnight + timedelta(seconds=first), midnight + timedelta(seconds=last)
                inside = [segment for segment, low, high in spans if low < last and high >= first]
                tables = [_rows(segment, time_column, since, until) for segment in inside]
                table = unite([schema.empty_table(), *tables])
                writer.write_table(table.sort_by([(time_column, "ascending"), (PREDICTION_ID, "ascending")]))

    write_durably(path, write)


def _stretches(rows_by_second: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Part the day into stretches of about `ROW_GROUP_ROWS` rows, as seconds `first <= s < last`."""
    total = np.cumsum(rows_by_second)
    first, done = 0, 0
    while done < total[-1]:
        last = min(int(np.searchsorted(total, done + ROW_GROUP_ROWS)) + 1, _DAY_SECONDS)
        yield first, last
        first, done = last, int(total[last - 1])


def _rows(segment: Segment, time_column: str, since: datetime, until: datetime) -> pa.Table:
    with SegmentFile(segment, time_column) as file:
        return file.read(Stretch(since, until), [*file.schema.names, *PROVENANCE.names])


def _schema_of(segment: Segment, time_column: str) -> pa.Schema:
    with SegmentFile(segment, time_column) as file:
        return file.schema


def _sequences(segments: Sequence[Segment]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for segment in segments:
        for writer_id, (low, high) in segment.sequences.items():
            known = found.get(writer_id, (low, high))
            found[writer_id] = (min(low, known[0]), max(high, known[1]))
    return found


def _next_number(folder: Path) -> int:
    # Files from an object store carry a digest behind the number.
    names = (path.stem.removeprefix(COMPACTED_PREFIX) for path in folder.glob(f"{COMPACTED_PREFIX}*.parquet"))
    return max((int(name.partition("-")[0]) for name in names), default=0) + 1
