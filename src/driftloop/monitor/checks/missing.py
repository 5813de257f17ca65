"""Missing values: more than the reference had, by more than its good and bad days explain."""

from driftloop.monitor.checks.chance import cautious, largest_share
from driftloop.monitor.checks.names import COLUMN, MISSING
from driftloop.monitor.checks.subject import Limits, Subject
from driftloop.monitor.feed import Rate
from driftloop.spec import CheckResult

NEVER_MISSING_FLOOR = 0.02
"""Share of rows that matters where a value never was missing; it grows with the usual rate to minEffectSize."""
_FLOOR_PER_RATE = 10
_FEWEST = 2
"""So few missing values are never a fault."""
_CLUMPS_OF_NONE, _CLUMPS_OF_SOME = 0.01, 0.04
"""Correlation within a block that is expected before any is seen. Missing values come in clumps, and a few of them do
not show how large: where some were seen, a clump of an eighth of the window must not surprise."""
_TOLD_BY = 30
"""Missing values that tell as much of their clumps as that expectation does."""

_NEARLY_ALL, _LASTING = 0.9, 0.2


def check_missing(subject: Subject, limits: Limits) -> CheckResult | None:
    """Judge a rise of the missing rate; a fall is no fault, nor is twice the rise of the reference's worst block.

    A column that never had a missing value is taken at its word: the first outage it ever had is news. Says nothing
    where no value is missing.
    """
    rows, rate = subject.rows, subject.feed.missing
    missing = rows - len(subject.column.known)
    if missing == 0:
        return None
    share, usual = missing / rows, rate.share
    floor = min(limits.min_effect_size, NEVER_MISSING_FLOOR + _FLOOR_PER_RATE * usual)
    correlation = _correlation(rate, limits.significance)
    bad_day = 2 * subject.feed.worst_missing - usual
    limit = largest_share(
        rate,
        rows,
        limits,
        material=max(usual + floor, bad_day, _FEWEST / rows),
        observed=share,
        correlation=correlation,
    )
    if limit > _NEARLY_ALL and correlation > _LASTING:
        limit = 1.0  # gaps that last for so much of a window may last for all of it
    gone = missing == rows and share > limit
    return CheckResult(
        check=COLUMN if gone else MISSING,
        feature=subject.name,
        passed=share <= limit,
        observed=share,
        limit=limit,
        message=(
            f"No row has a value of {subject.name}; {1 - usual:.0%} had."
            if gone
            else f"{share:.1%} of the rows have no value of {subject.name}, {usual:.1%} had none."
        ),
    )


def _correlation(rate: Rate, significance: float) -> float:
    """Return the correlation within a block that so few missing values, in so few clumps, leave possible."""
    if rate.events == 0:
        return _CLUMPS_OF_NONE
    clumps = rate.events / (1 + max(rate.rows / max(rate.blocks, 1) - 1, 0) * rate.correlation)
    seen = min(cautious(rate, significance) * (1 + 2 / float(clumps**0.5)), 1.0)
    return (rate.events * seen + _TOLD_BY * _CLUMPS_OF_SOME) / (rate.events + _TOLD_BY)
