"""The one way into the prediction log: a bounded queue between the intake's connections and the writing thread.

Whatever waits is written together, with one wait for the disk; then it is acknowledged; then, when it is due, the log
is committed. While the disk refuses, the tap's records are held and tried again, and nothing more is read. Nothing
here touches sockets.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from driftloop.errors import DriftloopError
from driftloop.predictionlog import LogCounts, PredictionBatch, PredictionLogWriter
from driftloop.sidecar.shipnotes import ShipNotes
from driftloop.sidecar.watermark import RETURN_SECONDS, Watermarks
from driftloop.sidecar.wire import Goodbye, Hello, LabelMessage, Watermark

READS = 16
"""Reads of the tap between receipt and disk, of a quarter of a mebibyte each, as Python objects five times that. When
they are taken the tap is not read, and the model servers hold."""
LABEL_REQUESTS = 1000
"""Requests with labels between receipt and disk."""
TICK_SECONDS = 1.0
"""Time after which an idle queue looks whether a commit is due."""
RETRY_SECONDS = 1.0
"""Time between two attempts to append while the disk refuses."""
COMMIT_RETRY_SECONDS = 10.0
"""Time between two attempts to commit while the disk refuses."""
SHIP_LOOK_SECONDS = 0.05
"""Time between two looks whether labels are in the object store."""
FIRST_COMMIT_SECONDS = 1.0
"""Time to the first commit of a monitor that shares its log, once it may promise something."""
IDLE_MARGIN = timedelta(seconds=10)
"""How far the promise of a monitor without a model server stays behind the clock: one that comes may bring answers of
the moment before it was connected."""
STALL_SECONDS = 2.5
"""Time between two rounds after which it is the monitor that was not listening."""

_log = logging.getLogger(__name__)


class QueueFullError(DriftloopError):
    """More labels arrive than the disk takes."""

    def __init__(self) -> None:
        super().__init__(
            f"The monitor can hold {LABEL_REQUESTS} requests for the disk, and does. Send again in a second."
        )


class NotShippedError(DriftloopError):
    """Labels are on this monitor's disk and not in the object store."""

    def __init__(self, seconds: float, reason: str | None) -> None:
        super().__init__(
            f"The labels must be in the object store before they are acknowledged. After {seconds:g} s they are not: "
            f"{reason or 'it is slow'}. They are kept and shipped later, unless this pod is lost: send them again."
        )


@dataclass(frozen=True, slots=True)
class Shared:
    """What is another where the log is shipped to an object store that several monitors share."""

    notes: ShipNotes
    """How far the store is."""
    label_commit_seconds: float
    """Least time between two commits for the sake of labels."""
    label_wait_seconds: float
    """Time that a request with labels is held until the store has them."""


class Connection(Protocol):
    """A connection of the tap, as the queue knows it."""

    number: int

    def acknowledge(self, sequence: int) -> None:
        """Tell the model server that everything up to a sequence number is on disk."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from a connection at once, in its order; `ended` when there is nothing more to read."""

    connection: Connection
    messages: Sequence[Hello | PredictionBatch | Watermark | Goodbye]
    ended: bool = False


@dataclass(frozen=True, slots=True)
class _Labels:
    messages: Sequence[LabelMessage]
    written: "asyncio.Future[int]"
    """Number of the commit that will hold them, once they are on disk."""


