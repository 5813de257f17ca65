"""The committed part of the log on disk: Parquet segments by event date, and one commit record per writer.

A segment is named by its writer and the number of the write-ahead file it came from, so that writing it again after a
crash replaces it. It counts only once the writer's commit record has reached its number.

    predictions/date=2013-03-01/<writer>-0000000007.parquet
    labels/date=2013-03-02/<writer>-0000000007.parquet
    commits/<writer>.json
    wal/<writer>-0000000008.wal
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from driftloop.predictionlog.columns import label_table, prediction_table
from driftloop.predictionlog.durablefile import write_durably
from driftloop.predictionlog.records import Label, LogCounts, PredictionBatch

PREDICTIONS = "predictions"
LABELS = "labels"
_DATE_PREFIX = "date="


@dataclass(frozen=True, slots=True)
class Commit:
    """What one writer has published."""

    complete_through: datetime | None = None
    """Every prediction of this writer with an earlier event time is committed, or was dropped and counted."""
    counts: LogCounts = field(default_factory=LogCounts)
    """All that was ever committed."""
    sequence: int = 0
    """Number of the newest committed segments."""
    received: Mapping[str, int] = field(default_factory=dict)
    """Newest batch by source, oldest source first: what comes again is known by it."""


def read_commit(root: Path, writer_id: str) -> Commit:
    """Return what the writer published last; an empty commit when it never did."""
    path = _commit_path(root, writer_id)
    return _parse_commit(path) if path.exists() else Commit()


def read_commits(root: Path) -> dict[str, Commit]:
    """Return the last commit of every writer."""
    return {path.stem: _parse_commit(path) for path in sorted(_commit_path(root, "*").parent.glob("*.json"))}


def publish_commit(root: Path, writer_id: str, commit: Commit, *, sync: bool) -> None:
    """Make a commit visible to readers, in one step."""
    through = commit.complete_through
    content = {
        "formatVersion": 1,
        "completeThrough": through.isoformat() if through else None,
        **asdict(commit.counts),
        "sequence": commit.sequence,
        "received": dict(commit.received),
    }
    data = json.dumps(content, indent=2).encode()
    write_durably(_commit_path(root, writer_id), lambda file: file.write(data), sync=sync)


def wal_path(root: Path, writer_id: str, sequence: int) -> Path:
    """Return the place of a write-ahead file."""
    return root / "wal" / f"{_segment_name(writer_id, sequence)}.wal"


def write_segments(
    root: Path, writer_id: str, sequence: int, records: Iterable[PredictionBatch | Label], *, sync: bool
) -> None:
    """Write the records as Parquet, one segment per kind and event date; the order of records is kept.

    Raises:
        OSError: some segments may stand; writing the same records again replaces them.
    """
    batches, labels = [], []
    for record in records:
        if isinstance(record, Label):
            labels.append(record)
        elif record.prediction_ids:
            batches.append(record)

    def write(kind: str, records: list[Any], to_table: Callable[[list[Any]], pa.Table]) -> None:
        for day, of_day in groupby(sorted(records, key=_event_date), _event_date):
            path = root / kind / f"{_DATE_PREFIX}{day}" / f"{_segment_name(writer_id, sequence)}.parquet"
            table = to_table(list(of_day))
            write_durably(path, partial(pq.write_table, table, compression="zstd"), sync=sync)

    write(PREDICTIONS, batches, prediction_table)
    write(LABELS, labels, label_table)


def committed_segments(
    root: Path, kind: str, commits: dict[str, Commit], since: datetime, until: datetime | None
) -> list[Path]:
    """Return the committed segments that may hold events from `since` to `until`, by date, writer and number."""
    first, last = _utc_date(since), _utc_date(until) if until else date.max
    paths = []
    for folder in sorted((root / kind).glob(f"{_DATE_PREFIX}*")):
        if first <= date.fromisoformat(folder.name.removeprefix(_DATE_PREFIX)) <= last:
            paths += [path for path in sorted(folder.glob("*.parquet")) if _is_committed(path, commits)]
    return paths


def _is_committed(path: Path, commits: dict[str, Commit]) -> bool:
    writer_id, _, sequence = path.stem.rpartition("-")
    return writer_id in commits and int(sequence) <= commits[writer_id].sequence


def _segment_name(writer_id: str, sequence: int) -> str:
    return f"{writer_id}-{sequence:010d}"


def _commit_path(root: Path, writer_id: str) -> Path:
    return root / "commits" / f"{writer_id}.json"


def _parse_commit(path: Path) -> Commit:
    content = json.loads(path.read_bytes())
    through = content["completeThrough"]
    return Commit(
        complete_through=datetime.fromisoformat(through) if through else None,
        counts=LogCounts(content["rows"], content["labels"], content["dropped"]),
        sequence=content["sequence"],
        received=content.get("received", {}),
    )


def _event_date(record: PredictionBatch | Label) -> date:
    return _utc_date(record.time)


def _utc_date(time: datetime) -> date:
    return time.astimezone(UTC).date()
