"""Bentos: built from assembled content with BentoML, put into an object store by digest, fetched and checked.

The only module of the pipeline's side that imports bentoml. What a Bento holds is decided in `stages.package`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from driftloop.errors import DriftloopError
from driftloop.extras import packages_of
from driftloop.stages.package import BentoContent, verify_digests

CONTENT_FOLDER = "src"
_MARKER = "bento.yaml"  # uploaded last: a Bento with it is complete


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

    A local folder appears whole or not at all; in an object store the last file put makes the Bento count.
    """
    uri = f"{store_uri.rstrip('/')}/bentos/{digest}"
    fs, target = _locate(uri)
    if fs.exists(f"{target}/{_MARKER}"):
        return uri
    if fs.protocol[0] == "file":
        _copy_whole(bento.path, Path(target))
        return uri
    files = sorted(path for path in bento.path.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files, key=lambda path: path.name == _MARKER):
        fs.put_file(str(path), f"{target}/{path.relative_to(bento.path).as_posix()}")
    return uri


def fetch(bento_uri: str, digest: str, folder: Path) -> Path:
    """Bring a Bento from an object store to `folder`, check its content and return the folder.

    A folder that holds the Bento already is checked again and left alone.

    Raises:
        BentoNotFoundError: nothing complete lies at the address.
        ContentDiffersError: the content isn't what the digest names; `folder` was not made.
    """
    if folder.exists():
        verify_digests(folder / CONTENT_FOLDER, digest)
        return folder
    fs, source = _locate(bento_uri)
    if not fs.exists(f"{source}/{_MARKER}"):
        raise BentoNotFoundError(bento_uri)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        copy = Path(scratch) / "bento"
        for path in fs.find(source):
            target = copy / os.path.relpath(path, source)
            target.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(path, str(target))
        verify_digests(copy / CONTENT_FOLDER, digest)
        copy.rename(folder)
    return folder


@contextmanager
def fetched(bento_uri: str) -> Iterator[Path]:
    """Fetch a Bento that `put` stored, for as long as the context lasts, and yield its content.

    Raises as `fetch` does; the digest to check is the last part of the address.
    """
    digest = bento_uri.rstrip("/").rsplit("/", 1)[-1]
    with tempfile.TemporaryDirectory() as folder:
        yield fetch(bento_uri, digest, Path(folder) / "bento") / CONTENT_FOLDER


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".put-", dir=target.parent) as scratch:
        copy = Path(scratch) / "bento"
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            copy.rename(target)
        except OSError:
            if not (target / _MARKER).exists():  # anything but another run that put the same Bento first
                raise


def _locate(uri: str) -> tuple[Any, str]:
    import fsspec

    fs, path = fsspec.core.url_to_fs(uri)
    return fs, str(path).rstrip("/")
