"""The object store on fsspec: local paths, s3, gs, http and whatever else fsspec knows. Implements `stages.store`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from driftloop.errors import InvalidInputError

_CHUNK_BYTES = 1 << 20
_DATA_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")


class UnknownStoreError(InvalidInputError):
    """An address of a kind that fsspec can't open here."""

    def __init__(self, uri: str, reason: Exception) -> None:
        super().__init__(
            f"The address '{uri}' must be a path or of a store that can be reached. Got: {reason}. "
            "Correct it, or install the store's fsspec package (such as s3fs or gcsfs)."
        )


class UnreadableFileError(InvalidInputError):
    """A file is there, and may not or can't be read."""

    def __init__(self, uri: str, error: OSError) -> None:
        super().__init__(
            f"The file '{uri}' must be readable. It can't be read: {error.strerror or error}. "
            "Give this user the right to read it, or mend the connection, then try again."
        )


class FsspecStore:
    """Files at any address; each address says by itself which file system it means."""

    def files(self, uri: str) -> list[str]:
        """Return the addresses behind a file, a folder or a pattern, sorted."""
        fs, path = _locate(uri)
        if fs.isfile(path):
            return [uri]
        found = fs.find(path) if fs.isdir(path) else fs.glob(path)
        names = (str(name) for name in found)
        return sorted(fs.unstrip_protocol(name) for name in names if name.endswith(_DATA_SUFFIXES) and fs.isfile(name))

    def chunks(self, uri: str) -> Iterator[bytes]:
        """Read one file piece by piece.

        Raises:
            UnreadableFileError: it may not be read, or the store broke off.
        """
        fs, path = _locate(uri)
        try:
            with fs.open(path, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise UnreadableFileError(uri, error) from error

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file, or nothing.

        Raises:
            FileExistsError: there is one already.
        """
        fs, path = _locate(uri)
        if fs.protocol[0] == "file":
            _create_locally(Path(path), content)
        else:
            fs.pipe_file(path, content, mode="create")


def _create_locally(path: Path, content: bytes) -> None:
    """Link a finished draft to its name: readers see all of it, and of two writers one fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        Path(draft).unlink()


def _locate(uri: str) -> tuple[Any, str]:
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UnknownStoreError(uri, error) from error
    return fs, str(path)
