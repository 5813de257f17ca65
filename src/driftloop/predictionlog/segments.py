"""The committed part of the log on disk: Parquet segments by event date, and one commit record per writer.

A segment is named by its writer and the number of the write-ahead file it came from, so that writing it again after a
crash replaces it. It counts only once the writer's commit record has reached its number, and until the date's index
says that a compacted segment holds its rows.

    predictions/date=2013-03-01/<writer>-0000000007.parquet     with several layouts also ...-0000000007.1.parquet
    predictions/date=2013-03-01/compacted-0000000001.parquet    rows of many, in order of time
    predictions/date=2013-03-01/_index.json                     what is compacted
    labels/date=2013-03-02/<writer>-0000000007.parquet
    commits/<writer>.json
    wal/<writer>-0000000008.wal
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from driftloop.predictionlog.columns import LABEL_TIME, TIME, label_table, prediction_table
from driftloop.predictionlog.damage import LogDamagedError, NewerFormatError
from driftloop.predictionlog.durablefile import write_durably
from driftloop.predictionlog.layout import group_by_layout, layout_of_batch, layout_of_label
from driftloop.predictionlog.records import Label, LogCounts, PredictionBatch

FORMAT_VERSION = 1
"""Raised when older code would misread what newer code writes; a reader knows all formats up to its own."""
FORMAT_KEY = b"driftloop.format"
"""Metadata of every segment; files that lack it are of format 1."""
PROMISED_KEY = b"driftloop.promised"
"""Metadata of a plain segment: the event time that its writer had committed "complete through" before it."""
PREDICTIONS = "predictions"
LABELS = "labels"
TIME_COLUMNS = {PREDICTIONS: TIME, LABELS: LABEL_TIME}
"""The event time of each kind, by which it is parted into dates."""
DATE_PREFIX = "date="
COMPACTED_PREFIX = "compacted-"
INDEX_NAME = "_index.json"

View: TypeAlias = Mapping[str, int]
"""A state of the log: for each writer the sequence number up to which its records count. It names records, not files,
and so holds through compaction."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What one writer has published."""

    complete_through: datetime | None = None
    """Every prediction of this writer with an earlier event time is committed, or was dropped and counted."""
    counts: LogCounts = field(default_factory=LogCounts)
    """All that was ever committed."""
    sequence: int = 0
    """Number of the newest committed segments."""
    heartbeat: datetime | None = None
    """When it was published, by the writer's own clock."""
    received: Mapping[str, int] = field(default_factory=dict)
    """Newest batch by source, oldest source first: what comes again is known by it."""
    dates: Mapping[date, int] = field(default_factory=dict)
    """In an object store: the dates that the writer has segments in, and the newest number there."""
    ended: bool = False
    """In an object store: whether the writer said goodbye. Nothing of it will follow, and nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of committed rows."""

    path: Path
    sequences: Mapping[str, tuple[int, int]]
    """For each writer the lowest and highest sequence number of its rows."""
    is_compacted: bool = False
    """Whether its rows carry writer and sequence themselves."""


@dataclass(frozen=True, slots=True)
class Index:
    """What of one date is compacted; publishing it is the step that makes a compaction count."""

    covers: View = field(default_factory=dict)
    """All segments up to this number, by writer, are in `compacted`."""
    compacted: tuple[Segment, ...] = ()
    is_whole: bool = False
    """Whether everything was merged once, after the date had ended."""


def read_commit(root: Path, writer_id: str) -> Commit:
    """Return what the writer published last; an empty commit when it never did.

    Raises:
        LogDamagedError: the record can't be read.
    """
    path = commit_path(root, writer_id)
    return _parse_commit(path) if path.exists() else Commit()


def read_commits(root: Path) -> dict[str, Commit]:
    """Return the last commit of every writer.

    Raises:
        LogDamagedError: a record can't be read.
    """
    return {path.stem: _parse_commit(path) for path in sorted(commit_path(root, "*").parent.glob("[!.]*.json"))}


def view_of(commits: Mapping[str, Commit]) -> View:
    """Return the state of the log at these commits."""
    return {writer_id: commit.sequence for writer_id, commit in commits.items()}


def publish_commit(root: Path, writer_id: str, commit: Commit, *, sync: bool) -> None:
    """Make a commit visible to readers, in one step."""
    data = format_commit(commit)
    write_durably(commit_path(root, writer_id), lambda file: file.write(data), sync=sync)


