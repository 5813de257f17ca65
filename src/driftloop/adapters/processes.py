"""What every supervisor of child processes shares: pauses between restarts, and children that never outlive it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
STABLE_SECONDS = 10.0
"""A process that lived this long is started again at once: it was killed, it does not crash at its start."""
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Backoff:
    """The pause before a process is started again: none at first, then doubling while it keeps dying young."""

    seconds: float = 0.0

    def after(self, lived_seconds: float) -> float:
        """Return the pause after a death.

        >>> backoff = Backoff()
        >>> [backoff.after(1) for _ in range(3)], backoff.after(60), backoff.after(1)
        ([0.5, 1.0, 2.0], 0.0, 0.5)
        """
        if lived_seconds >= STABLE_SECONDS:
            self.seconds = 0.0
        else:
            self.seconds = min(max(2 * self.seconds, FIRST_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS)
        return self.seconds


def dies_with_parent() -> Callable[[], None]:
    """Return what a child must run between fork and exec to be killed when this process ends, however it ends.

    Linux; elsewhere it does nothing.
    """
    parent = os.getpid()
    # glibc is loaded here: between fork and exec only calls that are already bound are safe.
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        if prctl is None:
            return
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # The parent died before the line above.

    return prepare
