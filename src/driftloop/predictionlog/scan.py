"""Reading of one segment: the rows of a stretch of time that a view of the log counts, and only the columns asked for.

Row groups carry the least and the greatest time in their statistics, so that of a compacted date only the groups of
the stretch are read.
"""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from driftloop.predictionlog.columns import TIMESTAMP
from driftloop.predictionlog.damage import LogDamagedError
from driftloop.predictionlog.segments import (
    FORMAT_KEY,
    PROMISED_KEY,
    TIME_COLUMNS,
    Segment,
    View,
    check_format,
    damaged_segment,
    date_folders,
    segments_of,
)

WRITER = "log.writer"
SEQUENCE = "log.sequence"
PROMISED = "log.promised"
"""Where a row came from, and what its writer had promised before: what views and windows select by. A compacted segment
holds it in columns."""
PROVENANCE = pa.schema([(WRITER, pa.string()), (SEQUENCE, pa.int64()), (PROMISED, TIMESTAMP)])
OnDamage: TypeAlias = Callable[[LogDamagedError], None]
ATTEMPTS = 5
"""Looks at the log while compaction or retention removes files under a reader's hands; each happens once a date."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which rows are asked for, by time."""

    since: datetime | None = None
    until: datetime | None = None
    """Event time behind the last."""
    until_included: bool = False
    """`time <= until` instead."""
    on_time: bool = False
    """Only rows committed before their writer promised to be complete through `until`: later ones are late."""


def scan(
    root: Path,
    kind: str,
    view: View,
    stretch: Stretch,
    *,
    columns: Sequence[str] | None = None,
    select: Callable[[pa.Table], pa.Table] = lambda table: table,
    on_damage: OnDamage | None = None,
) -> list[pa.Table]:
    """Return the rows of the view in the stretch, one table per segment that has any.

    Args:
        root: folder of the log.
        kind: predictions or labels.
        view: which records count.
        stretch: which event times.
        columns: names of columns; those that a segment lacks are left out. None for all.
        select: picks rows of each table before the next is read.
        on_damage: is told of segments that can't be read, which are left out then.

    Raises:
        LogDamagedError: a segment can't be read, and nobody is to be told instead.
        NewerFormatError: a segment was written by a newer driftloop.
    """

    def read(segment: Segment) -> pa.Table | None:
        try:
            with SegmentFile(segment, TIME_COLUMNS[kind]) as file:
                return select(file.read(stretch, columns, view=view))
        except LogDamagedError as error:
            if on_damage is None:
                raise
            on_damage(error)
            return None

    attempt = 1
    while True:
        try:
            folders = date_folders(root, kind, stretch.since, stretch.until)
            tables = [read(segment) for _, folder in folders for segment in segments_of(folder, view)]
            return [table for table in tables if table is not None and table.num_rows]
        except FileNotFoundError as error:
            if attempt == ATTEMPTS:
                path = Path(error.filename or root)
                raise LogDamagedError(
                    path, "it is missing", "Put it back, or move its folder out of the log."
                ) from error
        attempt += 1


