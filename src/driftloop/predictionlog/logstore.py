"""The object store as the log sees it, where several monitors write one log. Adapters implement it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from driftloop.errors import DriftloopError


class StoreUnavailableError(DriftloopError):
    """The object store did not do what was asked, or did not answer."""

    def __init__(self, uri: str, reason: object) -> None:
        super().__init__(
            f"The object store must answer for '{uri}'. It did not: {reason}. It is asked again, with growing pauses."
        )


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a listing."""

    name: str
    """Relative to the folder."""
    stamp: str
    """Another one whenever the content is another."""
    modified: datetime


class LogStore(Protocol):
    """Files at addresses.

    Raises (all methods):
        StoreUnavailableError: the store can't be reached, or refuses.
    """

    def listing(self, folder_uri: str) -> list[StoredFile]:
        """Return all files below a folder, by name; none for a folder that is not there."""

    def read(self, uri: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: there is none.
        """

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file.

        Raises:
            FileExistsError: there is one already; it is left as it is.
        """

    def replace(self, uri: str, content: bytes) -> None:
        """Write a file, whole or not at all, over what may be there."""

    def put_file(self, source: Path, uri: str) -> None:
        """Copy a local file to an address, whole or not at all."""

    def get_file(self, uri: str, target: Path) -> None:
        """Copy a file to a local path, which appears whole or not at all.

        Raises:
            FileNotFoundError: there is none.
        """

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with everything in it; what is gone already is fine."""
