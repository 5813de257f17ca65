"""The writing side of the prediction log: append durably, then commit to segments. Used by the sidecar's intake.

Write-ahead file n turns into the segments numbered n; publishing the commit record with sequence n is the one step that
makes them count, and only then is the file dropped. A crash anywhere in between leaves the file, which the next writer
goes on with. One writer per id, one thread per writer.
"""

import contextlib
import errno
import fcntl
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from driftloop.errors import DriftloopError
from driftloop.predictionlog.durablefile import make_directory
from driftloop.predictionlog.records import Label, LogCounts, PredictionBatch, count, decode, encode
from driftloop.predictionlog.segments import (
    COMPACTED_PREFIX,
    Commit,
    publish_commit,
    read_commit,
    wal_path,
    write_segments,
)
from driftloop.predictionlog.writeahead import WriteAheadFile

REMEMBERED_SOURCES = 64
"""Sources whose newest batch is remembered: far more than the model servers that can be connected at once."""
FLUSH_BYTES = 16 * 2**20
"""Size of the write-ahead file at which it is turned into segments early: bounds the memory of a commit."""
_WRITER_ID_PATTERN = rf"(?!{COMPACTED_PREFIX})[A-Za-z0-9][A-Za-z0-9._-]*"


class LogWriteError(DriftloopError):
    """The disk refused; what was not acknowledged is not in the log."""

    def __init__(self, what: str, root: Path, error: OSError) -> None:
        super().__init__(
            f"The prediction log '{root}' must be writable, but {what}: {error.strerror or error}. "
            "Nothing that was acknowledged is lost. Free space or mend the disk, then send again."
        )


class LogInUseError(DriftloopError):
    """Another process writes under the same id."""

    def __init__(self, root: Path, writer_id: str) -> None:
        super().__init__(
            f"The prediction log '{root}' must have one writer '{writer_id}' at a time, and one is running. "
            "Stop it, or choose another writer id."
        )


