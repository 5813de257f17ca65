"""How soon labels arrive: the share of predictions whose truth is known within an hour, a day, a week.

A prediction younger than a delay can't tell whether its label will come within it and does not count against it:
Kaplan and Meier, "Nonparametric estimation from incomplete observations", 1958.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from driftloop.spec import LabelsWithin

DELAYS = tuple(
    timedelta(hours=hours) for hours in (1 / 60, 0.25, 1, 6, 24, 2 * 24, 4 * 24, 7 * 24, 14 * 24, 30 * 24, 90 * 24)
)
"""Delays that people plan by."""
FEWEST_ROWS = 20
"""Predictions that must be old enough for a point of the curve."""
SMALLEST_STEP = 0.01
"""A point must add so much to the one before."""


def label_delays(times: "pd.Series[Any]", label_times: "pd.Series[Any]", now: datetime) -> tuple[LabelsWithin, ...]:
    """Return the maturity curve: rising shares of the predictions, at delays that add something to the one before.

    Args:
        times: event time of each prediction, shape (n,), UTC.
        label_times: when its label came, missing where none has; shape (n,).
        now: event time through which labels are known.
    """
    came = pd.to_datetime(label_times, utc=True)
    is_known = (came.notna() & (came <= now)).to_numpy()
    age = (pd.Timestamp(now) - times).dt.total_seconds().to_numpy()
    delay = (came - times).dt.total_seconds().to_numpy()
    seen = np.where(is_known, np.maximum(delay, 0), age)
    order = np.lexsort((~is_known, seen))  # at the same moment a label comes before a prediction drops out
    seen, is_label = seen[order], is_known[order]
    at_risk = len(seen) - np.arange(len(seen))
    waiting = np.cumprod(1 - is_label / np.maximum(at_risk, 1))
    points: list[LabelsWithin] = []
    for step in DELAYS:
        seconds = step.total_seconds()
        if (age >= seconds).sum() < FEWEST_ROWS:
            break
        reached = int(np.searchsorted(seen, seconds, side="right"))
        share = 1 - float(waiting[reached - 1]) if reached else 0.0
        if share - (points[-1].share if points else 0) >= SMALLEST_STEP:
            points.append(LabelsWithin(delay_seconds=seconds, share=min(share, 1.0)))
    return tuple(points)


def tell_label_delays(points: Sequence[LabelsWithin]) -> str:
    """Return the curve as a sentence; empty without points.

    >>> tell_label_delays([LabelsWithin(delay_seconds=3600, share=0.2), LabelsWithin(delay_seconds=172800, share=0.83)])
    '20% of the predictions have their label within an hour, 83% within 2 days'
    """
    told = [f"{point.share:.0%} within {_words(point.delay_seconds)}" for point in points]
    return ", ".join(told).replace(" within", " of the predictions have their label within", 1)


def _words(seconds: float) -> str:
    for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= unit:
            count = seconds / unit
            one = "an" if name == "hour" else "a"
            return f"{one} {name}" if count == 1 else f"{count:g} {name}s"
    return f"{seconds:g} seconds"
