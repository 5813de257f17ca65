"""The log's object store on fsspec: `FsspecStore`, with listings, and with one error for everything that may pass.

Connection errors of the many libraries below fsspec have no base class in common, so whatever is not about the file
itself counts as the store's absence.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from driftloop.adapters.objectstore import FsspecStore, locate
from driftloop.errors import DriftloopError
from driftloop.predictionlog.logstore import StoredFile, StoreUnavailableError


class LogObjects:
    """Implements `predictionlog.logstore.LogStore`."""

    def __init__(self) -> None:
        self._store = FsspecStore()

    def listing(self, folder_uri: str) -> list[StoredFile]:
        """Return all files below a folder, by name."""
        with _told(folder_uri):
            fs, path = locate(folder_uri)
            root = path.rstrip("/") + "/"
            found: dict[str, dict[str, Any]] = fs.find(root, detail=True)
            # An emptied folder may list itself.
            names = sorted(name for name in found if name.startswith(root))
            return [_stored_file(name.removeprefix(root), found[name]) for name in names]

    def read(self, uri: str) -> bytes:
        """Return a file's content."""
        with _told(uri):
            return self._store.read(uri)

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file, or fail with FileExistsError."""
        with _told(uri):
            self._store.create(uri, content)

    def replace(self, uri: str, content: bytes) -> None:
        """Write a file over what may be there."""
        with _told(uri):
            self._store.replace(uri, content)

    def put_file(self, source: Path, uri: str) -> None:
        """Copy a local file to an address."""
        with _told(uri):
            self._store.put_file(source, uri)

    def get_file(self, uri: str, target: Path) -> None:
        """Copy a file to a local path."""
        with _told(uri):
            self._store.get_file(uri, target)

    def remove(self, uri: str) -> None:
        """Remove a file or a folder."""
        with _told(uri):
            self._store.remove(uri)


@contextmanager
def _told(uri: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError, DriftloopError):
        raise
    except Exception as error:
        raise StoreUnavailableError(uri, f"{type(error).__name__}: {error}") from error


def _stored_file(name: str, info: dict[str, Any]) -> StoredFile:
    modified = info.get("LastModified") or datetime.fromtimestamp(info.get("mtime", 0), UTC)
    stamp = info.get("ETag") or f"{modified.timestamp()}-{info.get('size')}-{info.get('ino')}"
    return StoredFile(name, str(stamp), modified)