class PredictionLogWriter:
    """Appends to the log under `root` and commits; opening it recovers what a crash left.

    Raises:
        LogInUseError: a writer with this id is open.
        LogWriteError: the folder can't be written.
    """

    def __init__(
        self,
        root: Path,
        *,
        writer_id: str,
        sync: bool = True,
        sync_appends: bool = True,
        max_bytes: int | None = None,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the log.

        Args:
            root: folder of the log.
            writer_id: who writes: letters, digits, `.`, `_` and `-`.
            sync: wait for the disk. False gives up safety against power loss, not against a killed process.
            sync_appends: wait at each append; False leaves that to `sync` and `commit`.
            max_bytes: size of the whole folder at which appends are refused, as on a full disk; None for no bound.
            utc_now: clock of the heartbeat in commit records.
        """
        if not re.fullmatch(_WRITER_ID_PATTERN, writer_id):
            raise ValueError(f"The writer id must match {_WRITER_ID_PATTERN}. Got '{writer_id}'.")
        self._root = root
        self._writer_id = writer_id
        self._sync = sync
        self._sync_appends = sync and sync_appends
        self._max_bytes = max_bytes
        self._utc_now = utc_now
        self._commit = Commit()
        self._pending = LogCounts()
        self._received: dict[str, int] = {}
        self._measured_bytes = 0
        self._wal: WriteAheadFile | None = None
        with contextlib.ExitStack() as undo:
            try:
                self._lock = self._open_lock()
                undo.callback(self.close)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._recover()
                self._announce()
            except BlockingIOError as error:
                raise LogInUseError(root, writer_id) from error
            except OSError as error:
                raise LogWriteError("it can't be opened", root, error) from error
            undo.pop_all()

    @property
    def complete_through(self) -> datetime | None:
        """Event time up to which everything is committed."""
        return self._commit.complete_through

    @property
    def committed(self) -> LogCounts:
        """What readers see."""
        return self._commit.counts

    @property
    def sequence(self) -> int:
        """Number of the newest commit; what is appended now will count with the next one."""
        return self._commit.sequence

    @property
    def pending(self) -> LogCounts:
        """What is safe on disk and waits for the next commit."""
        return self._pending

    @property
    def received(self) -> Mapping[str, int]:
        """Number of the newest batch on disk, by source."""
        return self._received

    def append_predictions(self, batches: Sequence[PredictionBatch]) -> None:
        """Add batches with one wait for the disk; on return they survive a crash.

        Raises:
            InvalidRecordError: a batch holds values that the log has no form for; none was kept.
            LogWriteError: the disk is full or broken; none was kept.
        """
        self._append(batches)

    def append_labels(self, labels: Sequence[Label]) -> None:
        """Add labels with one wait for the disk; on return they survive a crash.

        Raises:
            InvalidRecordError: a label holds a value that the log has no form for; none was kept.
            LogWriteError: the disk is full or broken; none was kept.
        """
        self._append(labels)

    def sync(self) -> None:
        """Wait until everything appended would survive a power failure; without `sync` nothing is waited for.

        Raises:
            LogWriteError: the disk is broken; nothing new is promised.
        """
        if self._wal is None or not self._sync or self._sync_appends:
            return
        try:
            self._wal.sync()
        except OSError as error:
            raise LogWriteError("the disk could not be waited for", self._root, error) from error

    def commit(self, through: datetime | None = None) -> None:
        """Make everything appended visible to readers, and promise that nothing earlier than `through` will follow.

        Also with nothing new: the commit record is the writer's sign of life, for want of which windows stop waiting.

        Args:
            through: event time with a time zone; an earlier one than before, or None, promises nothing new.

        Raises:
            LogWriteError: the disk is full or broken; nothing is lost, commit again later.
        """
        known = self.complete_through
        through = max((time for time in (through, known) if time), default=None)
        counts, sequence = self._commit.counts + self._pending, self._commit.sequence
        try:
            if self._wal is not None:
                sequence += 1
                # Read back rather than kept in memory: recovery and commit are one path.
                records = map(decode, self._wal.payloads())
                write_segments(self._root, self._writer_id, sequence, records, promised=known, sync=self._sync)
            received = dict(list(self._received.items())[-REMEMBERED_SOURCES:])
            self._publish(Commit(through, counts, sequence, self._utc_now(), received))
        except OSError as error:
            raise LogWriteError("a commit failed", self._root, error) from error

    def close(self) -> None:
        """Release the log; what is pending stays in the write-ahead file."""
        if self._wal is not None:
            self._wal.close()
            self._wal = None
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, records: Sequence[PredictionBatch] | Sequence[Label]) -> None:
        if not records:
            return
        payloads = [encode(record) for record in records]
        if self._wal is not None and self._wal.size >= FLUSH_BYTES:
            # Before the append: a flush that fails after it would refuse records that are kept.
            self.commit()
        try:
            self._refuse_beyond_bound()
            if self._wal is None:
                path = wal_path(self._root, self._writer_id, self._commit.sequence + 1)
                self._wal = WriteAheadFile(path, sync=self._sync_appends)
            self._wal.append(payloads)
        except OSError as error:
            raise LogWriteError("an append failed", self._root, error) from error
        self._pending = sum(map(count, records), self._pending)
        _note(records, self._received)

    def _refuse_beyond_bound(self) -> None:
        """Raise what a full disk would once the folder has reached its bound."""
        if self._max_bytes is None:
            return
        if self._wal is None or not self._measured_bytes:  # Segments come with commits only.
            self._measured_bytes = sum(map(_size, self._root.rglob("*")))
        if self._measured_bytes + (self._wal.size if self._wal else 0) > self._max_bytes:
            self._measured_bytes = 0  # Measure again: it may be emptied meanwhile.
            raise OSError(errno.EDQUOT, f"it has reached its bound of {self._max_bytes} bytes")

    def _open_lock(self) -> TextIO:
        path = wal_path(self._root, self._writer_id, 0).with_name(f"{self._writer_id}.lock")
        make_directory(path.parent, sync=self._sync)
        return path.open("w")

    def _announce(self) -> None:
        """Publish a sign of life: from now on windows wait for this writer, before its first commit too."""
        with contextlib.suppress(OSError):  # On a full disk the log can still be recovered from.
            commit = replace(self._commit, heartbeat=self._utc_now())
            publish_commit(self._root, self._writer_id, commit, sync=self._sync)

    def _publish(self, commit: Commit) -> None:
        try:
            publish_commit(self._root, self._writer_id, commit, sync=self._sync)
        finally:
            # Also after a failure: whether the commit was published is for the disk to say.
            self._recover()

    def _recover(self) -> None:
        """Take over what is on disk: drop the write-ahead file that was committed, go on with the one that was not."""
        if self._wal is not None:
            self._wal.close()
            self._wal = None
        commit, pending = read_commit(self._root, self._writer_id), LogCounts()
        received = dict(commit.received)
        wal_path(self._root, self._writer_id, commit.sequence).unlink(missing_ok=True)
        path = wal_path(self._root, self._writer_id, commit.sequence + 1)
        if path.exists():
            self._wal = WriteAheadFile(path, sync=self._sync_appends)
            for record in map(decode, self._wal.payloads()):
                pending += count(record)
                _note([record], received)
        # Side by side: another thread that shows both must not see a row twice.
        self._commit, self._pending = commit, pending
        self._received = received


def _note(records: Iterable[PredictionBatch | Label], received: dict[str, int]) -> None:
    """Note the newest batch of each source; the source that spoke last comes last."""
    for record in records:
        if isinstance(record, PredictionBatch) and record.source:
            newest = max(record.sequence, received.pop(record.source, 0))
            received[record.source] = newest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed since it was listed
        return 0
