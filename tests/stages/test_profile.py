"""What the data quality page is told of a table."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from driftloop.reports.dataquality import build_quality_page
from driftloop.spec import DataSpec, Task
from driftloop.stages.profile import profile
from driftloop.stages.validate import validate
from tests.pagecheck import HOSTILE, check_page

ROWS = 400
CHANCE = np.random.default_rng(0)
LATE = CHANCE.random(ROWS) < 0.3
TIMES = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(ROWS)]


def profiled(task=Task.CLASSIFICATION, target=LATE, **columns):
    table = pa.table({"distance": CHANCE.normal(size=ROWS), "late": target} | columns)
    data = DataSpec.model_validate(
        {"uri": "rows.csv", "targetColumn": "late", "timeColumn": "placed" if "placed" in columns else None}
    )
    return profile(table, validate(table, task=task, data=data), data)


def remarks(found, name):
    return " ".join(next(column.remarks for column in found.columns if column.name == name))


def test_every_column_that_came_in_has_a_profile_and_a_role():
    found = profiled(placed=TIMES, constant=[1] * ROWS)
    assert {column.name: column.role for column in found.columns} == {
        "distance": "input",
        "late": "target",
        "placed": "time",
        "constant": "left out",
    }
    assert "the same value in every row" in remarks(found, "constant")


def test_rows_and_values_that_are_missing_are_counted():
    target = [None if row < 8 else bool(value) for row, value in enumerate(LATE)]
    found = profiled(target=target, half=[1.5 if row % 2 else None for row in range(ROWS)])
    assert found.left_out[0] == ("have no target ('late') and are left out", 8)
    assert (found.rows, found.rows_used) == (ROWS, ROWS - 8)
    assert next(column.missing for column in found.columns if column.name == "half") == 0.5


@pytest.mark.parametrize(
    "leak",
    [np.where(LATE, 10.0, 1.0) + CHANCE.random(ROWS), np.where(LATE, "refunded", "kept"), LATE],
    ids=["number", "category", "boolean"],
)
def test_a_column_that_tells_the_target_alone_is_suspicious(leak):
    assert "tells the target almost alone" in remarks(profiled(leak=leak), "leak")


def test_a_number_that_orders_the_rows_as_the_target_does_is_suspicious():
    price = CHANCE.lognormal(size=ROWS)
    found = profiled(Task.REGRESSION, target=price, tax=price**2, weight=CHANCE.normal(size=ROWS))
    assert "tells the target almost alone" in remarks(found, "tax")
    assert remarks(found, "weight") == ""


def test_an_ordinary_column_is_not_suspicious():
    carrier = CHANCE.choice(["north", "south"], ROWS)
    found = profiled(carrier=carrier)
    assert (remarks(found, "distance"), remarks(found, "carrier")) == ("", "")


def test_a_column_that_renames_another_is_a_twin_of_it():
    carrier = CHANCE.choice(["north", "south", "west"], ROWS)
    code = np.array([{"north": 1, "south": 2, "west": 3}[name] for name in carrier])
    assert "exactly as 'carrier' does" in remarks(profiled(carrier=carrier, code=code), "code")


def test_columns_of_nothing_but_different_numbers_are_no_twins_unless_equal():
    first, second = CHANCE.normal(size=ROWS), CHANCE.normal(size=ROWS)
    found = profiled(first=first, second=second, again=first)
    assert remarks(found, "second") == ""
    assert "exactly as 'first' does" in remarks(found, "again")


def test_a_column_that_hardly_varies_is_named():
    rush = ["yes" if row == 7 else "no" for row in range(ROWS)]
    assert "is 'no' in 99.8 %" in remarks(profiled(rush=rush), "rush")


def test_a_column_of_ten_thousand_hostile_categories_is_a_small_harmless_page():
    rows = 20_000
    target = np.arange(rows) % 2 == 0
    table = pa.table(
        {HOSTILE: [f"{HOSTILE}{row % 10_000}" for row in range(rows)], "late": target, "x": CHANCE.normal(size=rows)}
    )
    data = DataSpec.model_validate({"uri": HOSTILE, "targetColumn": "late"})
    page = check_page(
        build_quality_page(profile(table, validate(table, task=Task.CLASSIFICATION, data=data), data), "l")
    )
    assert any(text.startswith("<script>") for text in page.texts)


@pytest.mark.parametrize("values", [[b"x"] * ROWS, [{"a": 1}] * ROWS, [[1, 2]] * ROWS, [None] * ROWS])
def test_columns_that_can_not_be_read_are_shown_as_left_out(values):
    found = profiled(odd=pa.array(values))
    assert next(column.role for column in found.columns if column.name == "odd") == "left out"
    check_page(build_quality_page(found, "loop"))


def test_dates_written_as_text_are_dates():
    found = profiled(due=[f"2026-03-{1 + row % 28:02}" for row in range(ROWS)])
    due = next(column for column in found.columns if column.name == "due")
    assert due.kind == "date"
    assert due.values.startswith("2026-03-01 to 2026-03-28")
