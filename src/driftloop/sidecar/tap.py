"""The receiving end of the tap: model servers hand over what they answered, a JSON object a line, over a Unix socket.

Several may be connected at once. Nothing that comes over the socket can stop the intake; what has no meaning is
counted. A server that says hello is told what is on disk.
"""

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydantic import ValidationError

from driftloop.errors import DriftloopError
from driftloop.predictionlog import InvalidRecordError, PredictionBatch
from driftloop.sidecar.logqueue import LogQueue, Read
from driftloop.sidecar.settings import MEBIBYTE
from driftloop.sidecar.wire import Goodbye, Hello, Watermark, first_problem, read_tap_line

MAX_LINE_BYTES = 16 * MEBIBYTE
"""Longest line; longer ones count as malformed."""
DRAIN_SECONDS = 1.0
"""Time a stopping intake goes on reading what model servers have already sent."""
_READ_BYTES = MEBIBYTE // 4
_UNREAD_BYTES = 65_536
"""Acknowledgements that a model server has not read; beyond it none is added, since the next one says as much."""
_LOGGED_MALFORMED_LINES = 10

_log = logging.getLogger(__name__)


class SocketError(DriftloopError):
    """The tap's socket can't be made."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"The tap's socket '{path}' must be creatable, with a path of at most 100 characters: {error}. "
            "Set DRIFTLOOP_MONITOR_TAP_SOCKET to a short path in a writable folder."
        )


class TapConnection:
    """The connection of one model server."""

    def __init__(self, number: int, stream: asyncio.StreamWriter) -> None:
        self.number = number
        self._stream = stream

    def greet(self, received: int) -> None:
        """Answer a hello with the number of the newest message that is on disk."""
        self._say({"type": "hello", "sequence": received})

    def acknowledge(self, sequence: int) -> None:
        """Tell the model server that everything up to a sequence number is on disk."""
        if self._stream.transport.get_write_buffer_size() < _UNREAD_BYTES:
            self._say({"type": "acknowledged", "sequence": sequence})

    def _say(self, message: dict[str, object]) -> None:
        if not self._stream.is_closing():
            self._stream.write(json.dumps(message).encode() + b"\n")


class Tap:
    """Reads the connections of model servers into the log queue."""

    def __init__(self, queue: LogQueue) -> None:
        self._queue = queue
        self._readers: set[asyncio.Task[None]] = set()
        self._ids = itertools.count(1)
        self.malformed = 0
        """Lines that were no message."""

    @property
    def connections(self) -> int:
        """Number of connected model servers."""
        return len(self._readers)

    @contextlib.asynccontextmanager
    async def listen(self, path: Path) -> AsyncIterator[None]:
        """Take connections while the context is open.

        Raises:
            SocketError: the socket can't be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            server = await asyncio.start_unix_server(self._accept, path, limit=_READ_BYTES)
        except OSError as error:
            raise SocketError(path, error) from error
        try:
            yield
        finally:
            server.close()
            if self._readers:
                _, talking = await asyncio.wait(self._readers, timeout=DRAIN_SECONDS)
                for reader in talking:
                    reader.cancel()
                await asyncio.gather(*talking, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._read(reader, stream))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        connection = TapConnection(next(self._ids), stream)
        lines = _Lines()
        try:
            while data := await reader.read(_READ_BYTES):
                messages = list(self._messages(lines.split(data), connection))
                if messages:
                    await self._queue.put_tap(Read(connection, messages))
            if lines.rest:
                self._count_malformed("it has no end")
        except ConnectionError:
            _log.info("model server %d broke its connection", connection.number)
        finally:
            stream.close()
        await self._queue.put_tap(Read(connection, (), ended=True))

    def _messages(
        self, lines: list[bytes | None], connection: TapConnection
    ) -> Iterator[Hello | PredictionBatch | Watermark | Goodbye]:
        for line in lines:
            if line is None:
                self._count_malformed(f"it is longer than {MAX_LINE_BYTES} bytes")
                continue
            try:
                message = read_tap_line(line)
            except ValidationError as error:
                self._count_malformed(" ".join(first_problem(error)))
                continue
            except InvalidRecordError as error:
                self._count_malformed(str(error))
                continue
            if isinstance(message, Hello):
                connection.greet(self._queue.received(message.server))
            yield message

    def _count_malformed(self, reason: str) -> None:
        self.malformed += 1
        # A sender that is wrong is wrong with every line: the count tells the rest.
        if self.malformed <= _LOGGED_MALFORMED_LINES:
            _log.warning("a line of the tap is malformed: %s", reason)


class _Lines:
    """Cuts a stream into lines."""

    def __init__(self) -> None:
        self.rest = bytearray()
        self._is_too_long = False

    def split(self, data: bytes) -> list[bytes | None]:
        """Return the lines that end in `data`, without their ends; None for one that is too long."""
        *ended, begun = data.split(b"\n")
        lines: list[bytes | None] = []
        for part in ended:
            self._extend(part)
            lines.append(None if self._is_too_long else bytes(self.rest))
            self.rest.clear()
            self._is_too_long = False
        self._extend(begun)
        return lines

    def _extend(self, part: bytes) -> None:
        self._is_too_long = self._is_too_long or len(self.rest) + len(part) > MAX_LINE_BYTES
        if self._is_too_long:
            self.rest.clear()
        else:
            self.rest += part