class SegmentFile:
    """An open segment.

    Raises:
        FileNotFoundError: it was removed since it was listed.
        LogDamagedError: it can't be read.
        NewerFormatError: a newer driftloop wrote it.
    """

    def __init__(self, segment: Segment, time_column: str) -> None:
        self._segment = segment
        self._time_column = time_column
        try:
            self._file = pq.ParquetFile(segment.path, page_checksum_verification=True)
            metadata = self._file.schema_arrow.metadata or {}
            version = int(metadata.get(FORMAT_KEY, b"1"))
            promised = metadata.get(PROMISED_KEY, b"").decode()
            self.promised = datetime.fromisoformat(promised) if promised else None
            """What the writer of a plain segment had promised before it."""
        except (OSError, ValueError, pa.ArrowException) as error:
            raise _explained(segment, error) from error
        check_format(segment.path, version)
        self.schema = pa.schema([field for field in self._file.schema_arrow if field.name not in PROVENANCE.names])
        """The columns of the records, without provenance."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, stretch: Stretch, columns: Sequence[str] | None = None, *, view: View | None = None) -> pa.Table:
        """Return the rows of the stretch that the view counts; provenance only when `columns` asks for it."""
        groups = [n for n in range(self._file.num_row_groups) if self._may_hold(n, stretch)]
        partly = view is not None and self._segment.is_compacted and self._reaches_beyond(view)
        on_time = stretch.on_time and stretch.until is not None
        names = self.schema.names if columns is None else [n for n in _all_names(self.schema) if n in columns]
        needed = {*names, self._time_column}
        needed |= {WRITER, SEQUENCE} if partly else set()
        needed |= {PROMISED} if on_time else set()
        try:
            stored = [name for name in self._file.schema_arrow.names if name in needed]
            # One thread: several processes share the machine with the model server.
            table = self._file.read_row_groups(groups, columns=stored, use_threads=False)
            if not self._segment.is_compacted:
                table = self._with_provenance(table, needed)
            mask = _within(table[self._time_column], stretch)
            if partly and view is not None:
                mask = _and(mask, _counted(table, view))
            if on_time:
                mask = _and(mask, _promised_before(table[PROMISED], stretch.until))
            return (table if mask is None else table.filter(mask)).select(names)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise _explained(self._segment, error) from error

    def _with_provenance(self, table: pa.Table, needed: set[str]) -> pa.Table:
        ((writer_id, (sequence, _)),) = self._segment.sequences.items()
        for field, value in zip(PROVENANCE, (writer_id, sequence, self.promised), strict=True):
            if field.name in needed:
                table = table.append_column(field, pa.repeat(pa.scalar(value, field.type), table.num_rows))
        return table

    def _reaches_beyond(self, view: View) -> bool:
        return any(highest > view.get(writer, 0) for writer, (_, highest) in self._segment.sequences.items())

    def _may_hold(self, group: int, stretch: Stretch) -> bool:
        position = self._file.schema_arrow.names.index(self._time_column)
        statistics = self._file.metadata.row_group(group).column(position).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        since, until = stretch.since, stretch.until
        if until is not None and (statistics.min > until or (statistics.min == until and not stretch.until_included)):
            return False
        return since is None or statistics.max >= since


def _all_names(schema: pa.Schema) -> list[str]:
    return [*schema.names, *PROVENANCE.names]


def _within(times: pa.ChunkedArray, stretch: Stretch) -> pa.ChunkedArray | None:
    since, until = stretch.since, stretch.until
    mask = None if since is None else pc.greater_equal(times, pa.scalar(since, TIMESTAMP))
    if until is None:
        return mask
    before = pc.less_equal if stretch.until_included else pc.less
    return _and(mask, before(times, pa.scalar(until, TIMESTAMP)))


def _promised_before(promised: pa.ChunkedArray, until: datetime | None) -> pa.ChunkedArray:
    return pc.fill_null(pc.less(promised, pa.scalar(until, TIMESTAMP)), fill_value=True)


def _counted(table: pa.Table, view: View) -> pa.ChunkedArray | None:
    mask = pa.chunked_array([pa.repeat(False, table.num_rows)])
    for writer_id, sequence in view.items():
        rows = pc.and_(pc.equal(table[WRITER], writer_id), pc.less_equal(table[SEQUENCE], sequence))
        mask = pc.or_(mask, rows)
    return mask


def _and(one: pa.ChunkedArray | None, other: pa.ChunkedArray | None) -> pa.ChunkedArray | None:
    if one is None or other is None:
        return other if one is None else one
    return pc.and_(one, other)


def _explained(segment: Segment, error: BaseException) -> BaseException:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "removed since it was listed", str(segment.path))
    if isinstance(error, MemoryError):
        return error  # Not the file's fault.
    return damaged_segment(segment, error)
