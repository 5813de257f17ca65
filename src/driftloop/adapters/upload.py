"""Brings files of this machine to the object store, by the digest of their content: what is there is not sent again."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from driftloop.adapters.bentoarchive import pack
from driftloop.adapters.modelsource import MLFLOW_SCHEMES, ModelNotFoundError, fetch_model, locate_model
from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError, InvalidInputError
from driftloop.spec.data import SIMULATION
from driftloop.spec.storelayout import StoreLayout


class DataNotFoundError(InvalidInputError):
    """Nothing lies at a local address."""

    def __init__(self, field: str, path: str) -> None:
        super().__init__(f"The '{field}' must lead to a file, a folder or files of a pattern. Nothing is at '{path}'.")


class UploadError(DriftloopError):
    """The object store did not take a file."""

    def __init__(self, uri: str, error: Exception) -> None:
        super().__init__(
            f"The object store must take '{uri}'. It did not: {error}. "
            "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a server other than AWS, AWS_ENDPOINT_URL, "
            "as this machine reaches it."
        )


@dataclass(frozen=True)
class LocalContent:
    """Files that belong together, and where they shall lie."""

    field: str
    """Of the ModelLoop, for messages."""
    source: str
    """As the user wrote it."""
    files: dict[str, Path]
    """By the name below the upload's folder."""
    digest: str
    """SHA-256 of the one file, or of the names and digests of several."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(path.stat().st_size for path in self.files.values())

    def uri(self, layout: StoreLayout) -> str:
        """Return the address that takes the local one's place: of the file, or of the folder with all of them."""
        if len(self.files) == 1:
            return layout.upload(self.digest, next(iter(self.files)))
        return layout.upload(self.digest, "").rstrip("/")


def is_local(uri: str) -> bool:
    """Whether an address means this machine."""
    return uri != SIMULATION and ("://" not in uri or uri.startswith("file://"))


def find_data(field: str, uri: str, base: Path) -> LocalContent:
    """Return the files behind a local address of data.

    Args:
        field: of the ModelLoop.
        uri: a path, a folder or a pattern; relative ones start at `base`.
        base: folder of the ModelLoop file.

    Raises:
        DataNotFoundError: there are none.
    """
    path = (base / uri.removeprefix("file://")).absolute()
    found = [Path(name.removeprefix("file://")) for name in FsspecStore().files(str(path))]
    if not found:
        raise DataNotFoundError(field, str(path))
    root = path if path.is_dir() else path.parent
    # A pattern over folders: names from where its fixed part ends.
    while not all(file.is_relative_to(root) for file in found):
        root = root.parent
    return _content(field, uri, {file.relative_to(root).as_posix(): file for file in found})


@contextmanager
def bring_model(uri: str, base: Path) -> Iterator[LocalContent]:
    """Yield an existing model of this machine, or of its MLflow, as one file; folders become an archive.

    Raises:
        ModelNotFoundError: nothing is there.
        MlflowMissingError: it is an MLflow address, and MLflow isn't installed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        located = locate_model(uri, base)
        if uri.partition(":")[0] in MLFLOW_SCHEMES:
            path = fetch_model(located, Path(scratch))
        else:
            path = Path(located.removeprefix("file://"))
        if not path.exists():
            raise ModelNotFoundError(uri, f"no such file or folder: {path}")
        if path.is_dir():
            archive = Path(scratch) / f"{path.name or 'model'}.tar"
            pack(path, archive)
            path = archive
        yield _content("model.uri", uri, {path.name: path})


def upload(content: LocalContent, layout: StoreLayout) -> str:
    """Put the files where they belong, unless they are there, and return their address.

    Raises:
        UploadError: the store can't be reached, or refuses.
    """
    store, folder = FsspecStore(), layout.upload(content.digest, "").rstrip("/")
    try:
        there = set(store.names(folder))
        for name, path in content.files.items():
            if name not in there:
                store.put_file(path, layout.upload(content.digest, name))
    except Exception as error:  # every library behind fsspec has failures of its own kind
        raise UploadError(folder, error) from error
    return content.uri(layout)


def _content(field: str, source: str, files: dict[str, Path]) -> LocalContent:
    digests = {name: _sha256(path) for name, path in sorted(files.items())}
    if len(digests) == 1:
        return LocalContent(field, source, files, next(iter(digests.values())))
    listing = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    return LocalContent(field, source, files, hashlib.sha256(listing.encode()).hexdigest())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
