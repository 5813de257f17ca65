"""The write-ahead file: where a record is safe before it is acknowledged, until it stands in a Parquet segment.

A frame is length, CRC-32 (4 bytes each, little-endian) and payload. Reading stops at the first frame that does not
hold: after a crash only the tail can be torn, and what was acknowledged lies before it.
"""

import contextlib
import logging
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from driftloop.predictionlog.durablefile import make_directory, sync_directory

_HEADER = struct.Struct("<II")
_log = logging.getLogger(__name__)


class WriteAheadFile:
    """An append-only file of payloads; opening it cuts a torn tail off."""

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = path
        self._sync = sync
        make_directory(path.parent, sync=sync)
        created = not path.exists()
        # Unbuffered: a failed write must leave nothing behind that a later flush would write after all.
        self._file = path.open("ab", buffering=0)
        if created and sync:
            sync_directory(path.parent)
        self.size = sum(_HEADER.size + len(payload) for payload in self.payloads())
        """Bytes of whole frames."""
        torn = self._file.tell() - self.size
        if torn:
            _log.warning("cut a torn tail of %d bytes off %s", torn, path)
            self._cut()

    def append(self, payloads: Iterable[bytes]) -> None:
        """Add payloads together; on return they are on disk.

        Raises:
            OSError: none of them was kept.
        """
        data = b"".join(_HEADER.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads)
        try:
            self._write(data)
        except OSError:
            # Half a frame in the middle would hide every later one.
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Wait until the disk has everything appended.

        Raises:
            OSError: the disk is broken.
        """
        os.fsync(self._file.fileno())
        sync_directory(self.path.parent)

    def payloads(self) -> Iterator[bytes]:
        """Yield the payloads of whole frames, oldest first."""
        with self.path.open("rb") as file:
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                length, checksum = _HEADER.unpack(header)
                payload = file.read(length)
                # Zeros, which a crash may leave behind, would pass as empty frames.
                if not length or len(payload) != length or zlib.crc32(payload) != checksum:
                    return
                yield payload

    def close(self) -> None:
        """Close the file and keep it."""
        self._file.close()

    def drop(self) -> None:
        """Remove the file: its records stand elsewhere."""
        self.close()
        self.path.unlink()

    def _write(self, data: bytes) -> None:
        if self._file.tell() != self.size:
            self._cut()  # An earlier cut failed: try again before anything is written behind the torn frame.
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        if self._sync:
            os.fsync(self._file.fileno())

    def _cut(self) -> None:
        self._file.truncate(self.size)
        self._file.seek(0, os.SEEK_END)
        if self._sync:
            os.fsync(self._file.fileno())
