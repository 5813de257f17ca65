"""All checks together: unchanged traffic stays within their share of the budget, faults are seen in one window.

Hourly windows, a budget of one alarm in 30 days: 2.1e-4 of the windows may fail a check, and 2e-6 any one check of 20
columns. Seeds are fixed.
"""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.checks import Arrival, check_inputs
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.feed import build_feed_baseline
from driftloop.spec import DataSchema, FalseAlarmBudget, Feature, FeatureType, Target, Task
from tests.monitor.traffic import START

HOUR = timedelta(hours=1)
SIGNIFICANCE = share_of_window(FalseAlarmBudget(max=1, per=timedelta(days=30)), HOUR, Share.CHECKS)
REFERENCE_ROWS = 10_000


class Feed:
    """Columns of traffic of so many rows an hour: the first 10,000 rows are the reference."""

    def __init__(self, rows_per_hour, **columns):
        self.rows_per_hour = rows_per_hour
        self.columns = columns
        types = {n: FeatureType.NUMERIC if c.dtype == float else FeatureType.CATEGORICAL for n, c in columns.items()}
        self.schema = DataSchema(
            task=Task.CLASSIFICATION,
            target=Target(name="y", classes=(False, True)),
            features=tuple(Feature(name=name, type=kind, nullable=True) for name, kind in types.items()),
        )
        reference, blocks = self.cut(0, REFERENCE_ROWS), np.arange(REFERENCE_ROWS) // rows_per_hour
        times = pd.Series(pd.to_datetime(START) + pd.to_timedelta(np.arange(REFERENCE_ROWS) / rows_per_hour, unit="h"))
        self.baseline = SimpleNamespace(
            features=tuple(describe(name, column) for name, column in reference.items()),
            feed=build_feed_baseline(reference, self.schema, times, blocks),
        )

    def cut(self, start, end):
        kinds = {True: ColumnKind.NUMERIC, False: ColumnKind.CATEGORICAL}
        return {name: Column(kinds[cells.dtype == float], cells[start:end]) for name, cells in self.columns.items()}

    def failures(self, window):
        rows = len(next(iter(window.values())).cells)
        arrival = Arrival(np.arange(float(rows)), START, START + HOUR, HOUR)
        checks = check_inputs(
            window, self.baseline, self.schema, arrival, significance=SIGNIFICANCE, min_effect_size=0.1
        )
        return [(check.check, check.feature) for check in checks if not check.passed]

    def windows(self):
        size, rows = self.rows_per_hour, len(next(iter(self.columns.values())))
        return [self.cut(start, start + size) for start in range(REFERENCE_ROWS, rows - size + 1, size)]


def describe(name, column):
    """The part of a column's baseline that checks read."""
    numeric = column.kind is ColumnKind.NUMERIC
    quantiles = np.quantile(column.known, np.linspace(0, 1, 1000), method="inverted_cdf") if numeric else ()
    counts = {} if numeric else dict(Counter(column.known.tolist()))
    return SimpleNamespace(
        name=name, kind=column.kind, present=len(column.known), quantiles=tuple(quantiles), counts=counts
    )


def autoregressive(random, rows, phi):
    from scipy.signal import lfilter

    return lfilter([1], [1, -phi], random.standard_normal(rows) * (1 - phi**2) ** 0.5)


def gaps(random, rows, share, length):
    """Which rows lack a value: a share of them, in runs of random length."""
    runs = rows // 2
    there, gone = random.geometric(share / (1 - share) / length, runs), random.geometric(1 / length, runs)
    return np.repeat(np.tile([False, True], runs), np.column_stack([there, gone]).ravel())[:rows]


def with_gaps(random, rows, shares, length):
    return {
        f"x{n}": np.where(gaps(random, rows, share, length), np.nan, random.standard_normal(rows))
        for n, share in enumerate(shares)
    }


def texts(values):
    return np.asarray(values).astype(str).astype(object)


def openings(random, rows, rows_per_hour):
    """A category more every second day, each with one percent of the rows, up to a fifth of all."""
    opened = np.arange(rows) // (48 * rows_per_hour)
    new = random.random(rows) < 0.01 * np.minimum(opened, 20)
    return texts(np.where(new, 100 + (random.random(rows) * opened).astype(int), random.choice(20, rows)))


