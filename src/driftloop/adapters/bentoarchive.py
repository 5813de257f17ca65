"""A Bento as one file: how it lies in an object store, where hundreds of small objects would cost seconds.

The archive is no identity: a Bento is known by the digest of its content, which is checked after unpacking.
"""

import tarfile
from pathlib import Path, PurePosixPath

from driftloop.errors import DriftloopError

_CACHE = "__pycache__"


class UnsafeArchiveError(DriftloopError):
    """An archive holds what no Bento holds."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(
            f"The archive of a Bento must hold plain files below its own folder only. The entry '{name}' {fault}. "
            "Somebody changed it: run the training pipeline again, and find out who writes to the object store."
        )


def pack(folder: Path, archive: Path) -> None:
    """Write all files of a folder into an archive: equal files, equal bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _CACHE not in path.parts)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size, entry.mode, entry.mtime = path.stat().st_size, 0o644, 0
            with path.open("rb") as content:
                tar.addfile(entry, content)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder. Nothing else is made of it: no link, no device, no mode.

    Stricter than `tarfile`'s filter `data`, which lets links inside the folder pass and needs Python 3.11.4.

    Raises:
        UnsafeArchiveError: an entry is no plain file, or would lie elsewhere, or it is no archive at all.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isreg() else None
                if content is None:
                    raise UnsafeArchiveError(entry.name, "is no plain file")
                target = folder / _safe_path(entry.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    while chunk := content.read(1 << 20):
                        file.write(chunk)
    except tarfile.TarError as error:
        raise UnsafeArchiveError(archive.name, f"can't be read ({error})") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeArchiveError(str(error.filename), "is there twice") from error


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UnsafeArchiveError(name, "would lie outside of it")
    return path
