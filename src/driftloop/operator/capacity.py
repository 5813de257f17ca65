"""The cap on runs over all loops: one broken feed may drift every loop of a cluster at the same hour."""

import threading
from collections.abc import Callable, Iterable


class Capacity:
    """Knows which loops have a run in progress, and lets no more begin than allowed.

    Args:
        limit: most runs at a time.
        find_open: returns the loops with an open run by their ledgers; asked once, before the first run is let through,
            so that a new operator counts the runs of the one before it.
    """

    def __init__(self, limit: int, find_open: Callable[[], Iterable[str]]) -> None:
        self.limit = limit
        self._find_open = find_open
        self._busy: set[str] | None = None
        self._lock = threading.Lock()

    @property
    def in_progress(self) -> int:
        """How many runs are in progress, as far as is known."""
        return len(self._busy or ())

    def take(self, loop: str) -> bool:
        """Let a loop begin a run; false while there are too many. A loop that has one keeps its place."""
        with self._lock:
            busy = self._known()
            if loop not in busy and len(busy) >= self.limit:
                return False
            busy.add(loop)
            return True

    def note(self, loop: str, *, has_run: bool) -> None:
        """Take down whether a loop has a run in progress."""
        with self._lock:
            if self._busy is None and not has_run:
                return
            busy = self._known()
            if has_run:
                busy.add(loop)
            else:
                busy.discard(loop)

    def _known(self) -> set[str]:
        if self._busy is None:
            self._busy = set(self._find_open())
        return self._busy
