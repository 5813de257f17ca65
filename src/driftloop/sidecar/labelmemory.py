"""Which rows of a polled table are labels already: a digest of each, on disk, so that no restart doubles one.

An append-only file of 16-byte entries: what a row is about, and what it says. Of two entries about the same the later
holds. A crash can only tear its end, which is cut; what was torn becomes a label once more, with the same value.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from driftloop.predictionlog.durablefile import make_directory, sync_directory, write_durably
from driftloop.predictionlog.logstore import LogStore

ENTRY_BYTES = 16
UPLOAD_SECONDS = 10.0
"""Least time between two uploads while a table is taken over."""
COMPACTED_FROM = 1 << 16
"""Entries below which superseded ones are not worth removing."""

Digests = npt.NDArray[np.uint64]


class LabelMemory:
    """The rows seen, in a file with one writer."""

    def __init__(self, path: Path) -> None:
        """Read what was seen so far."""
        self._path = path
        make_directory(path.parent)
        content = path.read_bytes() if path.exists() else b""
        whole = len(content) - len(content) % ENTRY_BYTES
        entries = np.frombuffer(content[:whole], "<u8").reshape(-1, 2).astype(np.uint64)
        self._identities, self._contents = _last_of_each(entries[:, 0], entries[:, 1])
        if whole < len(content) or len(entries) > max(2 * len(self._identities), COMPACTED_FROM):
            kept = np.column_stack([self._identities, self._contents])
            write_durably(path, lambda file: file.write(kept.astype("<u8").tobytes()))

    def __len__(self) -> int:
        return len(self._identities)

    def is_new(self, identities: Digests, contents: Digests) -> npt.NDArray[np.bool_]:
        """Return which rows are not known, or say something else than before."""
        if not len(self._identities):
            return np.ones(len(identities), bool)
        places = np.searchsorted(self._identities, identities).clip(max=len(self._identities) - 1)
        is_new: npt.NDArray[np.bool_] = (self._identities[places] != identities) | (self._contents[places] != contents)
        return is_new

    def remember(self, identities: Digests, contents: Digests) -> None:
        """Add rows; they are on disk when this returns."""
        is_created = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(np.column_stack([identities, contents]).astype("<u8").tobytes())
            file.flush()
            os.fsync(file.fileno())
        if is_created:
            sync_directory(self._path.parent)
        self._identities, self._contents = _last_of_each(
            np.concatenate([self._identities, identities]), np.concatenate([self._contents, contents])
        )


class SharedLabelMemory(LabelMemory):
    """A memory that goes with the loop: kept in the object store, for the monitor that polls the table next.

    Args:
        path: the local file; replaced by what the store has.
        store: the object store.
        uri: of the memory there.

    Raises (all methods):
        StoreUnavailableError: the store may lack what is remembered here.
    """

    def __init__(self, path: Path, store: LogStore, uri: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take over what the store has."""
        self._store = store
        self._uri = uri
        self._monotonic = monotonic
        self._next_upload = float("-inf")
        self._is_behind = False
        path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # nothing was polled yet
            store.get_file(uri, path)
        super().__init__(path)

    def remember(self, identities: Digests, contents: Digests) -> None:
        """Add rows."""
        super().remember(identities, contents)
        self._is_behind = True
        if self._monotonic() >= self._next_upload:
            self.upload()

    def upload(self) -> None:
        """Bring the store up to what is remembered."""
        if self._is_behind:
            self._store.put_file(self._path, self._uri)
            self._is_behind = False
            self._next_upload = self._monotonic() + UPLOAD_SECONDS


def digests(texts: Sequence[str]) -> Digests:
    """Return a number for each text that no other text of the table is likely to have.

    >>> digests(["a", "b", "a"]).tolist() == [digests([text])[0] for text in "aba"]
    True
    """
    return np.frombuffer(
        b"".join(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in texts), "<u8"
    ).astype(np.uint64)


def _last_of_each(identities: Digests, contents: Digests) -> tuple[Digests, Digests]:
    """Return each identity once, sorted, with its last content."""
    found, places = np.unique(identities[::-1], return_index=True)
    return found, contents[::-1][places]
