"""The object store as the stages see it. Adapters implement it; stages never know what lies behind an address."""

from collections.abc import Iterator
from typing import Protocol


class ObjectStore(Protocol):
    """Files at addresses: local paths, or what an object store understands."""

    def files(self, uri: str) -> list[str]:
        """Return the addresses of the data files behind a file, folder or pattern, sorted; empty if there is none."""

    def chunks(self, uri: str) -> Iterator[bytes]:
        """Read one file piece by piece."""

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file, or nothing.

        Raises:
            FileExistsError: there is one already; it is left as it is.
        """
