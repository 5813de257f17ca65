"""Missing values: more than the reference had, by more than its good and bad days explain."""

from driftloop.monitor.checks.chance import chance_limit
from driftloop.monitor.checks.names import COLUMN, MISSING
from driftloop.monitor.checks.subject import Limits, Subject
from driftloop.spec import CheckResult

NEVER_MISSING_FLOOR = 0.02
"""Share of rows that matters where a value never was missing; it grows with the usual rate to minEffectSize."""
_FLOOR_PER_RATE = 10
_FEWEST = 2
"""So few missing values are never a fault."""


def check_missing(subject: Subject, limits: Limits) -> CheckResult:
    """Judge a rise of the missing rate; a fall is no fault."""
    rows, rate = subject.rows, subject.feed.missing
    missing = rows - int(subject.column.present.sum())
    share, usual = missing / rows, rate.share
    floor = min(limits.min_effect_size, NEVER_MISSING_FLOOR + _FLOOR_PER_RATE * usual)
    chance = chance_limit(rate, rows, limits.durations, limits.significance, share)
    limit = min(max(usual + floor, chance, _FEWEST / rows), 1.0)
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
