from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.reports.axes import number_axis, share_axis, time_axis

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001


@given(st.lists(st.floats(), max_size=20))
def test_ticks_of_numbers_are_few_rise_and_lie_on_the_axis(values):
    axis = number_axis("x", values)
    places = [place for place, _ in axis.ticks]
    assert len(places) <= 12
    assert places == sorted(places)
    assert all(0.0 <= axis.share(place) <= 1.0 for place in places)


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_every_value_lies_on_its_axis(values):
    axis = number_axis("x", values)
    assert all(axis.low <= value <= axis.high for value in values)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0, 10), ["0", "2", "4", "6", "8", "10"]),
        ((0.0, 0.1), ["0.00", "0.02", "0.04", "0.06", "0.08", "0.10"]),
        ((0, 12.4), ["0.0", "2.5", "5.0", "7.5", "10.0"]),
        ((0, 48_000), ["0", "10,000", "20,000", "30,000", "40,000"]),
    ],
)
def test_ticks_are_round(values, texts):
    assert [text for _, text in number_axis("x", values).ticks] == texts


def test_a_share_is_written_in_percent():
    assert [text for _, text in share_axis("x").ticks] == ["0%", "20%", "40%", "60%", "80%", "100%"]


@given(MOMENTS, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20_000)))
def test_ticks_of_times_are_few_and_lie_on_the_axis(start, length):
    start = start.replace(tzinfo=UTC)
    axis = time_axis("", start, start + length)
    assert len(axis.ticks) <= 14
    assert all(axis.low <= place <= axis.high for place, _ in axis.ticks)


@pytest.mark.parametrize(
    ("length", "texts"),
    [
        (timedelta(minutes=5), ["00:00", "00:01", "00:02", "00:03", "00:04", "00:05"]),
        (timedelta(days=5), ["02 Mar", "03 Mar", "04 Mar", "05 Mar", "06 Mar", "07 Mar"]),
        (timedelta(days=180), ["Apr 2026", "May 2026", "Jun 2026", "Jul 2026", "Aug 2026"]),
    ],
)
def test_times_are_written_as_their_length_asks(length, texts):
    start = datetime(2026, 3, 2, tzinfo=UTC)
    assert [text for _, text in time_axis("", start, start + length).ticks] == texts
