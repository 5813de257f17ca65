"""The ledger in the object store: one create-only object an entry, so that of two operators one must read again."""

from typing import Protocol

from driftloop.errors import DriftloopError
from driftloop.loop.history import LEDGER_ENTRY, LedgerEntry


class LedgerMovedError(DriftloopError):
    """Somebody else appended first: what was decided was decided on an old history."""

    def __init__(self, folder: str, number: int) -> None:
        super().__init__(
            f"Entry {number} of the ledger '{folder}' was to be appended and is there already. "
            "Read it, and decide again."
        )


class DamagedLedgerError(DriftloopError):
    """The history has a hole, or an entry that can't be read."""

    def __init__(self, folder: str, number: int, fault: str) -> None:
        super().__init__(
            f"Entry {number} of the ledger '{folder}' must be there and be an entry; it {fault}. "
            "Restore it from a backup of the object store; driftloop does not guess at history."
        )


class Objects(Protocol):
    """What the ledger needs of a store."""

    def create(self, uri: str, content: bytes) -> None:
        """Write a whole new file; FileExistsError where there is one."""

    def read(self, uri: str) -> bytes:
        """Return a file's content; FileNotFoundError where there is none."""

    def names(self, folder_uri: str) -> list[str]:
        """Return the names of all files below a folder."""


class StoreLedger:
    """The history of one loop, as far as it was read.

    Args:
        store: where it lies.
        folder: `StoreLayout.ledger`.
    """

    def __init__(self, store: Objects, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._is_listed = False
        self.entries: list[LedgerEntry] = []

    def catch_up(self) -> None:
        """Read what was appended since the last call.

        Raises:
            DamagedLedgerError: an entry is missing before another one, or can't be read.
        """
        if not self._is_listed:
            self._check_whole(self._store.names(self._folder))
            self._is_listed = True
        while True:
            number = len(self.entries) + 1
            try:
                content = self._store.read(self._uri(number))
            except FileNotFoundError:
                return
            self.entries.append(self._parse(number, content))

    def append(self, entry: LedgerEntry) -> None:
        """Add an entry behind those that were read; it is in the store when this returns.

        Raises:
            LedgerMovedError: another entry is there.
        """
        number, content = len(self.entries) + 1, entry.model_dump_json(by_alias=True).encode()
        try:
            self._store.create(self._uri(number), content)
        except FileExistsError as error:
            # The client of the store tries again by itself: the first answer may have been lost.
            if self._store.read(self._uri(number)) != content:
                raise LedgerMovedError(self._folder, number) from error
        self.entries.append(entry)

    def _check_whole(self, names: list[str]) -> None:
        numbers = {int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdigit()}
        missing = set(range(1, max(numbers, default=0) + 1)) - numbers
        if missing:
            raise DamagedLedgerError(self._folder, min(missing), "is missing")

    def _parse(self, number: int, content: bytes) -> LedgerEntry:
        try:
            return LEDGER_ENTRY.validate_json(content)
        except ValueError as error:
            raise DamagedLedgerError(self._folder, number, f"can't be read ({error})") from error

    def _uri(self, number: int) -> str:
        return f"{self._folder}/{number:010d}.json"
