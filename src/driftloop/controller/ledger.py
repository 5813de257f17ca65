"""The ledger on disk: append-only JSON lines, each synced before the call returns."""

import contextlib
import os
from io import FileIO
from pathlib import Path

from driftloop.errors import DriftloopError
from driftloop.loop.history import LEDGER_ENTRY, LedgerEntry


class CorruptLedgerError(DriftloopError):
    """A line in the middle of the ledger can't be read."""

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(
            f"Line {line} of the ledger '{path}' must be a ledger entry and can't be read. "
            "Restore the file from a backup; driftloop does not guess at history."
        )


class Ledger:
    """The history of one loop.

    Args:
        path: the file; made when missing. A torn last line (the process died while writing it) is cut off: it was never
            acknowledged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _cut_torn_line(path)
        self.entries: list[LedgerEntry] = read_ledger(path)

    def append(self, entry: LedgerEntry) -> None:
        """Add an entry; it is on disk when this returns.

        Raises:
            OSError: it can't be written, e.g. for lack of space; the ledger is as it was.
        """
        with self._path.open("ab", buffering=0) as file:
            length = file.tell()
            try:
                _write_whole(file, entry.model_dump_json(by_alias=True).encode() + b"\n")
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(length)
                raise
        self.entries.append(entry)


def read_ledger(path: Path) -> list[LedgerEntry]:
    """Read all whole lines of a ledger, oldest first; an absent file is an empty history.

    Raises:
        CorruptLedgerError: a line is no entry.
    """
    if not path.exists():
        return []
    *lines, _torn = path.read_bytes().split(b"\n")
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(LEDGER_ENTRY.validate_json(line))
        except ValueError as error:
            raise CorruptLedgerError(path, number) from error
    return entries


def _write_whole(file: FileIO, line: bytes) -> None:
    """Write everything; a disk that is nearly full takes a part first and fails then."""
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        path.touch()
        return
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