def regimes(random, rows, rows_per_hour):
    """A category that mostly holds for hours."""
    held = np.cumsum(random.random(rows) < 1 / (3 * rows_per_hour)) % 3
    return texts(np.where(random.random(rows) < 0.1, random.integers(0, 3, rows), held))


UNCHANGED = {
    "independent": lambda r, n, m: {f"x{i}": r.standard_normal(n) for i in range(6)},
    "heavy tails": lambda r, n, m: {"a": r.standard_t(1.2, n), "b": r.lognormal(0, 2.5, n), "c": r.standard_cauchy(n)},
    "autocorrelated": lambda r, n, m: {f"x{i}": autoregressive(r, n, phi) for i, phi in enumerate([0.5, 0.9, 0.998])},
    "daily season": lambda r, n, m: {
        f"x{i}": 10 + 3 * np.sin(np.arange(n) / m / 24 * 6.28 + i) + r.standard_normal(n) for i in range(4)
    },
    "whole numbers, constants, zeros": lambda r, n, m: {
        **{f"p{mean}": r.poisson(mean, n).astype(float) for mean in (0.05, 3, 100)},
        "constant": np.full(n, 7.0),
        "mostly zero": (r.random(n) < 0.01) * r.exponential(50, n),
        "once an hour": np.repeat(r.standard_normal(n // m + 1), m)[:n],
    },
    "long tails of categories": lambda r, n, m: {f"c{a}": texts(r.zipf(a, n)) for a in (1.1, 1.3, 2.0)},
    "categories that open": lambda r, n, m: {f"c{i}": openings(r, n, m) for i in range(2)},
    "categories that hold for hours": lambda r, n, m: {f"c{i}": regimes(r, n, m) for i in range(4)},
    "rare categories": lambda r, n, m: {
        f"c{p}": texts(r.choice(["a", "b", "c"], n, p=[p, (1 - p) * 0.9, (1 - p) * 0.1])) for p in (0.5, 0.98, 0.999)
    },
    "missing at random": lambda r, n, m: {
        f"x{i}": np.where(r.random(n) < p, np.nan, r.standard_normal(n)) for i, p in enumerate([0.3, 0.05, 0.01, 0.001])
    },
    "missing in runs of 5": lambda r, n, m: with_gaps(r, n, [0.3, 0.05, 0.01, 0.004], 5),
    "missing in runs of 50": lambda r, n, m: with_gaps(r, n, [0.3, 0.15, 0.05, 0.6], 50),
}


@pytest.mark.parametrize("rows_per_hour", [50, 200])
@pytest.mark.parametrize("traffic", UNCHANGED)
def test_unchanged_traffic_fails_no_check(traffic, rows_per_hour):
    """None of 12 x 2 x 60 windows may fail: the budget would let 0.3 of them."""
    rows = REFERENCE_ROWS + 60 * rows_per_hour
    feed = Feed(rows_per_hour, **UNCHANGED[traffic](np.random.default_rng(7), rows, rows_per_hour))
    assert [failure for window in feed.windows() for failure in feed.failures(window)] == []


def usual(random, rows):
    """20 columns, some of which have missing values."""
    numbers = {f"x{n}": random.normal(10 * n, 1 + n, rows) for n in range(15)}
    numbers["x1"] = np.where(random.random(rows) < 0.05, np.nan, numbers["x1"])
    return numbers | {f"c{n}": texts(random.choice([f"{n}a", f"{n}b", f"{n}c"], rows)) for n in range(5)}


def a_share_of(window, name, share, value):
    cells = window[name].cells.copy()
    cells[: round(share * len(cells))] = value
    return window | {name: Column(window[name].kind, cells)}


def converted(window, name, factor, offset=0):
    return window | {name: Column(window[name].kind, window[name].cells * factor + offset)}


def swapped(window, one, other):
    return window | {one: window[other], other: window[one]}


def sent_again(window, share):
    rows = round(share * len(window["x0"].cells))
    return {name: Column(c.kind, np.concatenate([c.cells, c.cells[:rows]])) for name, c in window.items()}


FAULTS = {
    ("missing", "x2"): lambda w: a_share_of(w, "x2", 0.15, np.nan),
    ("missing", "x1"): lambda w: a_share_of(w, "x1", 0.25, np.nan),
    ("column", "c1"): lambda w: a_share_of(w, "c1", 1, None),
    ("new_category", "c2"): lambda w: a_share_of(w, "c2", 0.15, "never seen before"),
    ("range", "x3"): lambda w: a_share_of(w, "x3", 0.2, 1e6),
    ("unit", "x3"): lambda w: converted(w, "x3", 1000),
    ("unit", "x5"): lambda w: converted(w, "x5", 1.8, 32),
    ("stuck", "x6"): lambda w: a_share_of(w, "x6", 0.3, 61.5),
    ("stuck", "c3"): lambda w: a_share_of(w, "c3", 1, "3a"),
    ("swapped", "x2"): lambda w: swapped(w, "x2", "x9"),
    ("swapped", "c0"): lambda w: swapped(w, "c0", "c4"),
    ("duplicates", ""): lambda w: sent_again(w, 0.3),
}


@pytest.fixture(scope="module")
def feed():
    return Feed(200, **usual(np.random.default_rng(8), REFERENCE_ROWS + 20 * 200))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen_in_the_first_window_of_200_rows(feed, fault):
    """In at least 18 of 20 windows."""
    seen = [fault in feed.failures(FAULTS[fault](window)) for window in feed.windows()]
    assert sum(seen) >= 18


def daily_temperature(rows_per_hour, hours, seed):
    times = np.arange(hours * rows_per_hour) / rows_per_hour
    return 10 + 8 * np.sin(times / 24 * 6.28) + np.random.default_rng(seed).standard_normal(len(times))


def test_another_unit_is_seen_at_any_time_of_day():
    """Where an hour's temperatures are few of the day's: in at least 22 of 24 windows."""
    feed = Feed(100, temp=daily_temperature(100, 124, seed=9))
    seen = [("unit", "temp") in feed.failures(converted(w, "temp", 1.8, 32)) for w in feed.windows()]
    assert sum(seen) >= 22


def test_a_reference_of_a_few_hours_takes_the_rest_of_the_day_for_no_fault():
    """None of 24 windows: ten columns of which the reference has seen twelve hours, each beginning at another one."""
    columns = {f"x{n}": np.roll(daily_temperature(833, 36, seed=10 + n), 833 * n) for n in range(10)}
    feed = Feed(833, **columns)
    assert [failure for window in feed.windows() for failure in feed.failures(window)] == []


ROUTES = np.round(np.random.default_rng(12).lognormal(6.7, 0.7, 150))


def timetable(random, rows):
    """Distances of 150 routes, departures at five-minute steps, temperatures by tenths that repeat for an hour."""
    minutes = 5.0 * random.integers(60, 280, rows)
    return {
        "distance": random.choice(ROUTES, rows),
        "departure": minutes // 60 * 100 + minutes % 60,
        "temp": np.repeat(np.round(random.normal(12, 9, rows // 200 + 1), 1), 200)[:rows],
        "seats": np.clip(random.normal(4, 3, rows).round(), 0, 16),
    }


@pytest.fixture(scope="module")
def flights():
    return Feed(200, **timetable(np.random.default_rng(13), REFERENCE_ROWS + 100 * 200))


def test_values_that_repeat_or_come_for_an_hour_fail_no_check(flights):
    """None of 100 windows."""
    assert [failure for window in flights.windows() for failure in flights.failures(window)] == []


@pytest.mark.parametrize(("factor", "offset"), [(1.609344, 0), (2.54, 0), (0.1, 0), (1 / 1.609344, 0)])
def test_units_that_differ_less_than_the_column_spreads_are_told_by_values_that_repeat(flights, factor, offset):
    windows = flights.windows()[:20]
    assert all(("unit", "distance") in flights.failures(converted(w, "distance", factor, offset)) for w in windows)


def test_columns_alike_in_middle_and_spread_are_told_by_values_that_repeat(flights):
    found = [flights.failures(swapped(w, "distance", "departure")) for w in flights.windows()[:20]]
    assert all({("swapped", "distance"), ("swapped", "departure")} <= set(failures) for failures in found)


@pytest.mark.parametrize("shift", [2.57, 13.36, 500.0, -35.0])
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("column", ["departure", "seats"])
def test_other_values_are_no_change_of_unit(flights, column, shift, scale):
    moved = [converted(w, column, scale, shift) for w in flights.windows()[:10]]
    assert not any(check in {"unit", "swapped"} for w in moved for check, _ in flights.failures(w))