def format_commit(commit: Commit) -> bytes:
    """Return a commit record's content."""
    through, heartbeat = commit.complete_through, commit.heartbeat
    content: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "completeThrough": through.isoformat() if through else None,
        **asdict(commit.counts),
        "sequence": commit.sequence,
        "received": dict(commit.received),
        "heartbeat": heartbeat.isoformat() if heartbeat else None,
    }
    if commit.dates:
        content["dates"] = {str(day): sequence for day, sequence in sorted(commit.dates.items())}
    if commit.ended:
        content["ended"] = True
    return json.dumps(content, indent=2).encode()


def wal_path(root: Path, writer_id: str, sequence: int) -> Path:
    """Return the place of a write-ahead file."""
    return root / "wal" / f"{segment_name(writer_id, sequence)}.wal"


def write_segments(
    root: Path,
    writer_id: str,
    sequence: int,
    records: Iterable[PredictionBatch | Label],
    *,
    promised: datetime | None,
    sync: bool,
) -> None:
    """Write the records as Parquet, one segment per kind, event date and layout; the order of records is kept.

    `promised` is what the writer has committed "complete through" so far: by it late records are told.

    Raises:
        OSError: some segments may stand; writing the same records again replaces them.
    """
    batches, labels = [], []
    for record in records:
        if isinstance(record, Label):
            labels.append(record)
        elif record.prediction_ids:
            batches.append(record)

    def write(kind: str, records: list[Any], layout_of: Callable[[Any], Any], to_table: Callable[[Any], Any]) -> None:
        for day, of_day in groupby(sorted(records, key=_event_date), _event_date):
            for number, group in enumerate(group_by_layout(of_day, layout_of)):
                suffix = f".{number}" if number else ""
                path = date_folder(root, kind, day) / f"{segment_name(writer_id, sequence)}{suffix}.parquet"
                write_durably(path, partial(write_parquet, to_table(group), promised=promised), sync=sync)

    write(PREDICTIONS, batches, layout_of_batch, prediction_table)
    write(LABELS, labels, layout_of_label, label_table)


def write_parquet(table: pa.Table, file: Any, *, promised: datetime | None = None) -> None:
    """Write one segment."""
    metadata = {PROMISED_KEY: promised.isoformat().encode()} if promised else {}
    with open_parquet_writer(table.schema.with_metadata(metadata), file) as writer:
        writer.write_table(table)


def open_parquet_writer(schema: pa.Schema, file: Any) -> Any:
    """Return a Parquet writer as all segments use it: marked with the format, checksums on every page."""
    schema = schema.with_metadata({**(schema.metadata or {}), FORMAT_KEY: str(FORMAT_VERSION).encode()})
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)


def date_folder(root: Path, kind: str, day: date) -> Path:
    """Return the folder of a date's segments."""
    return root / kind / f"{DATE_PREFIX}{day}"


def date_folders(root: Path, kind: str, since: datetime | None, until: datetime | None) -> list[tuple[date, Path]]:
    """Return the folders that may hold events from `since` to `until`, in order."""
    folders = []
    for path in sorted((root / kind).glob(f"{DATE_PREFIX}*")):
        day = date.fromisoformat(path.name.removeprefix(DATE_PREFIX))
        if (since is None or _utc_date(since) <= day) and (until is None or day <= _utc_date(until)):
            folders.append((day, path))
    return folders


def segments_of(folder: Path, view: View) -> list[Segment]:
    """Return the date's segments that hold rows of the view; some rows of a compacted one may be outside of it."""
    index, plain = list_folder(folder)
    return [
        segment
        for segment in (*index.compacted, *plain)
        if any(lowest <= view.get(writer_id, 0) for writer_id, (lowest, _) in segment.sequences.items())
    ]


def list_folder(folder: Path) -> tuple[Index, list[Segment]]:
    """Return the date's index and its segments that are not compacted yet, committed or not."""
    while True:
        index = read_index(folder)
        plain = [s for s in _plain_segments(folder) if not is_covered(s, index)]
        # Files are removed only after the index that replaces them was published.
        if read_index(folder) == index:
            return index, plain


def is_covered(segment: Segment, index: Index) -> bool:
    """Return whether a plain segment's rows are in a compacted one."""
    ((writer_id, (sequence, _)),) = segment.sequences.items()
    return sequence <= index.covers.get(writer_id, 0)


