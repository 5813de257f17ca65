"""Files that survive a crash: each is there completely, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, write: Callable[[BinaryIO], object], *, sync: bool = True) -> None:
    """Create or replace a file in one step: a crash leaves the old content or the new, never a part.

    Args:
        path: the file; its folder is created when missing.
        write: fills the open binary file.
        sync: wait until disk has it. False gives up durability, not atomicity.

    Raises:
        OSError: nothing was changed at `path`, except when the folder itself could not be synced.
    """
    make_directory(path.parent, sync=sync)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with draft.open("wb") as file:
            write(file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def make_directory(path: Path, *, sync: bool = True) -> None:
    """Create a folder and its parents, durably."""
    if path.is_dir():
        return
    make_directory(path.parent, sync=sync)
    path.mkdir(exist_ok=True)
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Wait until the disk has the folder's entries: new, renamed and removed files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
