"""Which windows an expected change covers, and which verdicts it explains."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitor.calendar import covers, mark_expected, occurrence_of
from driftloop.spec import ExpectedChange, Harm, ReportKind, Verdict, VerdictKind, Window

DAY = timedelta(days=1)


def change(start, end, repeat=None, name="season"):
    return ExpectedChange(name=name, start=start, end=end, repeat=repeat)


def day(text, length=DAY):
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Window(start=start, end=start + length, rows=500)


def verdict(kind, window, **more):
    return Verdict(
        kind=ReportKind.INPUTS, model_version="a", window=window, verdict=kind, summary="something moved", **more
    )


CHRISTMAS = change("2026-12-20T00:00:00Z", "2027-01-06T00:00:00Z", "Yearly")
MONTH_END = change("2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z", "Monthly")
LEAP_DAY = change("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", "Yearly")
WEEKEND = change("2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z", "Weekly")
SALE = change("2026-11-27T08:00:00+01:00", "2026-11-27T20:00:00+01:00")
FIRST_OF_MONTH = change("2027-03-01T00:00:00+01:00", "2027-03-02T00:00:00+01:00", "Monthly")


@pytest.mark.parametrize(
    ("expected", "window", "is_covered"),
    [
        (CHRISTMAS, "2026-12-19", False),
        (CHRISTMAS, "2026-12-20", True),
        (CHRISTMAS, "2026-12-31", True),
        (CHRISTMAS, "2027-01-05", True),
        (CHRISTMAS, "2027-01-06", False),
        (CHRISTMAS, "2027-12-31", True),
        (CHRISTMAS, "2031-01-05", True),
        (CHRISTMAS, "2031-01-06", False),
        (CHRISTMAS, "2025-12-24", False),
        (MONTH_END, "2027-01-31", True),
        (MONTH_END, "2027-02-28", True),
        (MONTH_END, "2027-02-27", False),
        (MONTH_END, "2027-04-30", True),
        (MONTH_END, "2028-02-29", True),
        (MONTH_END, "2028-02-28", False),
        (MONTH_END, "2027-12-31", True),
        (MONTH_END, "2028-01-01", False),
        (LEAP_DAY, "2025-02-28", True),
        (LEAP_DAY, "2025-03-01", False),
        (LEAP_DAY, "2028-02-28", False),
        (LEAP_DAY, "2028-02-29", True),
        (WEEKEND, "2026-11-27", False),
        (WEEKEND, "2026-12-05", True),
        (WEEKEND, "2027-01-03", True),
        (WEEKEND, "2027-01-04", False),
        (SALE, "2026-11-27", True),
        (SALE, "2026-11-28", False),
        (SALE, "2027-11-27", False),
        (FIRST_OF_MONTH, "2027-03-31", True),  # 23:00 UTC on the last day is the first by its own offset
        (FIRST_OF_MONTH, "2027-03-30", False),
        (FIRST_OF_MONTH, "2027-05-01", True),
    ],
)
def test_a_window_is_covered_when_an_occurrence_overlaps_it(expected, window, is_covered):
    assert covers(expected, day(window)) is is_covered


def test_a_window_longer_than_the_period_is_covered():
    assert covers(WEEKEND, day("2026-12-01", 24 * DAY))
    assert covers(MONTH_END, day("2027-02-02", 40 * DAY))


def test_a_window_that_only_touches_is_not_covered():
    hour = timedelta(hours=1)
    assert covers(SALE, day("2026-11-27T07:00:00", hour))
    assert not covers(SALE, day("2026-11-27T06:00:00", hour))
    assert covers(SALE, day("2026-11-27T18:00:00", hour))
    assert not covers(SALE, day("2026-11-27T19:00:00", hour))


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    hours=st.integers(1, 27 * 24),
    repeat=st.sampled_from(["Monthly", "Yearly"]),
    number=st.integers(0, 60),
    share=st.floats(0, 1),
)
def test_every_moment_of_an_occurrence_is_covered_and_the_gap_behind_it_is_not(start, hours, repeat, number, share):
    expected = ExpectedChange(name="x", start=start, end=start + timedelta(hours=hours), repeat=repeat)
    begin, end = occurrence_of(expected, number)
    following, _ = occurrence_of(expected, number + 1)
    assert begin < end
    second = timedelta(seconds=1)
    moment = begin + share * (end - begin - second)
    assert covers(expected, Window(start=moment, end=moment + second, rows=1))
    if end + second < following:
        assert not covers(expected, Window(start=end, end=end + second, rows=1))


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_an_expected_change_explains_what_moves_and_not_what_breaks(kind):
    marked = mark_expected(verdict(kind, day("2026-12-24")), [WEEKEND, CHRISTMAS.model_copy(update={"name": "xmas"})])
    explained = kind in (VerdictKind.COVARIATE_DRIFT, VerdictKind.PRIOR_SHIFT)
    assert marked.expected == ("xmas" if explained else "")
    assert marked.verdict is kind, "judged as ever"


def test_harmful_drift_counts_even_when_it_was_expected():
    window = day("2026-12-24")
    for harm, name in ((Harm.HARMFUL, ""), (Harm.HARMLESS, "season"), (Harm.UNKNOWN, "season"), (None, "season")):
        moved = verdict(VerdictKind.COVARIATE_DRIFT, window, harm=harm)
        assert mark_expected(moved, [CHRISTMAS]).expected == name


def test_without_a_calendar_nothing_is_expected():
    moved = verdict(VerdictKind.COVARIATE_DRIFT, day("2026-12-24"))
    assert mark_expected(moved, ()) == moved