def read_index(folder: Path) -> Index:
    """Return what of the date is compacted.

    Raises:
        LogDamagedError: the index can't be read.
    """
    try:
        data = (folder / INDEX_NAME).read_bytes()
    except FileNotFoundError:
        return Index()
    return parse_index(data, folder)


def parse_index(data: bytes, folder: Path) -> Index:
    """Read an index's content; `folder` is the date's.

    Raises:
        LogDamagedError: it is none.
    """
    path = folder / INDEX_NAME
    try:
        content = json.loads(data)
    except ValueError as error:
        raise LogDamagedError(path, error, _folder_remedy(folder)) from error
    check_format(path, content.get("formatVersion"))
    try:
        compacted = tuple(
            Segment(folder / item["file"], {w: (low, high) for w, (low, high) in item["sequences"].items()}, True)
            for item in content["compacted"]
        )
        return Index(content["covers"], compacted, content["isWhole"])
    except (KeyError, TypeError, ValueError) as error:
        raise LogDamagedError(path, error, _folder_remedy(folder)) from error


def publish_index(folder: Path, index: Index) -> None:
    """Make a compaction count, in one step."""
    data = format_index(index)
    write_durably(folder / INDEX_NAME, lambda file: file.write(data))


def format_index(index: Index) -> bytes:
    """Return an index's content."""
    content = {
        "formatVersion": FORMAT_VERSION,
        "covers": dict(index.covers),
        "isWhole": index.is_whole,
        "compacted": [{"file": s.path.name, "sequences": dict(s.sequences)} for s in index.compacted],
    }
    return json.dumps(content, indent=2).encode()


def check_format(path: Path, version: object) -> None:
    """Refuse what a newer driftloop wrote.

    Raises:
        NewerFormatError: the version is not known.
    """
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise NewerFormatError(path, FORMAT_VERSION, version)


def damaged_segment(segment: Segment, problem: object) -> LogDamagedError:
    """Return the error that tells what to do about a segment that can't be read."""
    path = segment.path
    remedy = (
        _folder_remedy(path.parent)
        if segment.is_compacted
        else "Put it back from a backup, or move it out of the log to go on without its rows."
    )
    return LogDamagedError(path, problem, remedy)


def _folder_remedy(folder: Path) -> str:
    return f"Put it back from a backup, or move '{folder}' out of the log to go on without that date."


def _plain_segments(folder: Path) -> Iterator[Segment]:
    for path in sorted(folder.glob("[!._]*.parquet")):
        if not path.name.startswith(COMPACTED_PREFIX):
            writer_id, sequence = segment_origin(path.name)
            yield Segment(path, {writer_id: (sequence, sequence)})


def segment_origin(name: str) -> tuple[str, int]:
    """Return the writer of a plain segment and its number.

    >>> segment_origin("pod-a-0000000007.1.parquet")
    ('pod-a', 7)
    """
    writer_id, _, number = name.removesuffix(".parquet").rpartition("-")
    return writer_id, int(number.partition(".")[0])


def segment_name(writer_id: str, sequence: int) -> str:
    """Return the name of a write-ahead file and of the segments made from it, without suffix."""
    return f"{writer_id}-{sequence:010d}"


def commit_path(root: Path, writer_id: str) -> Path:
    """Return the place of a writer's commit record."""
    return root / "commits" / f"{writer_id}.json"


def _parse_commit(path: Path) -> Commit:
    return parse_commit(path.read_bytes(), path)


def parse_commit(data: bytes, path: Path) -> Commit:
    """Read a commit record's content; `path` is where it was found.

    Raises:
        LogDamagedError: it is none.
        NewerFormatError: a newer driftloop wrote it.
    """
    try:
        content = json.loads(data)
        version = content["formatVersion"]
        if version == FORMAT_VERSION:
            return Commit(
                complete_through=_time(content["completeThrough"]),
                counts=LogCounts(content["rows"], content["labels"], content["dropped"]),
                sequence=content["sequence"],
                heartbeat=_time(content.get("heartbeat")),
                received=content.get("received", {}),
                dates={date.fromisoformat(day): number for day, number in content.get("dates", {}).items()},
                ended=content.get("ended", False),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise LogDamagedError(
            path, error, "Put it back from a backup; nothing that was acknowledged is lost, the segments hold it."
        ) from error
    check_format(path, version)
    raise LogDamagedError(path, f"no format {version}", "Put it back from a backup.")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _event_date(record: PredictionBatch | Label) -> date:
    return _utc_date(record.time)


def _utc_date(time: datetime) -> date:
    return time.astimezone(UTC).date()
