"""The tap: hands every answered request to the monitor over a Unix socket, and never makes a request wait.

Records wait in a queue bounded by rows and bytes; what does not fit, or can't be sent before the server stops, is
dropped and counted, and the count travels with the next message. One thread sends, in order. No code of the model
belongs here.
"""

import json
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

WATERMARK_SECONDS = 1.0
_SEND_SLICE_SECONDS = 0.2
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.05, 1.0


@dataclass(frozen=True)
class TapRecord:
    """One answered request."""

    time: datetime
    """Event time."""
    model_version: str
    prediction_ids: list[str]
    keys: list[str | None] | None
    features: dict[str, list[Any]]
    predictions: list[Any]
    probability: list[Any] | None
    """Two classes: the positive one's. More: a list a row. Regression: None."""
    size: int
    """Bytes it stands for in the queue."""

    def to_message(self) -> dict[str, Any]:
        """Return the message of the tap's protocol, without the count of drops."""
        outputs = {"prediction": self.predictions}
        return {
            "type": "predictions",
            "modelVersion": self.model_version,
            "time": self.time.isoformat(),
            "predictionIds": self.prediction_ids,
            "keys": self.keys,
            "features": self.features,
            "outputs": outputs if self.probability is None else outputs | {"probability": self.probability},
        }


class Receipts:
    """The requests under way, and so the time up to which all have been handed to the tap."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[int, datetime] = {}
        self._count = 0

    @contextmanager
    def request(self) -> Iterator[datetime]:
        """Note the time of receipt for as long as the request is under way."""
        with self._lock:
            self._count += 1
            number, received = self._count, self._now()
            self._open[number] = received
        try:
            yield received
        finally:
            with self._lock:
                del self._open[number]

    def complete_through(self) -> datetime:
        """Return the time before which no received request is under way any more."""
        with self._lock:
            return next(iter(self._open.values()), None) or self._now()


class Tap:
    """A bounded queue and the thread that empties it into a socket.

    Args:
        path: Unix socket of the monitor; may appear, vanish and come back.
        max_rows: most rows in the queue.
        max_bytes: most bytes in the queue.
        receipts: source of the watermark of every second; None where the traffic itself sends watermarks.
    """

    def __init__(self, path: Path, *, max_rows: int, max_bytes: int, receipts: Receipts | None) -> None:
        self._path = path
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._receipts = receipts
        self._changed = threading.Condition()
        self._queue: deque[TapRecord | datetime] = deque()
        self._rows = 0
        self._bytes = 0
        self._unreported = 0
        self._stop_at: float | None = None
        self.sent_rows = 0
        self.dropped_rows = 0
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def offer(self, record: TapRecord) -> None:
        """Queue a record, or drop and count it; returns at once either way."""
        rows = len(record.prediction_ids)
        with self._changed:
            if self._rows + rows > self._max_rows or self._bytes + record.size > self._max_bytes or self._is_stopping:
                self._drop(rows)
                return
            self._queue.append(record)
            self._rows += rows
            self._bytes += record.size
            self._changed.notify()

    def offer_watermark(self, through: datetime) -> None:
        """Queue the statement that everything up to a time was offered; one right behind another replaces it."""
        with self._changed:
            if len(self._queue) > 1 and isinstance(self._queue[-1], datetime):  # the first may be on its way already
                self._queue.pop()
            self._queue.append(through)
            self._changed.notify()

    def close(self, limit_seconds: float = 2.0) -> None:
        """Send what is queued, for at most this long, and stop; the rest is dropped and counted."""
        if self._receipts is not None:
            self.offer_watermark(self._receipts.complete_through())
        with self._changed:
            self._stop_at = time.monotonic() + limit_seconds
            self._changed.notify()
        self._thread.join(limit_seconds + 1.0)
        with self._changed:
            self._drop(sum(len(item.prediction_ids) for item in self._queue if isinstance(item, TapRecord)))
            self._queue.clear()
        if self.dropped_rows:
            logger.warning("The tap dropped rows", extra={"dropped": self.dropped_rows, "sent": self.sent_rows})

    @property
    def _is_stopping(self) -> bool:
        return self._stop_at is not None

    @property
    def _is_late(self) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    def _drop(self, rows: int) -> None:
        self.dropped_rows += rows
        self._unreported += rows

    def _run(self) -> None:
        connection: socket.socket | None = None
        watermark_at = time.monotonic() + WATERMARK_SECONDS
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._is_late:
            if self._receipts is not None and time.monotonic() >= watermark_at:
                watermark_at = time.monotonic() + WATERMARK_SECONDS
                self.offer_watermark(self._receipts.complete_through())
            with self._changed:
                if not self._queue and not self._is_stopping:
                    self._changed.wait(WATERMARK_SECONDS / 4)
                if not self._queue:
                    if self._is_stopping:
                        break
                    continue
            try:
                connection = connection or self._connect()
                self._send_next(connection)
                backoff = _FIRST_BACKOFF_SECONDS
            except OSError:
                if connection is None and self._is_stopping:
                    break  # nobody listens: there is nothing to wait for
                if connection is not None:
                    connection.close()
                    connection = None
                time.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
        if connection is not None:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_SEND_SLICE_SECONDS)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection

    def _send_next(self, connection: socket.socket) -> None:
        """Send the first of the queue; it leaves the queue only once it is sent."""
        with self._changed:
            item, dropped = self._queue[0], self._unreported
        message = _watermark(item) if isinstance(item, datetime) else item.to_message()
        data = memoryview(json.dumps(message | {"dropped": dropped}, separators=(",", ":")).encode() + b"\n")
        while data:
            try:
                data = data[connection.send(data) :]
            except TimeoutError:
                if self._is_late:
                    raise
        with self._changed:
            self._queue.popleft()
            self._unreported -= dropped
            if isinstance(item, TapRecord):
                self._rows -= len(item.prediction_ids)
                self._bytes -= item.size
                self.sent_rows += len(item.prediction_ids)


def _watermark(through: datetime) -> dict[str, Any]:
    return {"type": "watermark", "time": through.isoformat()}
