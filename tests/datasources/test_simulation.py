"""Rows made up for a declared schema: of the kinds that were declared, with a target that follows from them."""

import numpy as np
import pytest

from driftloop.adapters.datasource import collect_data, digest_data
from driftloop.spec import DataSpec, Task
from driftloop.stages.simulation import SimulationError
from driftloop.stages.tablenotes import reading_notes
from driftloop.stages.validate import validate

COLUMNS = [
    {"name": "size", "kind": "Normal", "minimum": 100, "maximum": 15, "effect": 2},
    {"name": "age", "kind": "Uniform", "minimum": 18, "maximum": 90, "missing": 0.1},
    {"name": "rooms", "kind": "Integer", "minimum": 1, "maximum": 6, "effect": 0.5},
    {"name": "town", "kind": "Category", "categories": ["Oslo", "Rome", "Lima"], "effect": -1},
    {"name": "new", "kind": "Boolean", "maximum": 0.2, "effect": 1},
    {"name": "sold", "kind": "Time", "minimum": 20_000, "maximum": 365},
    {"name": "note", "kind": "Text", "categories": ["fine", "good", "bright", "quiet", "dark"]},
]


def spec(columns=COLUMNS, *, rows=2000, noise=1.0, seed=0, **fields):
    simulation = {"rows": rows, "columns": columns, "noise": noise, "randomState": seed}
    return DataSpec.model_validate({"uri": "simulation:", "targetColumn": "y", "simulation": simulation} | fields)


def made(task=Task.REGRESSION, data=None, **fields):
    data = data or spec(**fields)
    return collect_data(data, task, digest_data(data))


def test_every_kind_is_made_as_declared():
    table = made()
    size, age, sold = (table.column(name).to_pandas() for name in ("size", "age", "sold"))
    assert size.mean() == pytest.approx(100, abs=1.5)
    assert size.std() == pytest.approx(15, abs=1)
    assert (age.min() >= 18, age.max() <= 90, round(age.isna().mean(), 1)) == (True, True, 0.1)
    assert set(table.column("rooms").to_pylist()) == {1, 2, 3, 4, 5, 6}
    assert set(table.column("town").to_pylist()) == {"Oslo", "Rome", "Lima"}
    assert np.mean(table.column("new").to_pylist()) == pytest.approx(0.2, abs=0.03)
    assert (sold.is_monotonic_increasing, (sold.max() - sold.min()).days) == (True, 364)
    assert {word for text in table.column("note").to_pylist() for word in text.split()} == set(
        COLUMNS[-1]["categories"]
    )


def test_the_target_follows_from_the_effects_and_the_noise():
    table = made(noise=0.0)
    size, town = table.column("size").to_pandas(), table.column("town").to_pandas()
    rooms, new = table.column("rooms").to_pandas(), table.column("new").to_pandas()
    step = town.map({"Oslo": -1.0, "Rome": 0.0, "Lima": 1.0})
    score = 2 * (size - 100) / 15 + 0.5 * (rooms - 3.5) / np.sqrt(35 / 12) - step + (new - 0.2)
    assert np.allclose(score, table.column("y").to_pandas())


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION, Task.ANOMALY_DETECTION])
def test_what_is_made_can_be_validated(task):
    data = spec(timeColumn="sold")
    found = validate(made(task, data), task=task, data=data)
    assert set(found.schema.feature_names) == {"size", "age", "rooms", "town", "new", "note"}
    if task is Task.ANOMALY_DETECTION:
        assert np.mean(found.table.column("y").to_pylist()) == pytest.approx(0.05)
    assert any("made up" in note for note in found.report.notes)


def test_equal_declarations_make_equal_rows_and_a_digest_of_their_own():
    assert made().equals(made())
    assert not made().equals(made(seed=1))
    assert digest_data(spec()) == digest_data(spec()) != digest_data(spec(seed=1))


def test_a_new_column_leaves_the_others_as_they_are():
    more = made(columns=[*COLUMNS, {"name": "more", "kind": "Normal"}])
    assert more.column("size").equals(made().column("size"))


def test_histories_and_samples_work_on_made_up_rows():
    data = spec(timeColumn="sold", history=[{"column": "y", "lags": [1], "knownAfter": "1d"}], sample={"rows": 500})
    table = made(data=data)
    assert (table.num_rows, table.column("y_lag_1").null_count < 10) == (500, True)
    assert any("500 of 2,000 rows" in note for note in reading_notes(table))


def test_a_decision_is_logged_with_its_propensity():
    roles = {"actionColumn": "town", "propensityColumn": "chance"}
    table = made(Task.DECISION, spec(**roles))
    assert table.column("chance").unique().to_pylist() == [1 / 3]
    with pytest.raises(SimulationError, match="must declare the action 'offer' as a Category"):
        made(Task.DECISION, spec(**(roles | {"actionColumn": "offer"})))


def test_a_declared_target_is_refused():
    with pytest.raises(SimulationError, match="must declare the columns beside the target"):
        made(columns=[*COLUMNS, {"name": "y", "kind": "Normal"}])
