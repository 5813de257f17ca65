"""Watches the user's data: the digest of their content, taken again only when the files look different.

Local files are looked at every half minute (names, sizes, times of change), and read when that has changed and was the
same at the look before, so that a file being written is left alone. Where one of the tables lies elsewhere, in an
object store or a database, everything is read at start only.
"""

import logging
from pathlib import Path
from urllib.parse import urlsplit

from driftloop.adapters.datasource import digest_data
from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError
from driftloop.spec import DataSpec

LOOK_SECONDS = 30.0

_log = logging.getLogger(__name__)

_Look = tuple[tuple[str, int, int], ...]


class DataWatch:
    """Knows the content digest of everything that `data` reads.

    Args:
        data: its addresses; local where they have no scheme.
    """

    def __init__(self, data: DataSpec) -> None:
        self._spec = data
        self._store = FsspecStore()
        self._digested: _Look | None = None
        self._seen: _Look | None = None
        self._next_look = 0.0
        self.digest = ""
        """Digest of the content as last read; empty while it never could be."""

    def read(self) -> None:
        """Take the digest now, however long that takes; without success the last one stands."""
        look = self._look()
        self._digested = self._seen = look
        try:
            self.digest = digest_data(self._spec)
        except Exception as error:  # noqa: BLE001 (each store's library has its own; a run tells what is wrong)
            _log.warning(
                "the data can't be read, so a change in them is not seen: uri=%s error=%s", self._spec.uri, error
            )

    def is_due(self, monotonic_seconds: float) -> bool:
        """Whether `read` should be called: the files look different from when they were read, and are at rest."""
        if monotonic_seconds < self._next_look:
            return False
        self._next_look = monotonic_seconds + LOOK_SECONDS
        look, before = self._look(), self._seen
        self._seen = look
        return look is not None and look == before and look != self._digested

    def _look(self) -> _Look | None:
        """Return name, size and time of change of every file; None where that can't be had."""
        if any(urlsplit(uri).scheme for uri in self._spec.addresses):
            return None
        try:
            names = [name for uri in self._spec.addresses for name in self._store.files(uri)]
            stats = [(name, Path(urlsplit(name).path).stat()) for name in names]
        except (DriftloopError, OSError):
            return None
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats) or None
