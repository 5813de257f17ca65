"""The one way into the prediction log: a bounded queue between the intake's connections and the writing thread.

Whatever waits is written together, with one wait for the disk; then labels are acknowledged; then, when it is due, the
log is committed. Nothing here touches sockets.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from driftloop.errors import DriftloopError
from driftloop.predictionlog import LogCounts, PredictionBatch, PredictionLogWriter
from driftloop.sidecar.watermark import Watermarks
from driftloop.sidecar.wire import LabelMessage, TapPredictions, TapWatermark

QUEUE_LENGTH = 1000
"""Messages between receipt and disk. When it is full the tap is not read, and the model server drops and counts."""
TICK_SECONDS = 1.0
"""Time after which an idle queue looks whether a commit is due."""
RETRY_SECONDS = 10.0
"""Time between two attempts to commit while the disk refuses."""

_log = logging.getLogger(__name__)


class QueueFullError(DriftloopError):
    """More labels arrive than the disk takes."""

    def __init__(self) -> None:
        super().__init__(
            f"The monitor can hold {QUEUE_LENGTH} messages for the disk, and does. Send again in a second."
        )


@dataclass(frozen=True, slots=True)
class _Labels:
    messages: Sequence[LabelMessage]
    written: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What a connection said of itself: a watermark, or None when it ended."""

    connection: int
    watermark: TapWatermark | None


class LogQueue:
    """Takes records in order and writes them in groups, until it is closed."""

    def __init__(
        self,
        writer: PredictionLogWriter,
        *,
        replay: bool,
        commit_interval_seconds: float,
        utc_now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the queue; `run` works it off.

        Args:
            writer: the log; only the queue's thread uses it from now on.
            replay: commit on every watermark instead of every interval.
            commit_interval_seconds: time between two commits.
            utc_now: clock that gives labels without a time theirs.
            monotonic: clock of intervals, in seconds.
        """
        self._writer = writer
        self._replay = replay
        self._interval = commit_interval_seconds
        self._utc_now = utc_now
        self._monotonic = monotonic
        self._next_commit = monotonic() + (0 if replay else commit_interval_seconds)
        self._watermarks = Watermarks()
        self._queue: asyncio.Queue[PredictionBatch | _Spoken | _Labels | None] = asyncio.Queue(QUEUE_LENGTH)
        self._unlogged = 0
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
        """What waits for the next commit; rows that the disk refused count as dropped."""
        return self._writer.pending + LogCounts(dropped=self._unlogged)

    async def put_tap(self, connection: int, message: TapPredictions | TapWatermark) -> None:
        """Add a message of the tap; waits while the queue is full.

        Raises:
            InvalidRecordError: its columns do not fit each other.
        """
        await self._queue.put(
            message.to_batch() if isinstance(message, TapPredictions) else _Spoken(connection, message)
        )

    async def end_tap(self, connection: int) -> None:
        """Say that a connection of the tap has ended."""
        await self._queue.put(_Spoken(connection, None))

    async def put_labels(self, messages: Sequence[LabelMessage]) -> None:
        """Add labels; returns when they are on disk.

        Raises:
            QueueFullError: there is no room.
            DriftloopError: the log does not take them.
        """
        labels = _Labels(messages, asyncio.get_running_loop().create_future())
        try:
            # Not awaited: a label's time must not be older than a watermark that is ahead of it in the queue.
            self._queue.put_nowait(labels)
        except asyncio.QueueFull as error:
            raise QueueFullError from error
        await labels.written

    async def close(self) -> None:
        """Let `run` write what is queued, commit, and end."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Write until closed."""
        closing = False
        with ThreadPoolExecutor(1, thread_name_prefix="log-writer") as thread:
            loop = asyncio.get_running_loop()
            while not closing:
                group = await self._next_group()
                closing = None in group
                labels = [item for item in group if isinstance(item, _Labels)]
                if group:
                    await loop.run_in_executor(thread, self._write_tap, group)
                if labels:
                    error = await loop.run_in_executor(thread, self._write_labels, labels)
                    _answer(labels, error)
                if closing or self._is_commit_due():
                    await loop.run_in_executor(thread, self._commit)

    async def _next_group(self) -> list[PredictionBatch | _Spoken | _Labels | None]:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                group = [await self._queue.get()]
        except TimeoutError:
            return []
        while not self._queue.empty():
            group.append(self._queue.get_nowait())
        return group

    def _write_tap(self, group: Sequence[object]) -> None:
        batches = [item for item in group if isinstance(item, PredictionBatch)]
        spoken = [item for item in group if isinstance(item, _Spoken)]
        dropped = self._unlogged + sum(item.watermark.dropped for item in spoken if item.watermark)
        if dropped:
            batches.append(PredictionBatch("", self._utc_now(), (), None, {}, {}, dropped))
        try:
            self._writer.append_predictions(batches)
            self._unlogged = 0
            if batches:
                self.last_error = None
        except DriftloopError as error:
            # The tap must not wait for the disk; what is lost is counted, and told when the disk is back.
            self._unlogged = sum(len(batch.prediction_ids) + batch.dropped for batch in batches)
            self._report("the log refused predictions", error)
        for item in spoken:
            if item.watermark is None:
                self._watermarks.close(item.connection)
            else:
                self._watermarks.hear(item.connection, item.watermark.time, self._monotonic())

    def _write_labels(self, labels: Sequence[_Labels]) -> DriftloopError | None:
        now = self._utc_now()
        try:
            self._writer.append_labels([message.to_label(now) for item in labels for message in item.messages])
        except DriftloopError as error:
            self._report("the log refused labels", error)
            return error
        self.last_error = None
        return None

    def _is_commit_due(self) -> bool:
        now = self._monotonic()
        if now < self._next_commit:
            return False
        through, known = self._watermarks.through(now), self._writer.complete_through
        return not self._replay or (through is not None and (known is None or through > known))

    def _commit(self) -> None:
        now = self._monotonic()
        try:
            self._writer.commit(self._watermarks.through(now))
            self._next_commit = now + (0 if self._replay else self._interval)
        except DriftloopError as error:
            self._next_commit = now + RETRY_SECONDS
            self._report("a commit of the log failed", error)

    def _report(self, event: str, error: DriftloopError) -> None:
        if self.last_error is None:
            _log.error("%s: %s", event, error)
        self.last_error = str(error)


def _answer(labels: Sequence[_Labels], error: DriftloopError | None) -> None:
    for item in labels:
        if item.written.cancelled():
            continue  # The client has gone.
        if error is None:
            item.written.set_result(None)
        else:
            item.written.set_exception(error)
