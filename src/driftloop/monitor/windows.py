"""Which windows of event time are closed: the same log gives the same windows, whenever and however often one looks."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from driftloop.spec import Window
from driftloop.spec.operation import WindowSpec

# A window that is still short of rows after so many durations closes as it is: 'not enough data'.
LONGEST_WINDOW = 24
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TimesBetween: TypeAlias = Callable[[datetime, datetime], Sequence[datetime]]
"""Event times of the predictions with `start <= time < end`, in ascending order."""


def floor(time: datetime, duration: timedelta) -> datetime:
    """Return the last multiple of `duration` since the Unix epoch that is not after `time`.

    >>> floor(datetime(2013, 3, 1, 17, 45, tzinfo=UTC), timedelta(hours=1))
    datetime.datetime(2013, 3, 1, 17, 0, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + (time - EPOCH) // duration * duration


def next_window(
    times_between: TimesBetween, since: datetime, complete_through: datetime, spec: WindowSpec
) -> Window | None:
    """Return the first window at or after `since` that is closed, or None.

    A window begins with the stretch (one `duration`, aligned to the Unix epoch) of the first prediction; it ends with
    the stretch that brings it to `minRows`, at the latest after 24. It is closed when the log is complete through its
    end. Stretches without any prediction before it belong to no window.
    """
    duration = spec.duration
    horizon = floor(complete_through, duration)
    start = _first_stretch(times_between, floor(since, duration), horizon, duration)
    if start is None:
        return None
    rows, end = 0, start
    while end < min(start + LONGEST_WINDOW * duration, horizon):
        rows += len(times_between(end, end + duration))
        end += duration
        if rows >= spec.min_rows:
            return Window(start=start, end=end, rows=rows)
    return Window(start=start, end=end, rows=rows) if end == start + LONGEST_WINDOW * duration else None


def _first_stretch(
    times_between: TimesBetween, since: datetime, horizon: datetime, duration: timedelta
) -> datetime | None:
    reach = duration
    while since < horizon:
        until = min(since + reach, horizon)
        times = times_between(since, until)
        if times:
            return floor(times[0], duration)
        since, reach = until, 2 * reach  # the first look starts at the epoch, decades before any log
    return None
