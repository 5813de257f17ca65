"""Copies what one writer has committed on its own disk into the log that all share, in an object store.

Segments go first, the commit record last: a record in the store never promises what is not there. Everything may be
repeated, because a segment's name says what it holds; a crash anywhere costs no more than doing it again.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from driftloop.errors import DriftloopError
from driftloop.predictionlog.logstore import LogStore
from driftloop.predictionlog.segments import (
    TIME_COLUMNS,
    Commit,
    commit_path,
    date_folders,
    format_commit,
    parse_commit,
    read_commit,
    segment_origin,
)


class WriterNotUniqueError(DriftloopError):
    """The store has more of a writer than its disk."""

    def __init__(self, uri: str, writer_id: str, *, here: int, stored: int) -> None:
        super().__init__(
            f"The writer id '{writer_id}' must belong to one log only. Its newest commit at '{uri}' is {stored}, on "
            f"this disk {here}. Give each monitor a name of its own that never comes again, such as the pod's."
        )


class LogShipper:
    """Ships one writer's log.

    Args:
        root: the local log.
        writer_id: whose.
        store: where to.
        log_uri: the shared log.
        keep: time that shipped segments stay on the local disk.

    Raises (all methods):
        StoreUnavailableError: nothing is lost; ship again later.
        WriterNotUniqueError: another log was shipped under this id.
    """

    def __init__(self, root: Path, writer_id: str, store: LogStore, log_uri: str, *, keep: timedelta) -> None:
        self._root = root
        self._writer_id = writer_id
        self._store = store
        self._uri = log_uri
        self._keep = keep
        self._stored: Commit | None = None

    def ship(self, *, ended: bool = False) -> Commit:
        """Bring the store up to the newest local commit, and return what stands there.

        Args:
            ended: say goodbye: nothing will follow.
        """
        stored = self._read_stored()
        commit = replace(read_commit(self._root, self._writer_id), ended=ended)
        if commit.sequence < stored.sequence:
            raise WriterNotUniqueError(self._commit_uri, self._writer_id, here=commit.sequence, stored=stored.sequence)
        if not commit_path(self._root, self._writer_id).exists() or replace(stored, dates={}) == commit:
            return stored
        dates = dict(stored.dates)
        for day, path, sequence in self._segments():
            if stored.sequence < sequence <= commit.sequence:
                self._store.put_file(path, f"{self._uri}/{path.relative_to(self._root).as_posix()}")
                dates[day] = max(sequence, dates.get(day, 0))
        commit = replace(commit, dates=dates)
        self._store.replace(self._commit_uri, format_commit(commit))
        self._stored = commit
        return commit

    def clean(self, now: datetime) -> None:
        """Remove local segments that the store has had for a while."""
        if self._stored is None:
            return
        for _, path, sequence in list(self._segments()):
            old = now.timestamp() - path.stat().st_mtime >= self._keep.total_seconds()
            if sequence <= self._stored.sequence and old:
                path.unlink()

    @property
    def _commit_uri(self) -> str:
        return f"{self._uri}/{commit_path(Path(), self._writer_id).as_posix()}"

    def _read_stored(self) -> Commit:
        if self._stored is None:
            try:
                data = self._store.read(self._commit_uri)
            except FileNotFoundError:
                self._stored = Commit()
            else:
                self._stored = parse_commit(data, Path(self._commit_uri))
        return self._stored

    def _segments(self) -> Iterator[tuple[date, Path, int]]:
        for kind in TIME_COLUMNS:
            for day, folder in date_folders(self._root, kind, None, None):
                for path in sorted(folder.glob("[!._]*.parquet")):
                    writer_id, sequence = segment_origin(path.name)
                    if writer_id == self._writer_id:
                        yield day, path, sequence
