from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.spec.boundary import format_duration, parse_duration


@given(st.integers(min_value=1, max_value=10**13).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_duration_survives_writing_and_reading(duration):
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("50ms", timedelta(milliseconds=50)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
        ("1d12h", timedelta(hours=36)),
    ],
)
def test_durations_are_read_as_prometheus_reads_them(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "1", "h", "1 h", "1h ", "1h\n", "30m1h", "-1h", "1.5h", "1y", "٣h", "P1D"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "reason"), [("0s", "longer than 0"), ("9" * 30 + "w", "can be counted")])
def test_durations_without_a_length_in_time_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)
