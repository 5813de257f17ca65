"""The receiving end of the tap: model servers hand over what they answered, a JSON object a line, over a Unix socket.

Several may be connected at once. Nothing that comes over the socket can stop the intake; what has no meaning is
counted.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import ValidationError

from driftloop.errors import DriftloopError
from driftloop.predictionlog import InvalidRecordError
from driftloop.sidecar.logqueue import LogQueue
from driftloop.sidecar.settings import MEBIBYTE
from driftloop.sidecar.wire import first_problem, parse_tap_line

MAX_LINE_BYTES = 16 * MEBIBYTE
"""Longest line; longer ones count as malformed."""
DRAIN_SECONDS = 1.0
"""Time a stopping intake goes on reading what model servers have already sent."""
_LOGGED_MALFORMED_LINES = 10

_log = logging.getLogger(__name__)


class SocketError(DriftloopError):
    """The tap's socket can't be made."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"The tap's socket '{path}' must be creatable, with a path of at most 100 characters: {error}. "
            "Set DRIFTLOOP_MONITOR_TAP_SOCKET to a short path in a writable folder."
        )


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
            server = await asyncio.start_unix_server(self._accept, path, limit=MAX_LINE_BYTES)
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
        task = asyncio.create_task(self._read(next(self._ids), reader, stream))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, connection: int, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    self._count_malformed(f"it is longer than {MAX_LINE_BYTES} bytes")
                    continue
                if not line:
                    break
                try:
                    await self._queue.put_tap(connection, parse_tap_line(line))
                except ValidationError as error:
                    self._count_malformed(" ".join(first_problem(error)))
                except InvalidRecordError as error:
                    self._count_malformed(str(error))
        except ConnectionError:
            _log.info("model server %d broke its connection", connection)
        finally:
            stream.close()
        await self._queue.end_tap(connection)

    def _count_malformed(self, reason: str) -> None:
        self.malformed += 1
        # A sender that is wrong is wrong with every line: the count tells the rest.
        if self.malformed <= _LOGGED_MALFORMED_LINES:
            _log.warning("a line of the tap is malformed: %s", reason)
