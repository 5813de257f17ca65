"""Bentos: built from assembled content with BentoML, put into an object store by digest, fetched and checked.

The only module of the pipeline's side that imports bentoml. What a Bento holds is decided in `stages.package`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from driftloop.adapters.bentoarchive import pack, unpack
from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError
from driftloop.extras import packages_of
from driftloop.stages.package import (
    BASELINE_FILE,
    MANIFEST_FILE,
    MODEL_FOLDER,
    SCHEMA_FILE,
    SERVICE,
    BentoContent,
    ContentDiffersError,
    verify_digests,
    verify_file,
)

CONTENT_FOLDER = "src"
ARCHIVE = "bento.tar"
"""The whole Bento in an object store; the last of it to be put."""
PARTS = (MANIFEST_FILE, SCHEMA_FILE, BASELINE_FILE)
"""What is read without the model: which image serves it, and what its traffic is compared with."""
_MARKER = "bento.yaml"
_CACHE = "__pycache__"


class BentoBuildError(DriftloopError):
    """BentoML could not make a Bento."""

    def __init__(self, tag: str, reason: Exception) -> None:
        super().__init__(f"BentoML could not build the Bento '{tag}': {reason}. Read the package step's log.")


class BentoNotFoundError(DriftloopError):
    """There is no complete Bento at an address."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"A complete Bento must lie at '{uri}'. None was found. Run the training pipeline again.")


@dataclass(frozen=True)
class BuiltBento:
    """A Bento in the local BentoML store."""

    tag: str
    path: Path


def serving_requirements() -> list[str]:
    """Return the packages of the serving role, pinned to the versions installed here; BentoML adds itself."""
    return sorted(f"{name}=={version(name)}" for name in packages_of("serving") - {"bentoml"})


def build(content: BentoContent, loop: str) -> BuiltBento:
    """Make a Bento of assembled content in the local store (`BENTOML_HOME`); one that is there already is reused.

    Raises:
        BentoBuildError: BentoML refused, or left out a part of the content.
    """
    import bentoml
    from bentoml.exceptions import BentoMLException, NotFound

    tag = f"{loop}:{content.version}"
    try:
        bento = bentoml.get(tag)
    except NotFound:
        try:
            bento = bentoml.bentos.build_bentofile(
                str(content.path / "bentofile.yaml"), version=content.version, build_ctx=str(content.path)
            )
        except BentoMLException as error:
            raise BentoBuildError(tag, error) from error
    path = Path(bento.path)
    verify_digests(path / CONTENT_FOLDER, content.digest)
    return BuiltBento(tag, path)


def put(bento: BuiltBento, digest: str, store_uri: str) -> str:
    """Copy a Bento to `<store_uri>/bentos/<digest>` and return that address; one that is there already is left alone.

    A local folder holds the Bento's own files and appears whole or not at all. In an object store it is one archive,
    written once, beside the parts that are read without it (`read_part`).
    """
    uri = f"{store_uri.rstrip('/')}/bentos/{digest}"
    local = _local_folder(uri)
    if local is not None:
        if not (local / _MARKER).exists():
            _copy_whole(bento.path, local)
        return uri
    store = FsspecStore()
    if ARCHIVE in store.names(uri):
        return uri
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / ARCHIVE
        pack(bento.path, archive)
        model = bento.path / CONTENT_FOLDER / MODEL_FOLDER
        with suppress(FileExistsError):  # another run put the same Bento first
            for name in PARTS:
                _create_once(store, f"{uri}/{MODEL_FOLDER}/{name}", (model / name).read_bytes())
            store.create(f"{uri}/{ARCHIVE}", archive.read_bytes())
    return uri


def fetch(bento_uri: str, digest: str, folder: Path) -> Path:
    """Bring a Bento from an object store to `folder`, check its content and return the folder.

    A folder that holds the Bento already is checked again and left alone.

    Raises:
        BentoNotFoundError: nothing complete lies at the address.
        UnsafeArchiveError: the archive would write elsewhere; `folder` was not made.
        ContentDiffersError: the content isn't what the digest names; `folder` was not made.
    """
    if folder.exists():
        _verify(folder, digest)
        return folder
    local = _local_folder(bento_uri)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        copy = Path(scratch) / "bento"
        if local is not None:
            if not (local / _MARKER).exists():
                raise BentoNotFoundError(bento_uri)
            shutil.copytree(local, copy, symlinks=True, ignore=shutil.ignore_patterns(_CACHE))
        else:
            archive = Path(scratch) / ARCHIVE
            try:
                FsspecStore().get_file(f"{bento_uri.rstrip('/')}/{ARCHIVE}", archive)
            except FileNotFoundError as error:
                raise BentoNotFoundError(bento_uri) from error
            unpack(archive, copy)
            archive.unlink()
        _verify(copy, digest)
        copy.rename(folder)
    return folder


def read_part(bento_uri: str, digest: str, name: str) -> bytes:
    """Return one of `PARTS` without bringing the whole Bento, checked against the digest.

    Raises:
        BentoNotFoundError: nothing lies at the address.
        ContentDiffersError: the part, or the manifest that vouches for it, isn't what the digest names.
    """
    local = _local_folder(bento_uri)
    base = f"{local}/{CONTENT_FOLDER}" if local is not None else bento_uri.rstrip("/")
    try:
        part = FsspecStore().read(f"{base}/{MODEL_FOLDER}/{name}")
        manifest = FsspecStore().read(f"{base}/{MODEL_FOLDER}/{MANIFEST_FILE}")
    except FileNotFoundError as error:
        raise BentoNotFoundError(bento_uri) from error
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / MODEL_FOLDER
        model.mkdir()
        (model / MANIFEST_FILE).write_bytes(manifest)
        (model / name).write_bytes(part)
        verify_file(Path(scratch), digest, f"{MODEL_FOLDER}/{name}")
    return part


@contextmanager
def fetched(bento_uri: str) -> Iterator[Path]:
    """Fetch a Bento that `put` stored, for as long as the context lasts, and yield its content.

    Raises as `fetch` does; the digest to check is the last part of the address.
    """
    digest = bento_uri.rstrip("/").rsplit("/", 1)[-1]
    with tempfile.TemporaryDirectory() as folder:
        yield fetch(bento_uri, digest, Path(folder) / "bento") / CONTENT_FOLDER


def _verify(bento: Path, digest: str) -> None:
    """Check the content, and that what BentoML reads beside it starts this content and nothing else."""
    verify_digests(bento / CONTENT_FOLDER, digest)
    marker = bento / _MARKER
    try:
        started = yaml.safe_load(marker.read_text(encoding="utf-8"))["service"] if not marker.is_symlink() else "a link"
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ContentDiffersError(bento, _MARKER, f"can't be read ({error})") from error
    if started != SERVICE:
        raise ContentDiffersError(bento, _MARKER, f"starts '{started}', not '{SERVICE}'")


def _create_once(store: FsspecStore, uri: str, content: bytes) -> None:
    with suppress(FileExistsError):
        store.create(uri, content)


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".put-", dir=target.parent) as scratch:
        copy = Path(scratch) / "bento"
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(_CACHE))
        try:
            copy.rename(target)
        except OSError:
            if not (target / _MARKER).exists():  # anything but another run that put the same Bento first
                raise


def _local_folder(uri: str) -> Path | None:
    """Return the folder that an address means; None for an object store."""
    scheme, colon, path = uri.partition("://")
    if not colon:
        return Path(uri)
    return Path(path) if scheme == "file" else None
