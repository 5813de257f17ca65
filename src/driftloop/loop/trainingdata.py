"""What a retraining may learn from: all labelled traffic, less the quarantined windows."""

from collections.abc import Iterable
from datetime import datetime

from driftloop.spec import Verdict
from driftloop.spec.trainingrows import time_column

__all__ = ["faulty_windows", "time_column"]


def faulty_windows(verdicts: Iterable[Verdict], quarantined: frozenset[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the bounds of the quarantined windows."""
    windows = (verdict.window for verdict in verdicts)
    return sorted({(window.start, window.end) for window in windows if window.start in quarantined})
