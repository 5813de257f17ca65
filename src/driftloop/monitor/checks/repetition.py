"""The same again: a sensor that is stuck, a column that is constant, rows that are sent twice.

Shares of rows, never runs of them: the order of rows within a window has no say.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite

import numpy as np

from driftloop.monitor.checks.chance import largest_share
from driftloop.monitor.checks.names import DUPLICATES, STUCK
from driftloop.monitor.checks.subject import Arrival, Limits, Subject
from driftloop.monitor.columns import Column, Numbers
from driftloop.monitor.feed import FeedBaseline, repeated_rows
from driftloop.spec import CheckResult, FeatureType

MATERIAL_SHARE = 0.2
"""Share of rows that must repeat beyond the usual."""
_CONTINUOUS, _DISCRETE = 0.02, 0.5
"""A column whose most frequent value is rarer repeats none by itself; one of which half the rows are alike may turn
into one value by drift, and only all of them are stuck."""


def check_stuck(subject: Subject, arrival: Arrival, limits: Limits) -> CheckResult | None:
    """Judge the most frequent value of a column, against how frequent one was in blocks of the reference.

    Says something only where one is stuck, and where the reference shows whether rows of a block repeat. Categories and
    booleans are stuck when they are constant, numbers earlier: their distribution may get narrow, but hardly a point.
    """
    rate, rows = subject.feed.repeats, len(subject.column.known)
    if rows == 0 or rate.rows == 0:
        return None
    least = max(_material(rate.share, numeric=subject.numeric) - 1 / rows, 0.0)  # the largest share below the floor
    if subject.numeric and not _repeats(subject.column.ordered, int(least * rows)):
        return None
    values, counts = subject.counts
    most = int(counts.max())
    share = most / rows
    limit = largest_share(rate, rows, limits, material=least, observed=share)
    if share <= limit:
        return None
    value = values[counts == most].min()
    since = np.nanmin(arrival.seconds[subject.column.cells == value], initial=np.inf)
    return CheckResult(
        check=STUCK,
        feature=subject.name,
        passed=False,
        observed=share,
        limit=limit,
        message=f"{share:.0%} of the values of {subject.name} are {_said(value, subject)}, since {_time(since)}; "
        f"usually {rate.share:.0%} are alike: is it stuck?",
    )


def _repeats(ordered: Numbers, rows: int) -> bool:
    """Whether so many rows or more have the same value, which then is as far from itself in the sorted sample."""
    span = max(rows - 1, 0)
    return bool((ordered[span:] == ordered[: len(ordered) - span]).any())


def _said(value: object, subject: Subject) -> str:
    if subject.feature.type is FeatureType.TEXT:  # of which only the hash is known
        return "the same text"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if isfinite(seconds) else "an unknown time"


def _material(usual: float, *, numeric: bool) -> float:
    if not numeric or usual > _DISCRETE:
        return 1.0
    return MATERIAL_SHARE + usual if usual <= _CONTINUOUS else (1 + usual) / 2


def check_duplicates(
    columns: Mapping[str, Column], dates: frozenset[str], feed: FeedBaseline, arrival: Arrival, limits: Limits
) -> CheckResult | None:
    """Judge the rows whose values all occur in another row: a client that sends its feed again.

    A window with more rows than a block of the reference finds more twins by chance, at most in proportion. Where
    twins are too usual for more of them to matter nothing is said.
    """
    rows, known = len(arrival.seconds), feed.duplicates
    denser = max((rows - 1) / max(feed.rows_per_block - 1, 1), 1.0)
    usual = min(known.share * denser, 1.0)
    if rows == 0 or known.rows == 0 or usual + MATERIAL_SHARE >= 1:
        return None
    share = float(np.mean(repeated_rows(columns, dates, arrival.seconds)))
    rate = known.model_copy(update={"events": usual * known.rows})
    limit = largest_share(rate, rows, limits, material=usual + MATERIAL_SHARE, observed=share)
    return CheckResult(
        check=DUPLICATES,
        feature="",
        passed=share <= limit,
        observed=share,
        limit=limit,
        message=f"{share:.0%} of the rows have the same values as another row, {usual:.0%} usually: was it sent again?",
    )
