"""Axes: where a value lies in a picture, and the round values and dates that are written along it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from driftloop.reports.markup import figure

_MOST_TICKS = 6
_NICE = (1, 2, 2.5, 5, 10)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIME_STEPS = (
    *(n * _MINUTE for n in (1, 2, 5, 10, 30)),
    *(n * _HOUR for n in (1, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 3, 5, 7, 14)),
)
_MONTH_STEPS = (1, 3, 6, 12, 24, 60, 120)
_MONTH_SECONDS = 30.4 * _DAY


@dataclass(frozen=True)
class Axis:
    """A range of values with its label and ticks."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Return how far along the axis a value lies, 0 to 1; what lies outside is put at the end."""
        span = self.high - self.low
        return min(max((value - self.low) / span, 0.0), 1.0) if span > 0 else 0.5


def number_axis(label: str, values: Sequence[float], *, include: float | None = None, room: float = 0.0) -> Axis:
    """Return an axis that shows the finite values among those given.

    Args:
        label: what the axis measures, with its unit.
        values: any number of values that must lie on it.
        include: a value that must lie on it too, e.g. 0.
        room: share of the span that is left free at both ends.
    """
    finite = [value for value in values if math.isfinite(value)] + ([] if include is None else [include])
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        pad = abs(low) / 10 or 0.5
        low, high = low - pad, high + pad
    free = (high - low) * room
    low, high = low - free * (low != include), high + free * (high != include)
    return Axis(label, low, high, _number_ticks(low, high))


def share_axis(label: str, high: float = 1.0) -> Axis:
    """Return an axis of percentages from 0."""
    top = high if high > 0 else 1.0
    ticks = tuple((value, f"{100 * value:.4g}%") for value, _ in _number_ticks(0.0, top))
    return Axis(label, 0.0, top, ticks)


def time_axis(label: str, start: datetime, end: datetime) -> Axis:
    """Return an axis of seconds since the epoch with dates along it, in UTC."""
    low, high = start.timestamp(), end.timestamp()
    if high <= low:
        low, high = low - _HOUR, high + _HOUR
    return Axis(label, low, high, tuple(_time_ticks(low, high)))


def _number_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    rough = (high - low) / (_MOST_TICKS - 1)
    size = 10.0 ** math.floor(math.log10(rough)) if rough > 0 and math.isfinite(rough) else 1.0
    step = next(size * nice for nice in _NICE if size * nice >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((count * step, _tick(count * step, step)) for count in range(first, last + 1))


def _tick(value: float, step: float) -> str:
    if max(abs(value), step) >= 1e6:  # noqa: PLR2004 - six digits fit beside an axis
        return f"{value:.3g}"
    if step < 1e-5:  # noqa: PLR2004
        return figure(value)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):  # a step of 2.5 has one digit more
        decimals += 1
    return f"{value:,.{decimals}f}"


def _time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    rough = (high - low) / _MOST_TICKS
    step = next((step for step in _TIME_STEPS if step >= rough), None)
    if step is None:
        return _month_ticks(low, high, rough)
    style = "%d %b" if step >= _DAY else ("%d %b %H:%M" if high - low > _DAY else "%H:%M")
    first = math.ceil(low / step)
    places = [float(count * step) for count in range(first, math.floor(high / step) + 1)]
    return [(place, _moment(place).strftime(style)) for place in places]


def _month_ticks(low: float, high: float, rough: float) -> list[tuple[float, str]]:
    months = next((step for step in _MONTH_STEPS if step * _MONTH_SECONDS >= rough), _MONTH_STEPS[-1])
    start = _moment(low)
    count = -(-(start.year * 12 + start.month - 1) // months) * months
    ticks = []
    while count // 12 <= _moment(high).year:
        place = datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC).timestamp()
        if low <= place <= high:
            ticks.append((place, _moment(place).strftime("%b %Y")))
        count += months
    return ticks


def _moment(seconds: float) -> datetime:
    # From the epoch by hand: fromtimestamp refuses what lies before 1970 on some systems.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
