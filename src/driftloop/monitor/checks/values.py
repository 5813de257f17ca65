"""Values that can't be read, were never seen, or lie far outside: typing errors of programs, not of the world."""

import numpy as np

from driftloop.monitor.checks.chance import largest_share
from driftloop.monitor.checks.names import NEW_CATEGORY, RANGE, TYPE
from driftloop.monitor.checks.subject import Limits, Subject
from driftloop.monitor.checks.units import likely_conversion
from driftloop.monitor.feed import Rate
from driftloop.spec import CheckResult, FeatureType

_NAMED = 3


def check_type(subject: Subject, limits: Limits) -> CheckResult | None:
    """Judge the values that are not of the column's type; they come as unevenly as missing ones do."""
    if not subject.column.unreadable:
        return None
    share = subject.column.unreadable / subject.rows
    missing = subject.feed.missing
    rate = Rate(rows=missing.rows, correlation=missing.correlation, blocks=missing.blocks)
    return _result(
        TYPE,
        subject,
        share,
        _limit(rate, subject.rows, limits, share),
        f"{share:.1%} of the rows have a value of {subject.name} that is not {subject.feature.type}.",
    )


def check_new_categories(subject: Subject, limits: Limits) -> CheckResult | None:
    """Judge categories never seen before, against the rate at which new ones came in the reference.

    Twice that rate: they go on opening, and the window lies further from the reference than its own later half did. A
    column that was empty in the reference knows no categories, and none is new.
    """
    known = subject.known_categories
    if not known:
        return None
    values, counts = subject.counts
    new_rate = subject.feed.new
    new = [(-int(count), str(value)) for value, count in zip(values, counts, strict=True) if value not in known]
    rows = int(counts.sum())
    if not new:
        return None
    share = -sum(count for count, _ in new) / rows
    named = ", ".join(repr(name) for _, name in sorted(new)[:_NAMED])
    return _result(
        NEW_CATEGORY,
        subject,
        share,
        _limit(new_rate.model_copy(update={"events": min(2 * new_rate.events, new_rate.rows)}), rows, limits, share),
        f"{share:.1%} of the values of {subject.name} were never seen before: {named}.",
    )


def check_range(subject: Subject, limits: Limits) -> CheckResult | None:
    """Judge values that lie outside the seen range by more than its own width: another unit, not another season."""
    seen = [*subject.reference.quantiles[:1], *subject.reference.quantiles[-1:]]
    if subject.feature.type is not FeatureType.DATE:  # the baseline of a date is its age, the schema's range is not
        seen += [bound for bound in (subject.feature.minimum, subject.feature.maximum) if bound is not None]
    if not seen:
        return None
    low, high = min(seen), max(seen)
    width = ((high - low) or abs(high) or 1.0) + (subject.feed.extent.slack if subject.feed.extent else 0.0)
    ordered = subject.column.ordered
    below = int(np.searchsorted(ordered, low - width))
    above = int(np.searchsorted(ordered, high + width, side="right"))
    strays = below + len(ordered) - above
    if not strays:
        return None
    share = strays / len(ordered)
    outside = ordered[:below] if below > len(ordered) - above else ordered[above:]
    conversion = likely_conversion(outside, subject.feed.extent, whole=False)
    return _result(
        RANGE,
        subject,
        share,
        _limit(Rate(rows=subject.reference.present), len(ordered), limits, share),
        f"{share:.1%} of the values of {subject.name} lie far outside {low:.4g} to {high:.4g}, the range seen"
        + (f"; they look {conversion.done}." if conversion else "."),
    )


def _limit(rate: Rate, rows: int, limits: Limits, observed: float) -> float:
    return largest_share(rate, rows, limits, material=rate.share + limits.min_effect_size, observed=observed)


def _result(check: str, subject: Subject, share: float, limit: float, message: str) -> CheckResult:
    return CheckResult(
        check=check, feature=subject.name, passed=share <= limit, observed=share, limit=limit, message=message
    )
