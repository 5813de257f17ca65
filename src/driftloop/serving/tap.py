"""The tap: hands every answered request to the monitor over a Unix socket, and never makes a request wait.

One thread sends what the outbox holds, in order, and reads what the monitor acknowledges. What is not acknowledged when
a connection ends is sent again on the next one. No code of the model belongs here.

A connection begins with a hello. A monitor that answers it acknowledges; one that does not is older than this server,
takes plain messages, and what was sent to it counts as delivered.
"""

import json
import logging
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from driftloop.serving.outbox import Entry, Outbox, TapRecord

logger = logging.getLogger(__name__)

WATERMARK_SECONDS = 1.0
HELLO_SECONDS = 5.0
"""Time a monitor has to answer the first hello before it is taken for an older one."""
_SLICE_SECONDS = 0.2
"""Longest wait on the socket before the thread looks at everything else."""
_ACKNOWLEDGEMENT_SECONDS = 0.02
"""Time between two looks for acknowledgements while some are due and nothing is to be sent."""
_SEND_BYTES = 262_144
"""Bytes sent in one piece: each call to the system may cost this thread a wait for the interpreter."""
_RECEIVE_BYTES = 65_536
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.05, 1.0


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
    """An outbox and the thread that empties it into a socket.

    Args:
        path: Unix socket of the monitor; may appear, vanish and come back.
        max_rows: most rows held until the monitor has them.
        max_bytes: most bytes held until the monitor has them.
        receipts: source of the watermark of every second; None where the traffic itself sends watermarks.
    """

    def __init__(self, path: Path, *, max_rows: int, max_bytes: int, receipts: Receipts | None) -> None:
        self._path = path
        self._receipts = receipts
        self._server = secrets.token_hex(8)
        self._changed = threading.Condition()
        self._outbox = Outbox(max_rows, max_bytes)
        self._stop_at: float | None = None
        self._acknowledges = False
        """Whether this monitor has ever been seen to acknowledge: then nothing less is taken for delivered."""
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)

    @property
    def sent_rows(self) -> int:
        """Rows that the monitor has."""
        return self._outbox.delivered_rows

    @property
    def dropped_rows(self) -> int:
        """Rows that found no room, or no monitor before the end."""
        return self._outbox.dropped_rows

    @property
    def resent_rows(self) -> int:
        """Rows that were sent again after a connection had ended."""
        return self._outbox.resent_rows

    @property
    def held_rows(self) -> int:
        """Rows that the monitor is not known to have."""
        return self._outbox.held_rows

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def offer(self, record: TapRecord) -> None:
        """Queue a record, or drop and count it; returns at once either way."""
        with self._changed:
            if self._is_stopping:
                self._outbox.drop(record.rows)
                return
            self._outbox.offer(record)
            self._changed.notify()

    def offer_watermark(self, through: datetime) -> None:
        """Queue the statement that everything up to a time was offered."""
        with self._changed:
            self._outbox.offer_watermark(through)
            self._changed.notify()

    def close(self, limit_seconds: float = 5.0) -> None:
        """Send until the monitor has everything, for at most this long, and stop; the rest is dropped and counted."""
        if self._receipts is not None:
            self.offer_watermark(self._receipts.complete_through())
        with self._changed:
            self._stop_at = time.monotonic() + limit_seconds
            self._changed.notify()
        self._thread.join(limit_seconds + 1.0)
        with self._changed:
            self._outbox.give_up()
        if self.dropped_rows:
            logger.warning("The tap dropped rows", extra={"dropped": self.dropped_rows, "sent": self.sent_rows})

    @property
    def _is_stopping(self) -> bool:
        return self._stop_at is not None

    @property
    def _is_late(self) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    @property
    def _has_ended(self) -> bool:
        """Whether no monitor need be looked for any more; for a watermark alone none is waited for."""
        return self._is_late or (self._is_stopping and not self._outbox.held_rows)

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._has_ended:
            if self._receipts is None and not self._outbox.has_waiting:
                self._wait(WATERMARK_SECONDS / 4)  # in a replay nobody is called before there is something to say
                continue
            try:
                with self._connect() as connection:
                    answers = _Answers(connection)
                    acknowledges = self._introduce(connection, answers)
                    backoff = _FIRST_BACKOFF_SECONDS
                    self._converse(connection, answers, acknowledges=acknowledges)
                    return
            except OSError:
                with self._changed:
                    self._outbox.take_back()
                time.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection

    def _introduce(self, connection: socket.socket, answers: "_Answers") -> bool:
        """Say hello; return whether this monitor acknowledges.

        Raises:
            OSError: a monitor that should have answered did not.
        """
        self._send(connection, _line({"type": "hello", "server": self._server, "through": self._lower_bound()}))
        deadline = time.monotonic() + HELLO_SECONDS
        while time.monotonic() < deadline and not self._is_late:
            for answer in answers.read(_SLICE_SECONDS):
                if answer["type"] == "hello":
                    self._acknowledges = True
                    with self._changed:
                        self._outbox.acknowledge(answer["sequence"])
                    return True
        if self._acknowledges or self._is_late:
            raise TimeoutError
        return False

    def _lower_bound(self) -> str | None:
        """Return the event time before which no record will come any more: neither a new nor a held one."""
        through = self._receipts.complete_through() if self._receipts is not None else self._outbox.promised
        with self._changed:
            times = self._outbox.times()
        oldest = min(times, default=None)
        known = [moment for moment in (through, oldest) if moment is not None]
        return min(known).isoformat() if known else None

    def _converse(self, connection: socket.socket, answers: "_Answers", *, acknowledges: bool) -> None:
        """Send, and read acknowledgements, until the tap is closed and everything has arrived.

        Raises:
            OSError: the connection ended.
        """
        watermark_at = time.monotonic()
        while not (self._is_late or (self._is_stopping and self._outbox.is_empty)):
            if self._receipts is not None and time.monotonic() >= watermark_at:
                watermark_at = time.monotonic() + WATERMARK_SECONDS
                self.offer_watermark(self._receipts.complete_through())
            with self._changed:
                entries = self._outbox.take(_SEND_BYTES)
            if entries:
                self._send(connection, self._to_lines(entries, acknowledges=acknowledges))
            for answer in answers.read(0):
                if answer["type"] == "hello":  # a monitor that took long to answer: begin again as one should
                    self._acknowledges = True
                    raise ConnectionResetError
                with self._changed:
                    self._outbox.acknowledge(answer["sequence"])
            if not acknowledges:
                with self._changed:
                    self._outbox.trust()
            if not entries:
                self._wait(_ACKNOWLEDGEMENT_SECONDS if self._outbox.held_rows else WATERMARK_SECONDS / 4)
        if acknowledges and self._outbox.is_empty:
            self._send(connection, _line({"type": "goodbye"}))

    def _wait(self, seconds: float) -> None:
        with self._changed:
            if not self._outbox.has_waiting:
                self._changed.wait(seconds)

    def _to_lines(self, entries: Sequence[Entry], *, acknowledges: bool) -> bytes:
        if not acknowledges:
            return b"".join(_line(entry.to_message()) for entry in entries)
        identity = {"server": self._server}
        return b"".join(_line(entry.to_message() | identity | {"sequence": entry.sequence}) for entry in entries)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        """Send all of it, however long the monitor takes; only the end of the tap is not waited beyond.

        Raises:
            OSError: the connection ended, or the tap has.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[connection.send(rest) :]
            except BlockingIOError:
                if self._is_late:
                    raise
                _until(connection, select.POLLOUT, _SLICE_SECONDS)


class _Answers:
    """The lines that the monitor sends back on one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """Return what has come; waits for at most so long.

        Raises:
            OSError: the monitor has closed the connection.
        """
        if seconds:
            _until(self._connection, select.POLLIN, seconds)
        try:
            data = self._connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


def _until(connection: socket.socket, event: int, seconds: float) -> None:
    """Wait for at most so long until a connection can be read or written. Not `select`: it fails beyond 1,024 files."""
    poll = select.poll()
    poll.register(connection, event)
    poll.poll(seconds * 1000)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
