"""Which rows of a polled table are labels already: a digest of each, on disk, so that no restart doubles one.

An append-only file of 16-byte entries: what a row is about, and what it says. Of two entries about the same the later
holds. A crash can only tear its end, which is cut; what was torn becomes a label once more, with the same value.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from driftloop.predictionlog.durablefile import make_directory, sync_directory, write_durably

ENTRY_BYTES = 16
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
