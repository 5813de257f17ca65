"""Brings a model made elsewhere to this machine: from a path, an object store, MLflow, or an exported Bento.

What lies there is not looked into here (`adapters.modelformats`). Archives are unpacked without trusting their names.
"""

import os
import re
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

from driftloop.errors import DriftloopError, InvalidInputError

MLFLOW_SCHEMES = ("models", "runs")
_BENTO_TAG = re.compile(r"[a-z0-9][a-z0-9_.-]*:[A-Za-z0-9][A-Za-z0-9_.-]*")
_LARGEST_ARCHIVE_BYTES = 4 * 2**30


class ModelNotFoundError(InvalidInputError):
    """Nothing lies at the model's address."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"The 'model.uri' must lead to an MLflow scikit-learn model or a Bento. Nothing found at '{uri}': "
            f"{reason}. Correct the address."
        )


class MlflowMissingError(InvalidInputError):
    """An MLflow address and no MLflow."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The address '{uri}' needs MLflow, which is not installed. Install it with: pip install "
            "'driftloop[mlflow]', or give the folder that holds the file MLmodel."
        )


class UnsafeArchiveError(InvalidInputError):
    """An archive that would write elsewhere, or hold more than files."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The archive '{path}' must hold plain files and folders below its own. Got {reason}. "
            "Export the Bento again with 'bentoml export', or give its folder."
        )


def is_bento_tag(uri: str) -> bool:
    """Whether an address is `NAME:VERSION` of the BentoML store; a path of that name would be written `./...`."""
    return _BENTO_TAG.fullmatch(uri) is not None and uri.partition(":")[0] not in MLFLOW_SCHEMES


def locate_model(uri: str, base: Path) -> str:
    """Return the address as another process and folder can use it: paths absolute, Bento tags as their folders.

    Args:
        uri: of the ModelLoop.
        base: folder that relative paths start at.

    Raises:
        ModelNotFoundError: the BentoML store (`BENTOML_HOME`) has no such Bento.
    """
    if is_bento_tag(uri):
        return str(_bento_folder(uri))
    return uri if urlsplit(uri).scheme else str((base / uri).resolve())


def bento_home() -> Path:
    """Return BentoML's store."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")


def fetch_model(uri: str, scratch: Path) -> Path:
    """Return a local folder or file with what lies at an address; archives are unpacked.

    Args:
        uri: as `locate_model` returns it.
        scratch: an empty folder for copies.

    Raises:
        ModelNotFoundError: nothing is there, or it can't be reached.
        MlflowMissingError: it is an MLflow address, and MLflow isn't installed.
        UnsafeArchiveError: an archive that can't be unpacked safely.
    """
    path = _fetch_from_mlflow(uri, scratch) if urlsplit(uri).scheme in MLFLOW_SCHEMES else _fetch(uri, scratch)
    return _unpack(path, scratch / "unpacked") if path.is_file() and tarfile.is_tarfile(path) else path


def _bento_folder(tag: str) -> Path:
    name, _, version = tag.partition(":")
    folder = bento_home() / "bentos" / name
    if version == "latest" and (folder / "latest").is_file():
        version = (folder / "latest").read_text().strip()
    if not (folder / version / "bento.yaml").is_file():
        raise ModelNotFoundError(tag, f"no such Bento in the BentoML store '{bento_home()}' (see 'bentoml list')")
    return folder / version


def _fetch(uri: str, scratch: Path) -> Path:
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(uri)
        if fs.protocol[0] == "file" or "file" in fs.protocol:
            if not Path(path).exists():
                raise ModelNotFoundError(uri, "no such file or folder")
            return Path(path)
        target = scratch / Path(path.rstrip("/")).name
        if fs.isfile(path):
            fs.get_file(path, str(target))
            return target
        names = fs.find(path)
        if not names:
            raise ModelNotFoundError(uri, "no such file or folder")
        for name in names:
            copy = target / os.path.relpath(str(name), str(path))
            if not copy.resolve().is_relative_to(target.resolve()):
                raise ModelNotFoundError(uri, f"a file named '{name}'")
            copy.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(name, str(copy))
    except (OSError, ImportError, ValueError) as error:
        raise ModelNotFoundError(uri, str(error)) from error
    return target


def _fetch_from_mlflow(uri: str, scratch: Path) -> Path:
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise MlflowMissingError(uri) from error
    try:
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(scratch)))
    except (MlflowException, OSError) as error:
        reason = f"{error} (MLFLOW_TRACKING_URI is '{os.environ.get('MLFLOW_TRACKING_URI', 'not set')}')"
        raise ModelNotFoundError(uri, reason) from error


def _unpack(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    size = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise UnsafeArchiveError(path, f"'{member.name}', which is a link or a device")
                size += member.size
                if size > _LARGEST_ARCHIVE_BYTES:
                    raise UnsafeArchiveError(path, f"more than {_LARGEST_ARCHIVE_BYTES // 2**30} GiB")
                archive.extract(member, folder, filter="data")
    except tarfile.FilterError as error:
        raise UnsafeArchiveError(path, str(error)) from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DriftloopError(f"The archive '{path}' can't be unpacked: {error}. Export it again.") from error
    return folder
