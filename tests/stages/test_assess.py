"""How a model treats groups of people."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from kfp.dsl import HTML, Artifact, Dataset, Model

from components.assess import component
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.assess import MISSING, OTHERS, assess, group_rows
from driftloop.stages.records import Assessment, Evaluation
from driftloop.stages.tablefile import write_table

SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="y", classes=(False, True)),
    features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False),),
)


class Threshold:
    """Says yes above zero: predictions are written into the rows."""

    def predict_proba(self, frame):
        yes = (frame["x"].to_numpy() > 0).astype(float)
        return np.column_stack([1 - yes, yes])

    def predict(self, frame):
        return frame["x"].to_numpy()


def confusion(group: str, true_yes: int, true_no: int, false_yes: int, false_no: int) -> list[dict]:
    parts = [(1.0, True, true_yes), (-1.0, False, true_no), (1.0, False, false_yes), (-1.0, True, false_no)]
    return [{"x": x, "y": y, "sex": group} for x, y, count in parts for _ in range(count)]


def assess_sex(rows: list[dict], schema: DataSchema = SCHEMA, metric: str = "accuracy"):
    [column] = assess(Threshold, pa.Table.from_pylist(rows), schema, sensitive_columns=["sex"], metric=metric).columns
    return column


def test_rates_and_differences_are_those_counted_by_hand():
    column = assess_sex(confusion("w", 30, 40, 10, 20) + confusion("m", 20, 20, 20, 20))
    women, men = column.groups
    assert (women.group, women.rows, women.score) == ("w", 100, pytest.approx(0.7))
    assert (women.base_rate, women.selection_rate) == (pytest.approx(0.5), pytest.approx(0.4))
    assert (men.base_rate, men.selection_rate) == (pytest.approx(0.5), pytest.approx(0.5))
    assert column.differences == {
        "demographic_parity_difference": pytest.approx(0.1),
        "equalized_odds_difference": pytest.approx(0.3),  # false positives: 10 of 50 against 20 of 40
    }
    assert column.not_assessed == ""


def test_a_small_group_is_shown_with_its_size_and_left_out_of_the_differences():
    column = assess_sex(confusion("w", 30, 40, 10, 20) + confusion("m", 20, 20, 20, 20) + confusion("x", 0, 0, 5, 0))
    small = column.groups[-1]
    assert (small.group, small.rows, small.is_small) == ("x", 5, True)
    assert column.not_compared == ("x",)
    assert column.differences["demographic_parity_difference"] == pytest.approx(0.1)


def test_a_group_with_hardly_any_positives_does_not_count_in_equalized_odds():
    column = assess_sex(confusion("w", 30, 40, 10, 20) + confusion("m", 20, 20, 20, 20) + confusion("n", 0, 40, 0, 1))
    assert (column.not_compared, column.not_compared_in_odds) == ((), ("n",))
    assert column.left_out("equalized_odds_difference") == ("n",)
    assert column.left_out("demographic_parity_difference") == ()
    assert column.differences["equalized_odds_difference"] == pytest.approx(0.3)
    assert column.differences["demographic_parity_difference"] == pytest.approx(0.5)


def test_one_large_group_alone_is_not_assessed_and_said_so():
    column = assess_sex(confusion("w", 30, 40, 10, 20) + confusion("m", 2, 2, 2, 2))
    assert column.differences == {}
    assert column.not_assessed == "'sex' has fewer than two groups of at least 30 test rows"


def test_equal_treatment_by_one_answer_for_all_is_no_equal_treatment():
    column = assess_sex(confusion("w", 0, 40, 0, 20) + confusion("m", 0, 30, 0, 30))
    assert column.differences == {}
    assert column.not_assessed == "the model predicts False for every test row, and treats all alike by that"
    assert [group.selection_rate for group in column.groups] == [0, 0]


def test_a_column_that_the_rows_do_not_carry_is_not_assessed_and_no_model_is_loaded():
    def never():
        raise AssertionError

    rows = pa.table({"x": [1.0, -1.0], "y": [True, False]})
    [column] = assess(never, rows, SCHEMA, sensitive_columns=["sex"], metric="accuracy").columns
    assert column.not_assessed.startswith("these rows don't carry 'sex'")
    assert assess(never, rows, SCHEMA, sensitive_columns=[], metric="accuracy") == Assessment(metric="accuracy")


def test_more_than_two_classes_are_compared_one_against_the_rest():
    three = SCHEMA.model_copy(update={"target": Target(name="y", classes=(0, 1, 2))})

    class Copy:
        def predict_proba(self, frame):
            return np.eye(3)[frame["x"].to_numpy().astype(int)]

    random = np.random.default_rng(0)
    x = random.integers(3, size=600)
    sex = np.where((x == 2) & (random.random(600) < 0.8), "w", random.choice(["w", "m"], 600))
    table = pa.table({"x": x.astype(float), "y": x, "sex": sex})
    [column] = assess(Copy, table, three, sensitive_columns=["sex"], metric="accuracy").columns
    shares = [np.mean(x[sex == group] == 2) for group in ("w", "m")]
    assert column.differences["demographic_parity_difference"] == pytest.approx(shares[0] - shares[1])
    assert column.differences["equalized_odds_difference"] == 0
    assert column.groups[0].selection_rate is None


def test_a_regression_is_reported_by_group_without_a_difference():
    regression = SCHEMA.model_copy(update={"task": Task.REGRESSION, "target": Target(name="y")})
    rows = [{"x": float(i), "y": i + (2.0 if i % 2 else 1.0), "sex": "m" if i % 2 else "w"} for i in range(100)]
    column = assess_sex(rows, regression, "neg_mean_absolute_error")
    assert {group.group: group.score for group in column.groups} == {"m": -2.0, "w": -1.0}
    assert (column.differences, column.not_assessed) == ({}, "")


def group(values: list) -> tuple[np.ndarray, list[str]]:
    return group_rows(pa.chunked_array([values]))


def test_ages_are_grouped_into_quartiles_named_by_their_ends():
    groups, order = group([*range(20, 60), None])
    assert order == ["20 to 29.75", "29.75 to 39.5", "39.5 to 49.25", "49.25 to 59", MISSING]
    assert [np.sum(groups == name) for name in order] == [10, 10, 10, 10, 1]


def test_birthdays_are_grouped_into_quartiles():
    days = [datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=400 * index) for index in range(40)]
    for values in (days, [day.date() for day in days]):
        groups, order = group(values)
        assert len(order) == len(set(groups)) == 4
        assert groups[0] == order[0] == "1950-01-01 to 1960-09-05"


def test_few_numbers_and_truth_values_are_groups_themselves_from_the_largest_down():
    assert group([0, 1, 1, None])[1] == ["1", MISSING, "0"]
    assert group([True, False, False, None])[1] == ["False", MISSING, "True"]
    assert group([None, None])[1] == [MISSING]


def test_mostly_equal_numbers_fall_into_fewer_groups():
    groups, order = group([0] * 90 + list(range(1, 11)))
    assert order == ["0 to 10"]
    assert set(groups) == set(order)


def test_large_numbers_are_written_out():
    assert group([1000 * index for index in range(1, 2001)])[1][-1] == "1500250 to 2000000"


def test_the_rarest_of_many_groups_are_put_together():
    groups, order = group([f"town {min(index, 39)}" for index in range(100)])
    assert len(order) == len(set(groups)) == 20
    assert (order[0], order[-1]) == ("town 39", OTHERS)
    assert np.sum(groups == "town 39") == 61


def write(tmp_path, data: dict) -> Assessment:
    write_table(pa.Table.from_pylist(confusion("w", 30, 40, 10, 20)), tmp_path / "test")
    (tmp_path / "schema").write_text(SCHEMA.model_dump_json(by_alias=True))
    judged = Evaluation(
        algorithm="x", params={}, metric="accuracy", score=0.5, standard_error=0.1, metrics={}, test_rows=9
    )
    for part, content in (("evaluation", judged.to_dict()), ("baseline", {}), ("sample", {"predictions": [1, 0]})):
        (tmp_path / part).write_text(json.dumps(content))
    component.assess.python_func(
        model=Model(uri=str(tmp_path / "no such model")),
        test=Dataset(uri=str(tmp_path / "test")),
        schema=Artifact(uri=str(tmp_path / "schema")),
        evaluation=Artifact(uri=str(tmp_path / "evaluation")),
        baseline=Artifact(uri=str(tmp_path / "baseline")),
        sample=Artifact(uri=str(tmp_path / "sample")),
        metric="accuracy",
        data_uri="x",
        data=data,
        assessment=Artifact(uri=str(tmp_path / "assessment")),
        report=HTML(uri=str(tmp_path / "report")),
        code_digest="code",
    )
    return Assessment.model_validate(json.loads((tmp_path / "assessment").read_text()))


def test_the_component_writes_the_record_and_a_page(tmp_path):
    assert write(tmp_path, {"sensitiveColumns": ["age"]}).columns[0].column == "age"
    assert "don&#x27;t carry &#x27;age&#x27;" in (tmp_path / "report").read_text()
    assert write(tmp_path, {}).columns == ()
    assert "names no sensitive columns" in (tmp_path / "report").read_text()


def test_without_sensitive_columns_nothing_heavy_is_loaded(tmp_path):
    write_table(pa.table({"x": [1.0], "y": [True]}), tmp_path / "test")
    code = (
        "import sys; from driftloop.stages.assess import assess, build_page\n"
        "from driftloop.stages.tablefile import read_table\n"
        "build_page(assess(None, read_table(sys.argv[1]), None, sensitive_columns=[], metric='r2'))\n"
        "print([m for m in ('sklearn', 'pandas', 'fairlearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "test"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
