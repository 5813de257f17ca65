"""Joined tables: by key and by time, and never with what came later."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.spec.data import JoinSpec
from driftloop.stages.joins import JoinError, join

START = datetime(2026, 1, 1, tzinfo=UTC)


def spec(**fields) -> JoinSpec:
    return JoinSpec.model_validate({"uri": "further.csv"} | fields)


def at(hours) -> list[datetime | None]:
    return [None if hour is None else START + timedelta(hours=hour) for hour in hours]


def test_a_table_is_joined_by_key_and_the_rows_stay_as_they_are():
    rows = pa.table({"city": ["Oslo", "Rome", None, "Oslo", "Bern"], "y": [1, 2, 3, 4, 5]})
    further = pa.table({"city": ["Rome", "Oslo", None], "people": [2, 1, 9], "north": [False, True, True]})
    joined = join(rows, further, spec(by=["city"], prefix="town_"), None)
    assert joined.column_names == ["city", "y", "town_people", "town_north"]
    assert joined.column("y").to_pylist() == [1, 2, 3, 4, 5]
    assert joined.column("town_people").to_pylist() == [1, 2, None, 1, None]


def test_keys_of_several_columns_and_kinds_fit():
    rows = pa.table({"shop": [1.0, 1.0, 2.0], "day": ["2026-01-01", "2026-01-02", "2026-01-02"]})
    further = pa.table({"shop": [2, 1], "day": ["2026-01-02", "2026-01-02"], "open": [True, False]})
    assert join(rows, further, spec(by=["shop", "day"]), None).column("open").to_pylist() == [None, False, True]


def test_by_time_the_newest_values_before_a_row_are_taken():
    rows = pa.table({"t": at([5, 1, 9, None, 30]), "shop": ["a", "a", "b", "a", "a"]})
    further = pa.table({"known": at([1, 4, 5, 8, None]), "shop": ["a", "a", "a", "b", "a"], "price": [1, 2, 3, 4, 5]})
    plain = join(rows, further, spec(by=["shop"], timeColumn="known"), "t")
    assert plain.column("price").to_pylist() == [2, None, 4, None, 3]
    young = join(rows, further, spec(by=["shop"], timeColumn="known", within="24h"), "t")
    assert young.column("price").to_pylist() == [2, None, 4, None, None]


KEYS = st.sampled_from(["a", "b", None])
HOURS = st.integers(0, 12)


@given(
    rows=st.lists(st.tuples(KEYS, st.one_of(HOURS, st.none())), min_size=1, max_size=20),
    further=st.lists(st.tuples(KEYS, HOURS), max_size=20, unique=True),
    within=st.one_of(st.none(), st.integers(1, 6)),
)
def test_no_value_of_a_later_or_the_same_moment_is_ever_taken(rows, further, within):
    """Against the definition, written down row by row."""
    table = pa.table(
        {
            "shop": pa.array([key for key, _ in rows], pa.string()),
            "t": pa.array(at(h for _, h in rows), pa.timestamp("us", "UTC")),
        }
    )
    other = pa.table(
        {
            "shop": pa.array([key for key, _ in further], pa.string()),
            "known": pa.array(at(h for _, h in further), pa.timestamp("us", "UTC")),
            "place": pa.array(range(len(further)), pa.int64()),
        }
    )
    how = spec(by=["shop"], timeColumn="known", **({"within": f"{within}h"} if within else {}))
    expected = []
    for key, hour in rows:
        fitting = [
            (known, place)
            for place, (theirs, known) in enumerate(further)
            if key is not None
            and hour is not None
            and theirs == key
            and known < hour
            and (not within or hour - known <= within)
        ]
        expected.append(max(fitting)[1] if fitting else None)
    assert join(table, other, how, "t").column("place").to_pylist() == expected


ROWS = pa.table({"city": ["Oslo"], "n": [1], "t": at([3]), "word": ["x"]})


@pytest.mark.parametrize(
    ("further", "fields", "message"),
    [
        (
            {"town": ["Oslo"], "x": [1]},
            {"by": ["city"]},
            "must have the column 'city'. There are: town, x. Correct the name.",
        ),
        (
            {"town": ["Oslo"], "x": [1]},
            {"by": ["town"]},
            "must have the column 'town', and so must the rows. In the rows are: city",
        ),
        ({"city": ["Oslo"], "x": [1]}, {"by": ["city"], "columns": ["y"]}, "must have the column 'y'. There are"),
        ({"city": ["Oslo"], "n": [1]}, {"by": ["city"]}, "There is 'n' already. Set a 'prefix'"),
        ({"city": ["Oslo"]}, {"by": ["city"]}, "must have a column to take"),
        (
            {"city": [7], "x": [1]},
            {"by": ["city"]},
            "must have 'city' in the same type as the rows. Got string in the rows and int64",
        ),
        (
            {"city": ["Oslo", "Oslo"], "x": [1, 2]},
            {"by": ["city"]},
            "each combination of 'city' only once. 1 are there again, such as city Oslo. Remove the duplicates",
        ),
        (
            {"known": at([1, 1]), "x": [1, 2]},
            {"timeColumn": "known"},
            "must have each combination of 'known' only once. 1 are there again, such as known 2026-01-01",
        ),
        (
            {"known": ["soon"], "x": [1]},
            {"timeColumn": "known"},
            "'known' of the further table must hold times. Got string",
        ),
    ],
)
def test_what_can_not_be_joined_is_told_with_the_fix(further, fields, message):
    with pytest.raises(JoinError) as caught:
        join(ROWS, pa.table(further), spec(**fields), "t")
    assert message in str(caught.value)


def test_a_join_by_time_needs_times_in_the_rows():
    with pytest.raises(JoinError, match=r"'word' of the rows must hold times\. Got string"):
        join(ROWS, pa.table({"known": at([1]), "x": [1]}), spec(timeColumn="known"), "word")


def test_an_empty_further_table_gives_missing_values():
    further = pa.table(
        {
            "city": pa.array([], pa.string()),
            "known": pa.array([], pa.timestamp("us", "UTC")),
            "x": pa.array([], pa.int64()),
        }
    )
    assert join(ROWS, further, spec(by=["city"], columns=["x"]), None).column("x").to_pylist() == [None]
    assert join(ROWS, further, spec(by=["city"], timeColumn="known"), "t").column("x").to_pylist() == [None]
