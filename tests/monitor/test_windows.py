"""Which windows are closed: a property of the log alone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.monitor.windows import EPOCH, LONGEST_WINDOW, floor, next_window
from driftloop.spec.operation import WindowSpec

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = WindowSpec(duration=HOUR, min_rows=30)


class Log:
    """A log that knows what is committed, and nothing later."""

    def __init__(self, times, complete_through):
        self._times = [time for time in times if time < complete_through]

    def first_time(self, start, end):
        return min((time for time in self._times if start <= time < end), default=None)

    def count(self, start, end):
        return sum(start <= time < end for time in self._times)


def windows(times, through, *, since=EPOCH, spec=SPEC):
    found = []
    while (window := next_window(Log(times, through), since, through, spec)) is not None:
        found.append(window)
        since = window.end
    return found


def burst(hour, rows):
    return [START + (hour + row / rows) * HOUR for row in range(rows)]


def spans(found):
    return [((w.start - START) // HOUR, (w.end - START) // HOUR, w.rows) for w in found]


def test_a_window_lasts_one_duration_when_rows_suffice():
    times = burst(0, 40) + burst(1, 30)
    assert spans(windows(times, START + 2 * HOUR)) == [(0, 1, 40), (1, 2, 30)]


def test_a_window_closes_only_behind_the_commit():
    assert windows(burst(0, 40), START + HOUR - timedelta(seconds=1)) == []


def test_a_window_waits_for_rows_by_whole_durations():
    times = burst(0, 10) + burst(1, 10) + burst(4, 25)
    assert spans(windows(times, START + 5 * HOUR)) == [(0, 5, 45)]


def test_the_longest_window_closes_without_enough_rows():
    assert windows(burst(0, 10), START + (LONGEST_WINDOW - 1) * HOUR) == []
    assert spans(windows(burst(0, 10), START + LONGEST_WINDOW * HOUR)) == [(0, LONGEST_WINDOW, 10)]


def test_time_without_traffic_belongs_to_no_window():
    times = burst(0, 40) + burst(1000, 40)
    assert spans(windows(times, START + 1001 * HOUR)) == [(0, 1, 40), (1000, 1001, 40)]


def test_windows_are_aligned_to_the_epoch():
    week = WindowSpec(duration=timedelta(days=7), min_rows=30)
    (window,) = windows(burst(5, 40), START + timedelta(days=14), spec=week)
    assert (window.start - EPOCH) % timedelta(days=7) == timedelta(0)
    assert window.start <= START < window.end


def test_an_empty_log_has_no_windows():
    assert windows([], START) == []


@pytest.mark.parametrize("seconds", [0, 1, 3599])
def test_floor_goes_to_the_last_multiple(seconds):
    assert floor(START + timedelta(seconds=seconds), HOUR) == START


@settings(deadline=None)
@given(
    counts=st.dictionaries(st.integers(0, 60), st.integers(1, 45), max_size=12),
    looks=st.lists(st.integers(0, 100 * 60), max_size=12),
)
def test_the_same_log_gives_the_same_windows_whenever_one_looks(counts, looks):
    times = [time for hour, rows in counts.items() for time in burst(hour, rows)]
    through = START + 100 * HOUR
    seen, since = [], EPOCH
    for minutes in [*sorted(looks), 100 * 60]:
        for window in windows(times, START + timedelta(minutes=minutes), since=since):
            seen.append(window)
            since = window.end
    assert seen == windows(times, through)
    for window in seen:
        assert (window.start - EPOCH) % HOUR == timedelta(0)
        assert window.rows >= SPEC.min_rows or window.end - window.start == LONGEST_WINDOW * HOUR
        assert window.rows == sum(window.start <= time < window.end for time in times)
    assert all(before.end <= after.start for before, after in pairwise(seen))
