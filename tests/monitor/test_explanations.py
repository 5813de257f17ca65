"""Faults that undo a move explain it; drift of the world is not taken for one."""

import numpy as np
import pytest

from driftloop.monitor.checks.knownvalues import known_values
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.explanations import explain
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.monitor.test_segments import baseline_of
from tests.monitor.test_triage import drift

SCHEMA = DataSchema(
    task=Task.REGRESSION,
    target=Target(name="y"),
    features=(
        *(Feature(name=name, type=FeatureType.NUMERIC, nullable=False) for name in ("temp", "departure", "distance")),
        *(Feature(name=name, type=FeatureType.CATEGORICAL, nullable=False) for name in ("origin", "dest")),
        Feature(name="booked", type=FeatureType.DATE, nullable=False),
    ),
)


def traffic(rows, seed):
    random = np.random.default_rng(seed)
    numbers = {
        "temp": random.normal(50, 18, rows),
        "departure": random.uniform(300, 1400, rows),
        "distance": np.exp(random.normal(6.7, 0.7, rows)),
        "booked": random.exponential(1e6, rows),
    }
    texts = {
        "origin": random.choice(np.array(["EWR", "JFK", "LGA"], dtype=object), rows, p=[0.5, 0.3, 0.2]),
        "dest": random.choice(np.array(["LGA", "JFK", "EWR"], dtype=object), rows, p=[0.6, 0.3, 0.1]),
    }
    return {
        **{name: Column(ColumnKind.NUMERIC, values) for name, values in numbers.items()},
        **{name: Column(ColumnKind.CATEGORICAL, values) for name, values in texts.items()},
    }


REFERENCES = {name: baseline_of(name, column) for name, column in traffic(8000, 0).items()}
SEEDS = range(1, 9)


def explained(columns, *names):
    return explain([drift(name) for name in names], columns, REFERENCES, SCHEMA)


def changed(columns, name, change):
    return {**columns, name: Column(ColumnKind.NUMERIC, change(columns[name].cells))}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("temp", lambda x: (x - 32) / 1.8, "°F became °C?"),
        ("distance", lambda x: x * 1.609344, "miles became km?"),
        ("distance", lambda x: x * 1000, "multiplied by 1,000."),
        ("departure", lambda x: x * 60, "minutes became seconds?"),
    ],
)
def test_another_unit_within_what_was_seen_is_found(name, change, said):
    """A repair is turned down once in 200 windows; two of eight hardly ever are."""
    found = [explained(changed(traffic(500, seed), name, change), name) for seed in SEEDS]
    assert sum(len(checks) for checks in found) >= len(SEEDS) - 1
    (check,) = next(checks for checks in found if checks)
    assert (check.check, check.feature, check.passed) == ("unit", name, False)
    assert said in check.message


def test_a_column_of_few_values_is_converted_back_in_spite_of_rounding():
    steps = np.random.default_rng(0).integers(0, 12, 8500) * 1.15078
    reference = baseline_of("temp", Column(ColumnKind.NUMERIC, steps[:8000]))
    columns = {"temp": Column(ColumnKind.NUMERIC, steps[8000:] * 1.609344)}
    (check,) = explain([drift("temp")], columns, {"temp": reference}, SCHEMA)
    assert "miles became km?" in check.message


def test_two_numbers_of_like_range_that_are_swapped_are_found():
    for seed in SEEDS:
        columns = traffic(500, seed)
        swapped = {**columns, "departure": columns["distance"], "distance": columns["departure"]}
        (check,) = explained(swapped, "departure", "distance")
        assert check.check == "swapped"


def test_two_categories_of_like_values_that_are_swapped_are_found():
    for seed in SEEDS:
        columns = traffic(1000, seed)
        (check,) = explained({**columns, "origin": columns["dest"], "dest": columns["origin"]}, "origin", "dest")
        assert check.message == "origin holds values as dest had them, and dest as origin had: swapped?"


def drifted_worlds(scales):
    for sd in (-2, -1, -0.5, 0.5, 1, 2):
        for scale in scales:
            for seed in SEEDS:
                columns = traffic(500, seed)
                for name in ("temp", "departure", "distance"):
                    cells = columns[name].cells
                    moved = cells.mean() + sd * cells.std() + scale * (cells - cells.mean())
                    yield {**columns, name: Column(ColumnKind.NUMERIC, moved)}, name


def test_a_mean_that_moved_is_not_taken_for_a_fault():
    assert not any(explained(columns, name) for columns, name in drifted_worlds([1.0]))


def test_mean_and_spread_that_moved_are_seldom_taken_for_a_fault():
    """Factors near those of the list come near by accident: about 1 in 30, at most 1 in 20 here."""
    found = [bool(explained(columns, name)) for columns, name in drifted_worlds([0.5, 0.75, 1.5, 2.0])]
    assert sum(found) <= len(found) / 20


def test_two_columns_that_moved_by_themselves_are_not_swapped():
    for seed in SEEDS:
        columns = changed(traffic(500, seed), "departure", lambda x: x + 300)
        assert explained(changed(columns, "distance", lambda x: x * 0.85), "departure", "distance") == []


def test_dates_few_rows_and_constant_columns_say_nothing():
    assert explained(changed(traffic(500, 1), "booked", lambda x: x / 60), "booked") == []
    assert explained(changed(traffic(20, 1), "temp", lambda x: x * 10), "temp") == []
    assert explained(changed(traffic(500, 1), "temp", np.zeros_like), "temp") == []
    assert explained(changed(traffic(500, 1), "temp", lambda x: x * np.nan), "temp") == []


def test_whole_numbers_that_became_fractions_are_not_multiplied_by_ten_thousand():
    """Divided by enough, every value comes near the one known value 0; that puts nothing right."""
    ages = np.sort(np.random.default_rng(0).integers(0, 90, 1000)).astype(float)
    known = known_values(ages)
    values, counts = np.unique((ages[::2] + 20.3) / 1e4, return_counts=True)
    assert known.found(values, counts) is None
