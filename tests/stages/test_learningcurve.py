import numpy as np
import pyarrow as pa
import pytest

from driftloop.spec import DataSpec, PreparationSpec, Task
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.learningcurve import gain_of_last_doubling, learning_curve
from driftloop.stages.validate import validate

ROWS = 1600


def points(task, *, noise=1.0, rows=ROWS, columns=30):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns))
    signal = x.sum(axis=1) / np.sqrt(columns) + noise * random.normal(size=rows)
    target = signal > 0 if task is Task.CLASSIFICATION else signal
    table = pa.table({**{f"x{place}": column for place, column in enumerate(x.T)}, "y": target})
    data = validate(table, task=task, data=DataSpec(uri="x.csv", target_column="y", min_rows=30))
    metric = "roc_auc" if task is Task.CLASSIFICATION else "r2"
    return learning_curve(data.table, data.schema, PreparationSpec(), metric=metric, seed=0)


@pytest.mark.parametrize("task", SUPERVISED)
def test_more_rows_give_a_better_model_up_to_what_all_rows_give(task):
    curve = points(task)
    assert [point.rows for point in curve] == [140, 280, 560, 1120]
    assert curve[0].score < curve[-1].score
    assert gain_of_last_doubling(curve) == pytest.approx(curve[-1].score - curve[-2].score)
    assert gain_of_last_doubling(curve) < curve[-1].score - curve[0].score


def test_a_curve_is_the_same_for_the_same_seed():
    assert points(Task.REGRESSION, rows=400) == points(Task.REGRESSION, rows=400)


def test_few_rows_give_a_short_curve_without_a_gain():
    curve = points(Task.REGRESSION, rows=100)
    assert [point.rows for point in curve] == [70]
    assert gain_of_last_doubling(curve) is None
