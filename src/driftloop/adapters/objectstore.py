"""The object store on fsspec: local paths, s3, gs, http and whatever else fsspec knows. Implements `stages.store`."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from driftloop.errors import InvalidInputError

_CHUNK_BYTES = 1 << 20
_DATA_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_WEB = ("http:", "https:")
_NOT_FOUND = 404


class UnknownStoreError(InvalidInputError):
    """An address of a kind that fsspec can't open here."""

    def __init__(self, uri: str, reason: Exception) -> None:
        super().__init__(
            f"The address '{uri}' must be a path or of a store that can be reached. Got: {reason}. "
            "Correct it, or install the store's fsspec package (such as s3fs or gcsfs)."
        )


class UnreadableFileError(InvalidInputError):
    """A file is there, and may not or can't be read."""

    def __init__(self, uri: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        super().__init__(
            f"The file '{uri}' must be readable. It can't be read: {reason}. "
            "Give this user the right to read it, or mend the connection, then try again."
        )


class AbsentPageError(InvalidInputError):
    """A web server has nothing at an address."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The address '{uri}' must lead to a CSV, Parquet or JSON lines file. The server answered 404: not found. "
            "Correct the address."
        )


class FsspecStore:
    """Files at any address; each address says by itself which file system it means.

    Args:
        options: of fsspec's file system, such as credentials; nothing: by the environment.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})

    def files(self, uri: str) -> list[str]:
        """Return the addresses behind a file, a folder or a pattern, sorted; a web server's is always one file."""
        if uri.startswith(_WEB):
            return [uri]
        fs, path = locate(uri, self._options)
        if fs.isfile(path):
            return [uri]
        found = fs.find(path) if fs.isdir(path) else fs.glob(path)
        names = (str(name) for name in found)
        return sorted(fs.unstrip_protocol(name) for name in names if name.endswith(_DATA_SUFFIXES) and fs.isfile(name))

    def chunks(self, uri: str) -> Iterator[bytes]:
        """Read one file piece by piece.

        Raises:
            UnreadableFileError: it may not be read, or the store broke off.
            AbsentPageError: a web server does not have it.
        """
        fs, path = locate(uri, self._options)
        is_web = uri.startswith(_WEB)
        try:
            # From a web server as one stream: not every one answers for ranges.
            with fs.open(path, "rb", **({"block_size": 0} if is_web else {})) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise _read_error(uri, error) from error
        except Exception as error:  # the client of web servers has errors of its own
            if not is_web:
                raise
            raise _read_error(uri, error) from error

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file, or nothing.

        Raises:
            FileExistsError: there is one already.
        """
        fs, path = locate(uri, self._options)
        if _is_local(fs):
            _create_locally(Path(path), content)
            return
        try:
            fs.pipe_file(path, content, mode="create")
        except OSError as error:
            if fs.exists(path):  # s3fs says EINVAL where the condition of a PUT does not hold
                raise FileExistsError(errno.EEXIST, "it is there already", uri) from error
            raise

    def read(self, uri: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        fs, path = locate(uri, self._options)
        return bytes(fs.cat_file(path))

    def replace(self, uri: str, content: bytes) -> None:
        """Write a file, whole or not at all, over what may be there."""
        fs, path = locate(uri, self._options)
        if _is_local(fs):
            _replace_locally(Path(path), content)
        else:
            fs.pipe_file(path, content)

    def names(self, folder_uri: str) -> list[str]:
        """Return the names of all files below a folder, relative to it, sorted; none for a folder that is not there."""
        fs, path = locate(folder_uri, self._options)
        root = path.rstrip("/") + "/"
        found = (str(name) for name in fs.find(root))
        # Some servers list an emptied folder as an object of its own.
        return sorted(name.removeprefix(root) for name in found if name.startswith(root) and name != root)

    def put_file(self, source: Path, uri: str) -> None:
        """Copy a local file to an address; in an object store it appears whole or not at all."""
        fs, path = locate(uri, self._options)
        if _is_local(fs):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        fs.put_file(str(source), path)

    def get_file(self, uri: str, target: Path) -> None:
        """Copy a file to a local path, which appears whole or not at all.

        Raises:
            FileNotFoundError: there is none at the address.
        """
        fs, path = locate(uri, self._options)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.fetched")
        fs.get_file(path, str(draft))
        draft.replace(target)

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with everything in it; what is gone already is fine."""
        fs, path = locate(uri, self._options)
        try:
            fs.rm(path, recursive=True)
        except FileNotFoundError:
            return


def _read_error(uri: str, error: Exception) -> InvalidInputError:
    """Tell why a file can't be read; fsspec says of every trouble with a web server that the file is not there."""
    cause = error.__cause__
    if not uri.startswith(_WEB) or not isinstance(error, FileNotFoundError):
        return UnreadableFileError(uri, error)
    if isinstance(cause, Exception) and getattr(cause, "status", _NOT_FOUND) != _NOT_FOUND:
        return UnreadableFileError(uri, cause)
    return UnreadableFileError(uri, cause) if isinstance(cause, OSError) else AbsentPageError(uri)


def _is_local(fs: Any) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _replace_locally(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    Path(draft).replace(path)


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


def locate(uri: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Return the file system that an address means, and the path there."""
    import fsspec

    try:
        # Other processes write too: a listing that was true a moment ago is none.
        fresh = {"use_listings_cache": False} if uri.startswith("s3:") else {}
        fs, path = fsspec.core.url_to_fs(uri, **fresh, **(options or {}))
    except (ImportError, ValueError) as error:
        raise UnknownStoreError(uri, error) from error
    return fs, str(path)
