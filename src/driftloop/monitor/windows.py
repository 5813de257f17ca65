"""Which windows of event time are closed: the same log gives the same windows, whenever and however often one looks."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from driftloop.spec import Window
from driftloop.spec.operation import WindowSpec

# A window that is still short of rows after so many durations closes as it is: 'not enough data'.
LONGEST_WINDOW = 24
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Traffic(Protocol):
    """The predictions of a log, without those that came too late to be seen by everybody who looks."""

    def first_time(self, start: datetime, end: datetime) -> datetime | None:
        """Return the earliest event time with `start <= time < end` that was there when its stretch was over."""

    def count(self, start: datetime, end: datetime) -> int:
        """Return the number of predictions with `start <= time < end` that were there when `end` was over."""


def floor(time: datetime, duration: timedelta) -> datetime:
    """Return the last multiple of `duration` since the Unix epoch that is not after `time`.

    >>> floor(datetime(2013, 3, 1, 17, 45, tzinfo=UTC), timedelta(hours=1))
    datetime.datetime(2013, 3, 1, 17, 0, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + (time - EPOCH) // duration * duration


def next_window(traffic: Traffic, since: datetime, complete_through: datetime, spec: WindowSpec) -> Window | None:
    """Return the first window at or after `since` that is closed, or None.

    A window begins with the stretch (one `duration`, aligned to the Unix epoch) of the first prediction; it ends with
    the stretch that brings it to `minRows`, at the latest after 24. It is closed when the log is complete through its
    end. Stretches without any prediction before it belong to no window.
    """
    duration = spec.duration
    horizon = floor(complete_through, duration)
    since = floor(since, duration)
    first = traffic.first_time(since, horizon) if since < horizon else None
    if first is None:
        return None
    start = end = floor(first, duration)
    rows = 0
    while end < min(start + LONGEST_WINDOW * duration, horizon):
        end += duration
        rows = traffic.count(start, end)
        if rows >= spec.min_rows:
            return Window(start=start, end=end, rows=rows)
    return Window(start=start, end=end, rows=rows) if end == start + LONGEST_WINDOW * duration else None
