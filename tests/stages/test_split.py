from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.split import MissingClassError, TooFewMomentsError, split

START = datetime(2024, 1, 1, tzinfo=UTC)


def schema(*, time_column: str | None = None) -> DataSchema:
    return DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="y", classes=("no", "yes")),
        features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False),),
        time_column=time_column,
    )


def table(rows: int, *, positive_every: int = 4) -> pa.Table:
    return pa.table(
        {
            "x": list(range(rows)),
            "y": ["yes" if row % positive_every == 0 else "no" for row in range(rows)],
            "t": [START + timedelta(hours=row // 3) for row in range(rows)],
        }
    )


def xs(part: pa.Table) -> list[int]:
    return part.column("x").to_pylist()


def test_time_ordered_parts_follow_one_another_and_never_part_a_moment():
    shuffled = table(100).take(pa.array(list(range(99, -1, -1))))
    parts = split(shuffled, schema(time_column="t"), seed=0)
    newest = [max(part.column("t").to_pylist()) for part in (parts.train, parts.validation)]
    oldest = [min(part.column("t").to_pylist()) for part in (parts.validation, parts.test)]
    assert newest[0] < oldest[0]
    assert newest[1] < oldest[1]
    assert parts.trained_through == newest[0]
    assert 65 <= parts.train.num_rows <= 70


def test_random_parts_are_disjoint_whole_stratified_and_follow_the_seed():
    parts = split(table(200), schema(), seed=1)
    together = xs(parts.train) + xs(parts.validation) + xs(parts.test)
    assert sorted(together) == list(range(200))
    assert [part.num_rows for part in (parts.train, parts.validation, parts.test)] == [140, 30, 30]
    assert parts.test.column("y").to_pylist().count("yes") == 8
    assert (
        xs(split(table(200), schema(), seed=1).test) == xs(parts.test) != xs(split(table(200), schema(), seed=2).test)
    )


def test_a_part_without_a_class_is_told():
    rows = table(100).set_column(1, "y", pa.array(["no"] * 90 + ["yes"] * 10))
    with pytest.raises(MissingClassError, match="no 'yes': the parts follow one another in time"):
        split(rows, schema(time_column="t"), seed=0)


def test_rows_of_too_few_moments_are_refused():
    few = table(100).set_column(2, "t", pa.array([START] * 50 + [START + timedelta(days=1)] * 50))
    with pytest.raises(TooFewMomentsError, match=r"parted by 't'.* Got 2, and no validation rows\."):
        split(few, schema(time_column="t"), seed=0)
