"""Where a change is worst, and that no part is named where none is."""

import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.segments import build_segment_baseline, worst_of_errors, worst_of_inputs, worst_of_missing
from tests.monitor.test_triage import drift

CARRIERS = np.array(["UA", "DL", "AA", "B6"], dtype=object)


@dataclass
class Traffic:
    """Independent columns, and errors of 30 % of the rows."""

    columns: dict
    errors: np.ndarray


def traffic(rows, seed):
    random = np.random.default_rng(seed)
    numbers = {name: Column(ColumnKind.NUMERIC, random.normal(size=rows)) for name in ("temp", "wind", "dist")}
    carrier = Column(ColumnKind.CATEGORICAL, random.choice(CARRIERS, rows, p=[0.4, 0.3, 0.2, 0.1]))
    return Traffic({**numbers, "carrier": carrier}, (random.random(rows) < 0.3).astype(np.float64))


def moved(table, name, rows, by):
    cells = table.columns[name].cells.copy()
    cells[rows] += by
    return {**table.columns, name: Column(ColumnKind.NUMERIC, cells)}


def baseline_of(name, column):
    facts = {"name": name, "kind": column.kind, "present": len(column.cells), "missing_rate": 0.0}
    if column.kind is ColumnKind.CATEGORICAL:
        return ColumnBaseline(**facts, counts=dict(Counter(column.cells.tolist()).most_common()))
    return ColumnBaseline(**facts, quantiles=tuple(np.sort(column.cells)[::8].tolist()))


@pytest.fixture(scope="module")
def known():
    table = traffic(8000, 0)
    references = [baseline_of(name, column) for name, column in table.columns.items()]
    return references, build_segment_baseline(table.columns, references, table.columns, table.errors)


def test_the_category_in_which_a_number_moved_is_named(known):
    references, baseline = known
    table = traffic(500, 1)
    columns = moved(table, "temp", table.columns["carrier"].cells == "AA", 1.5)
    segment = worst_of_inputs(baseline, columns, references, [drift("temp")])
    assert segment.values == "carrier is AA"
    assert segment.rows == (columns["carrier"].cells == "AA").sum()
    assert 0.15 < segment.effect < 0.5
    assert "It is worst where carrier is AA (" in segment.message


def test_the_quarter_of_a_number_in_which_another_fell_is_named(known):
    references, baseline = known
    table = traffic(500, 2)
    columns = moved(table, "temp", table.columns["dist"].cells > 0.7, -1.5)
    segment = worst_of_inputs(baseline, columns, references, [drift("temp")])
    assert segment.feature == "dist"
    assert "dist is above 0.6" in segment.values


def test_errors_that_rose_in_one_category_are_named(known):
    _, baseline = known
    table = traffic(500, 3)
    wrong = np.where(table.columns["carrier"].cells == "DL", 0.75, table.errors)
    segment = worst_of_errors(baseline, table.columns, wrong)
    assert segment.values == "carrier is DL"
    assert "the mean error rose by 0.4" in segment.message


def test_values_that_are_missing_in_one_category_are_named(known):
    references, baseline = known
    table = traffic(500, 4)
    gone = table.columns["temp"].cells.copy()
    gone[table.columns["carrier"].cells == "B6"] = np.nan
    columns = {**table.columns, "temp": Column(ColumnKind.NUMERIC, gone)}
    segment = worst_of_missing(baseline, columns, references[0])
    assert segment.values == "carrier is B6"
    assert "100% of the rows there have no value of temp, 0% elsewhere" in segment.message


def test_a_change_that_is_everywhere_the_same_has_no_segment_nor_has_chance(known):
    """At most 5 % of windows may name one; 40 windows of three kinds allow 12 (p < .02)."""
    references, baseline = known
    named = 0
    for seed in range(40):
        table = traffic(500, 100 + seed)
        all_rows = np.ones(500, dtype=bool)
        shifted = moved(table, "temp", all_rows, 0.5)
        named += worst_of_inputs(baseline, shifted, references, [drift("temp")]) is not None
        named += worst_of_inputs(baseline, table.columns, references, [drift("wind"), drift("temp")]) is not None
        named += worst_of_errors(baseline, table.columns, np.minimum(table.errors + 0.2, 1.0)) is not None
    assert named <= 12


def test_a_tiny_part_is_not_named_however_much_it_moved(known):
    references, baseline = known
    table = traffic(500, 5)
    few = np.flatnonzero(table.columns["carrier"].cells == "B6")
    columns = moved(table, "temp", few, 3.0)
    carrier = table.columns["carrier"].cells.copy()
    carrier[few[10:]] = "UA"
    columns["carrier"] = Column(ColumnKind.CATEGORICAL, carrier)
    segment = worst_of_inputs(baseline, columns, references, [drift("temp")])
    assert segment is None or segment.rows >= 20


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_empty_small_missing_and_new_columns_crash_nothing(known, rows):
    references, baseline = known
    table = traffic(rows, 6)
    table.columns["carrier"] = Column(ColumnKind.CATEGORICAL, np.array(["ZZ"] * rows, dtype=object))
    table.columns["wind"] = Column(ColumnKind.NUMERIC, np.full(rows, np.nan))
    table.columns["dist"] = Column(ColumnKind.NUMERIC, np.ones(rows))
    assert worst_of_inputs(baseline, table.columns, references, [drift("wind"), drift("carrier")]) is None
    assert worst_of_errors(baseline, table.columns, table.errors) is None
    worst_of_missing(baseline, table.columns, references[1])


def test_a_window_of_ten_thousand_rows_takes_milliseconds(known):
    references, baseline = known
    table = traffic(10_000, 7)
    start = time.perf_counter()
    worst_of_inputs(baseline, table.columns, references, [drift("temp")])
    worst_of_errors(baseline, table.columns, table.errors)
    assert time.perf_counter() - start < 0.5
