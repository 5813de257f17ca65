"""How traffic arrives: its volume, and whether it is fresh.

Training data are often a sample, so how many predictions come and how regularly is learnt from the windows before
this one; until there are enough of them, nothing is said. That no window at all comes can't be said here.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import exp, log, sqrt

import numpy as np

from driftloop.monitor.checks.names import FRESHNESS, VOLUME
from driftloop.monitor.checks.subject import Arrival, Limits, Stretch, Subject
from driftloop.monitor.feed import fresh_age
from driftloop.spec import CheckResult

FEWEST_DURATIONS = 14
"""Windows of a day or longer."""
FEWEST_DAYS = 7
"""Shorter windows are compared with those of the same hour on so many days: a week has every weekday."""
REMEMBERED_DAYS, REMEMBERED_DURATIONS, REMEMBERED_WINDOWS = 14, 28, 700
"""How far back the windows count, whichever of the first two is longer: older ones tell of another time."""
MATERIAL_FACTOR = 2.0
"""Twice or half the usual volume matters."""
MATERIAL_SILENCE = 0.25
"""Share of a usual window without a row at its end that matters."""
FEWEST_SILENCES = 24
_DAY_SECONDS = 86_400
_LEAST_SD = 0.1
_LARGEST_LOGARITHM = 700.0
_MOST_DEGREES = 20
"""Degrees of freedom trusted at most: volumes have heavier tails than the normal distribution."""


def remembered(duration: timedelta) -> timedelta:
    """Return for how long the windows before are looked at."""
    return max(timedelta(days=REMEMBERED_DAYS), REMEMBERED_DURATIONS * duration)


def check_volume(arrival: Arrival, limits: Limits) -> CheckResult | None:
    """Judge the number of predictions against windows before it, at the same time of day where they are shorter.

    Logarithms of the rows per duration, by a predictive t interval: it is as wide as days usually differ. A trend is
    part of how they differ. What came in about the same number the last time is the new usual, not another fault.
    """
    known = _usual_volume(arrival)
    if known is None:
        return None
    from scipy.special import stdtrit

    rows = arrival.feed[-1].rows / arrival.durations
    allowed = max(-float(stdtrit(known.degrees, limits.significance / 2)) * known.sd, log(MATERIAL_FACTOR))
    change, since_last = log(rows + 0.5) - known.mean, log(rows + 0.5) - known.last
    return CheckResult(
        check=VOLUME,
        feature="",
        passed=abs(change) <= allowed or abs(since_last) <= log(MATERIAL_FACTOR),
        observed=exp(change),
        limit=exp(allowed if change > 0 else -allowed),
        message=f"{rows:,.0f} predictions came where {exp(known.mean):,.0f} usually come.",
    )


@dataclass(frozen=True)
class _Volume:
    """The usual logarithm of the rows per duration."""

    mean: float
    sd: float
    """Predictive, with the uncertainty of the mean."""
    degrees: int
    last: float
    """The newest one."""


def _usual_volume(arrival: Arrival) -> _Volume | None:
    """Return what is usual; None until enough is known.

    Hours differ in how much they vary, and one hour's few days tell little of it: the larger of its own spread and
    that of all hours counts.
    """
    past, length = arrival.past, arrival.duration.total_seconds()
    starts = np.array([stretch.start.timestamp() for stretch in past])
    lengths = np.array([stretch.end.timestamp() for stretch in past]) - starts
    rows = np.array([stretch.rows for stretch in past])
    logarithms = np.log(rows / np.maximum(np.round(lengths / length), 1) + 0.5)
    daily = length >= _DAY_SECONDS
    slots = (0 * starts if daily else starts % _DAY_SECONDS // length).astype(np.int64)
    own = logarithms[slots == (0 if daily else int(arrival.start.timestamp() % _DAY_SECONDS // length))]
    if len(own) < (FEWEST_DURATIONS if daily else FEWEST_DAYS):
        return None
    _, places, sizes = np.unique(slots, return_inverse=True, return_counts=True)
    means = np.bincount(places, logarithms) / sizes
    degrees = len(logarithms) - len(sizes)
    pooled = float(((logarithms - means[places]) ** 2).sum()) / degrees
    mean = float(own.mean())
    variance = max(pooled, float(own.var(ddof=1)), exp(-mean))  # at least the Poisson distribution's
    return _Volume(mean, sqrt(variance * (1 + 1 / len(own))), min(degrees, _MOST_DEGREES), float(own[-1]))


def check_silence(arrival: Arrival, limits: Limits) -> CheckResult | None:
    """Judge the time from the newest row to the window's end, against that of the windows before.

    Counted in mean gaps between rows, so that slow hours are no silent ones. A steady feed leaves an exponential rest,
    whose predictive distribution is Pareto's; a feed in batches leaves a longer one always, and twice the longest
    rest seen is allowed to any.
    """
    length = arrival.duration.total_seconds()
    rests = np.array([_rest(stretch) for stretch in arrival.past if stretch.newest is not None and stretch.rows > 0])
    if len(rests) < FEWEST_SILENCES or arrival.feed[-1].newest is None:
        return None
    this = arrival.feed[-1]
    factor = len(rests) * (limits.significance ** (-1 / len(rests)) - 1)
    gap = (this.end - this.start).total_seconds() / max(this.rows, 1)
    limit = max(factor * float(rests.mean()) * gap, 2 * float(rests.max()) * gap, MATERIAL_SILENCE * length) / length
    silence = _rest(this) * gap / length
    return CheckResult(
        check=FRESHNESS,
        feature="",
        passed=silence <= limit,
        observed=silence,
        limit=limit,
        message=f"No prediction came in the last {_span(silence * length)} of the window: did the feed stop?",
    )


def _rest(stretch: Stretch) -> float:
    """Return the time from a window's newest row to its end, in mean gaps between its rows."""
    newest = stretch.newest or stretch.start
    return (stretch.end - newest) / (stretch.end - stretch.start) * stretch.rows


def check_dates(subject: Subject, arrival: Arrival, limits: Limits) -> CheckResult | None:
    """Judge how old the freshest tenth of a column of dates is: a table upstream that is no longer updated.

    The logarithm of that age against the reference's blocks, by predictive t; material when it is twice the oldest ever
    seen and a whole usual window older.
    """
    ages, ordered = subject.feed.ages, subject.column.ordered
    if ages is None or len(ordered) == 0:
        return None
    from scipy.special import stdtrit

    fewer = max(ages.rows_per_block / len(ordered), 1.0)  # a quantile of fewer rows varies more
    sd = max(ages.sd, _LEAST_SD) * sqrt(fewer * (1 + 1 / ages.blocks))
    chance = exp(min(ages.mean - float(stdtrit(ages.blocks - 1, limits.significance)) * sd, _LARGEST_LOGARITHM))
    limit = max(chance, 2 * ages.oldest, ages.oldest + arrival.duration.total_seconds())
    age = fresh_age(ordered)
    return CheckResult(
        check=FRESHNESS,
        feature=subject.name,
        passed=age <= limit,
        observed=age / ages.oldest,
        limit=limit / ages.oldest,
        message=f"The freshest tenth of {subject.name} is {_span(age)} old, in the past at most {_span(ages.oldest)}: "
        "is it still updated?",
    )


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