class LogQueue:
    """Takes records in order and writes them in groups, until it is closed."""

    def __init__(
        self,
        writer: PredictionLogWriter,
        *,
        replay: bool,
        commit_interval_seconds: float,
        utc_now: Callable[[], datetime],
        sync_interval_seconds: float | None = None,
        return_seconds: float = RETURN_SECONDS,
        shared: Shared | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the queue; `run` works it off.

        Args:
            writer: the log; only the queue's thread uses it from now on.
            replay: commit on every watermark instead of every interval.
            commit_interval_seconds: time between two commits.
            utc_now: clock that gives labels without a time theirs.
            sync_interval_seconds: time between two waits for the disk of a writer that does not wait at each append.
            return_seconds: time after the start in which no promise is made, because model servers may come back.
            shared: the object store that the log is shipped to; None where it stays on this machine.
            monotonic: clock of intervals, in seconds.
        """
        self._writer = writer
        self._replay = replay
        self._interval = commit_interval_seconds
        self._sync_interval = sync_interval_seconds
        self._utc_now = utc_now
        self._shared = shared
        self._next_label_commit = float("-inf")
        self._labels_uncommitted = False
        self._waiting = 0
        self._monotonic = monotonic
        now = monotonic()
        # Others' windows wait for the first promise of a new monitor.
        first = (
            min(return_seconds + FIRST_COMMIT_SECONDS, commit_interval_seconds) if shared else commit_interval_seconds
        )
        self._next_commit = now + (0 if replay else first)
        self._next_sync = now
        self._round_at = now
        self._watermarks = Watermarks(now + return_seconds)
        self._reads: asyncio.Queue[Read] = asyncio.Queue(READS)
        self._held: list[Read] = []
        self._labels: list[_Labels] = []
        self._news = asyncio.Event()
        self._closing = False
        self.acknowledged_rows = 0
        """Rows that model servers were told are on disk."""
        self.duplicate_rows = 0
        """Rows that came again after they were on disk."""
        self.appends = 0
        """Groups of records that were written with one wait for the disk."""
        self.last_error: str | None = None
        """Why the disk refused last; None once it took something again."""

    @property
    def complete_through(self) -> datetime | None:
        """Event time up to which the log is committed."""
        return self._writer.complete_through

    @property
    def watermark(self) -> datetime | None:
        """Newest event time that any model server has spoken of."""
        return self._watermarks.newest

    @property
    def committed(self) -> LogCounts:
        """What the evaluator can read."""
        return self._writer.committed

    @property
    def pending(self) -> LogCounts:
        """What waits for the next commit."""
        return self._writer.pending

    @property
    def unlogged_rows(self) -> int:
        """Rows that wait for the disk."""
        return sum(len(batch.prediction_ids) for batch in _batches(self._held))

    def received(self, server: str) -> int:
        """Return the number of the newest batch of a model server that is on disk."""
        return self._writer.received.get(server, 0)

    async def put_tap(self, read: Read) -> None:
        """Add what was read of the tap; waits while there is no room."""
        await self._reads.put(read)
        self._news.set()

    async def put_labels(self, messages: Sequence[LabelMessage]) -> None:
        """Add labels; returns when they are on disk, and in the object store where there is one.

        Raises:
            QueueFullError: there is no room.
            NotShippedError: the object store does not have them yet.
            DriftloopError: the log does not take them.
        """
        if self._waiting >= LABEL_REQUESTS:
            raise QueueFullError
        labels = _Labels(messages, asyncio.get_running_loop().create_future())
        self._labels.append(labels)
        self._news.set()
        self._waiting += 1
        try:
            sequence = await labels.written
            if self._shared is not None:
                await self._shipped(self._shared, sequence)
        finally:
            self._waiting -= 1

    async def _shipped(self, shared: Shared, sequence: int) -> None:
        """Wait until the object store has a commit."""
        deadline = self._monotonic() + shared.label_wait_seconds
        while (note := shared.notes.read()).sequence < sequence:
            if self._monotonic() >= deadline or self._closing:
                raise NotShippedError(shared.label_wait_seconds, note.last_error)
            await asyncio.sleep(SHIP_LOOK_SECONDS)

    def close(self) -> None:
        """Let `run` write what is queued, commit, and end."""
        self._closing = True
        self._news.set()

    async def run(self) -> None:
        """Write until closed."""
        with ThreadPoolExecutor(1, thread_name_prefix="log-writer") as thread:
            in_thread = partial(asyncio.get_running_loop().run_in_executor, thread)
            while True:
                await self._wait()
                closing = self._closing
                self._note_stall()
                await self._write(in_thread)
                if closing and not self._held and not self._reads.empty():
                    continue
                if closing or self._is_commit_due():
                    await in_thread(self._commit)
                if closing:
                    return

    async def _write(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        """Write what waits, and answer for it."""
        if not self._held:
            while not self._reads.empty():
                self._held.append(self._reads.get_nowait())
        if self._held and await in_thread(self._write_tap):
            self._acknowledge()
        labels, self._labels = self._labels, []
        if labels:
            error = await in_thread(self._write_labels, labels)
            self._labels_uncommitted |= self._shared is not None and error is None
            _answer(labels, error, self._writer.sequence + 1)
        if self._is_sync_due():
            await in_thread(self._sync)

    async def _wait(self) -> None:
        """Wait for news, or for the next thing to do without any."""
        if self._closing:
            return
        seconds = RETRY_SECONDS if self._held else min(TICK_SECONDS, self._sync_interval or TICK_SECONDS)
        if self._labels_uncommitted:
            seconds = min(seconds, max(self._next_label_commit - self._monotonic(), 0))
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def _note_stall(self) -> None:
        now = self._monotonic()
        if now - self._round_at > STALL_SECONDS:
            self._watermarks.excuse(now)
        self._round_at = now

    def _write_tap(self) -> bool:
        """Write what is held; return whether the disk took it."""
        fresh: list[PredictionBatch] = []
        newest: dict[str, int] = {}
        duplicates = 0
        for batch in _batches(self._held):
            if batch.source and batch.sequence <= newest.get(batch.source, self.received(batch.source)):
                duplicates += len(batch.prediction_ids)
                continue
            newest[batch.source] = batch.sequence
            fresh.append(batch)
        try:
            self._writer.append_predictions(fresh)
        except DriftloopError as error:
            self._report("the log refused predictions", error)
            return False
        self.duplicate_rows += duplicates
        self.appends += bool(fresh)
        self.last_error = None
        return True

    def _acknowledge(self) -> None:
        """Say what is on disk, and take up what was said behind it."""
        now = self._monotonic()
        for read in self._held:
            number, sequence, said_goodbye = read.connection.number, 0, False
            for message in read.messages:
                match message:
                    case PredictionBatch():
                        sequence = message.sequence or sequence
                        self.acknowledged_rows += len(message.prediction_ids) if message.sequence else 0
                    case Watermark():
                        sequence = message.sequence or sequence
                        self._watermarks.hear(number, message.time, now)
                    case Hello():
                        self._watermarks.greet(number, message.server, message.through, now)
                    case Goodbye():
                        said_goodbye = True
            if said_goodbye or read.ended:
                self._watermarks.part(number, now, returns=not said_goodbye)
            if sequence:
                read.connection.acknowledge(sequence)
        self._held = []

    def _write_labels(self, labels: Sequence[_Labels]) -> DriftloopError | None:
        now = self._utc_now()
        try:
            self._writer.append_labels([message.to_label(now) for item in labels for message in item.messages])
            self._writer.sync()
        except DriftloopError as error:
            self._report("the log refused labels", error)
            return error
        self.appends += 1
        self.last_error = None
        return None

    def _is_sync_due(self) -> bool:
        return self._sync_interval is not None and self._monotonic() >= self._next_sync

    def _sync(self) -> None:
        try:
            self._writer.sync()
        except DriftloopError as error:
            self._report("the disk was not ready", error)
        self._next_sync = self._monotonic() + (self._sync_interval or 0)

    def _is_commit_due(self) -> bool:
        now = self._monotonic()
        if self._labels_uncommitted and now >= self._next_label_commit:
            return True
        if now < self._next_commit:
            return False
        through, known = self._watermarks.through(now), self._writer.complete_through
        return not self._replay or (through is not None and (known is None or through > known))

    def _commit(self) -> None:
        now = self._monotonic()
        try:
            # What is held is older than what was said behind it: no promise passes it.
            self._writer.commit(None if self._held else self._through(now))
            self._next_commit = now + (0 if self._replay else self._interval)
            self._next_label_commit = now + (self._shared.label_commit_seconds if self._shared else 0)
            self._labels_uncommitted = False
        except DriftloopError as error:
            self._next_commit = self._next_label_commit = now + COMMIT_RETRY_SECONDS
            self._report("a commit of the log failed", error)

    def _through(self, now: float) -> datetime | None:
        """Return what can be promised complete."""
        through = self._watermarks.through(now)
        if self._shared is None or not self._watermarks.is_quiet(now):
            return through
        # No server, so the clock speaks: others' windows must not wait for a pod that never serves.
        idle = self._utc_now() - IDLE_MARGIN
        return max(through, idle) if through else idle

    def _report(self, event: str, error: DriftloopError) -> None:
        if self.last_error is None:
            _log.error("%s: %s", event, error)
        self.last_error = str(error)


def _batches(reads: Sequence[Read]) -> list[PredictionBatch]:
    """Return the batches of some reads; a watermark that counts drops becomes a batch without rows."""
    batches = []
    for read in reads:
        for message in read.messages:
            if isinstance(message, PredictionBatch):
                batches.append(message)
            elif isinstance(message, Watermark) and message.dropped:
                batches.append(
                    PredictionBatch(
                        "", message.time, (), None, {}, {}, message.dropped, message.server, message.sequence
                    )
                )
    return batches


def _answer(labels: Sequence[_Labels], error: DriftloopError | None, sequence: int) -> None:
    for item in labels:
        if item.written.cancelled():
            continue  # The client has gone.
        if error is None:
            item.written.set_result(sequence)
        else:
            item.written.set_exception(error)
