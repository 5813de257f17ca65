"""Lags and rolling means: of earlier rows only, whatever order the rows come in."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.spec.data import HistorySpec
from driftloop.stages.history import HistoryError, add_history

START = datetime(2026, 1, 1, tzinfo=UTC)


def spec(**fields) -> HistorySpec:
    return HistorySpec.model_validate({"column": "y"} | fields)


def table(hours, values, shops=None) -> pa.Table:
    times = [None if hour is None else START + timedelta(hours=hour) for hour in hours]
    columns = {"t": pa.array(times, pa.timestamp("us", "UTC")), "y": pa.array(values, pa.float64())}
    return pa.table(columns | ({"shop": pa.array(shops, pa.string())} if shops else {}))


def test_lags_and_means_look_back_in_time_and_not_in_the_file():
    made = add_history(table([3, 1, 2, 4], [30, 10, 20, 40]), spec(lags=[1, 2], windows=[2, 3]), "t")
    assert made.column("y_lag_1").to_pylist() == [20, None, 10, 30]
    assert made.column("y_lag_2").to_pylist() == [10, None, None, 20]
    assert made.column("y_mean_2").to_pylist() == [15, None, 10, 25]
    assert made.column("y_mean_3").to_pylist() == [15, None, 10, 20]


def test_each_group_has_a_history_of_its_own_and_rows_without_group_or_time_have_none():
    made = add_history(
        table([1, 2, 3, 4, None], [1, 2, 3, 4, 5], ["a", "b", "a", None, "a"]), spec(by=["shop"], lags=[1]), "t"
    )
    assert made.column("y_lag_1").to_pylist() == [None, None, 1, None, None]


def test_values_not_yet_known_are_passed_over():
    made = add_history(table([1, 2, 3, 6], [1, 2, 3, 6]), spec(lags=[1], windows=[9], knownAfter="2h"), "t")
    assert made.column("y_lag_1").to_pylist() == [None, None, 1, 3]
    assert made.column("y_mean_9").to_pylist() == [None, None, 1, 2]


def test_missing_values_are_lags_too_and_left_out_of_means():
    made = add_history(table([1, 2, 3, 4], [1, None, np.inf, 4]), spec(lags=[1], windows=[3]), "t")
    assert made.column("y_lag_1").to_pylist() == [None, 1, None, None]
    assert made.column("y_mean_3").to_pylist() == [None, 1, 1, 1]


ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(-5, 5), st.sampled_from(["a", "b"])), min_size=2, max_size=25)


@given(rows=ROWS, delay=st.integers(0, 3), cut=st.integers(0, 8))
def test_nothing_depends_on_rows_of_the_same_moment_or_later(rows, delay, cut):
    """Change every value from a moment on: what earlier rows and those of the moment itself get stays to the bit."""
    how = (
        spec(by=["shop"], lags=[1, 3], windows=[2, 4], knownAfter=f"{delay}h")
        if delay
        else spec(by=["shop"], lags=[1, 3], windows=[2, 4])
    )
    hours, values, shops = (list(column) for column in zip(*rows, strict=True))
    changed = [value if hour < cut else 1000.0 * value + 7 for hour, value in zip(hours, values, strict=True)]
    before, after = (add_history(table(hours, v, shops), how, "t").to_pandas() for v in (values, changed))
    untouched = np.array(hours) <= cut
    made = [name for name in before.columns if name.startswith("y_")]
    assert before.loc[untouched, made].equals(after.loc[untouched, made])


@given(rows=ROWS, delay=st.integers(1, 3))
def test_means_are_those_of_the_definition(rows, delay):
    hours, values, shops = (list(column) for column in zip(*rows, strict=True))
    made = add_history(table(hours, values, shops), spec(by=["shop"], windows=[3], knownAfter=f"{delay}h"), "t").column(
        "y_mean_3"
    )
    for place, (hour, _, shop) in enumerate(rows):
        known = [(h, p) for p, (h, _, s) in enumerate(rows) if s == shop and h < hour and hour - h >= delay]
        newest = [values[p] for _, p in sorted(known)[-3:]]
        assert made[place].as_py() == (pytest.approx(np.mean(newest)) if newest else None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"column": "z"}, "must be made of columns of the data. There is no 'z'"),
        ({"by": ["z"]}, "must be made of columns of the data. There is no 'z'"),
        ({"column": "shop"}, "must look back at numbers. Got string"),
        ({"column": "y_lag_1", "lags": [1]}, None),
    ],
)
def test_what_can_not_be_looked_back_at_is_told(fields, message):
    rows = table([1, 2], [1, 2], ["a", "b"])
    if message is None:
        twice = add_history(rows, spec(lags=[1]), "t")
        with pytest.raises(HistoryError, match="There is 'y_lag_1' already"):
            add_history(twice, spec(lags=[1]), "t")
        return
    with pytest.raises(HistoryError) as caught:
        add_history(rows, spec(**({"lags": [1]} | fields)), "t")
    assert message in str(caught.value)


def test_a_history_needs_times():
    with pytest.raises(HistoryError, match=r"needs times in 'shop'\. Got string"):
        add_history(table([1], [1], ["x"]), spec(lags=[1]), "shop")
