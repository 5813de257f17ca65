import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.sample import choose_rows, sample

ROWS = 2000


def schema(time_column=None):
    return DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="late", classes=(False, True)),
        features=(Feature(name="distance", type=FeatureType.NUMERIC, nullable=False),),
        time_column=time_column,
    )


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    times = pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC")
    order = random.permutation(ROWS)
    return pa.table(
        {"distance": random.normal(size=ROWS), "late": random.random(ROWS) < 0.1, "sent": pa.array(times[order])}
    )


def test_few_rows_are_all_taken(table):
    assert sample(table, schema(), seed=0) == table


@pytest.mark.parametrize("time_column", [None, "sent"])
def test_classes_keep_their_shares(table, time_column):
    taken = sample(table, schema(time_column), most_rows=400, seed=0)
    assert 390 <= taken.num_rows <= 400
    share = np.mean(table.column("late").to_numpy())
    assert np.mean(taken.column("late").to_numpy()) == pytest.approx(share, abs=0.01)


def test_with_a_time_column_rows_come_in_its_order_over_the_whole_period(table):
    times = sample(table, schema("sent"), most_rows=100, seed=0).column("sent").to_pandas()
    assert times.is_monotonic_increasing
    whole = table.column("sent").to_pandas()
    assert times.min() - whole.min() < pd.Timedelta("10D")
    assert whole.max() - times.max() < pd.Timedelta("10D")


def test_without_one_rows_stay_in_the_order_of_the_table(table):
    chosen = choose_rows(table, schema(), 100, seed=0)
    assert (np.diff(chosen) > 0).all()
    assert (choose_rows(table, schema(), 100, seed=1) != chosen).any()


def test_a_rare_class_keeps_a_row():
    table = pa.table({"distance": np.arange(1000.0), "late": [True] + 999 * [False]})
    assert any(sample(table, schema(), most_rows=10, seed=0).column("late").to_pylist())
