"""Shapley values of the raw columns: they add up to the answer, whatever the model is made of."""

import numpy as np
import pytest

from driftloop.algorithms.tasks import answer
from driftloop.stages.attributions import BACKGROUND, attribute
from driftloop.stages.decisionlinks import ValueDecision
from driftloop.stages.explain import build_page, explain
from driftloop.stages.records import Explanation
from driftloop.stages.table import read_features
from tests.pagecheck import check_page
from tests.stages.trainedmodel import TrainedModel, make_table


def explained(model: TrainedModel, columns=None):
    columns = model.matrices.columns if columns is None else columns
    return attribute(model.chain, model.parts.test, model.schema, columns, seed=0)


def assert_sensible(found, schema):
    assert {column for column, _ in found.columns} == set(schema.feature_names)
    assert [size for _, size in found.columns] == sorted((size for _, size in found.columns), reverse=True)
    assert found.columns[-1][0] in ("sure", "other"), "neither has to do with the target"
    for example in found.examples:
        total = found.mean_answer + sum(part.amount for part in example.contributions)
        assert total == pytest.approx(example.answer)
        assert len(example.contributions) == len(schema.features)


@pytest.mark.parametrize(
    ("algorithm", "unit"),
    [("Linear", "log-odds"), ("RandomForest", "probability"), ("HistGradientBoosting", "log-odds")],
)
def test_two_classes_are_explained_in_the_models_own_unit(algorithm, unit):
    model = TrainedModel(make_table(600), algorithm=algorithm)
    found = explained(model)
    assert found.unit == unit
    assert found.of == "class 1"
    assert found.columns[0][0] == "number"
    assert_sensible(found, model.schema)
    yes = next(example for example in found.examples if "surest yes" in example.why)
    assert yes.prediction == "class 1"
    assert yes.answer > found.mean_answer


@pytest.mark.parametrize("algorithm", ["Linear", "RandomForest", "HistGradientBoosting"])
@pytest.mark.parametrize("classes", [0, 3])
def test_contributions_add_up_to_what_the_model_says(algorithm, classes):
    model = TrainedModel(make_table(500, classes=classes), algorithm=algorithm, metric="accuracy" if classes else "")
    found = explained(model)
    assert_sensible(found, model.schema)
    if not classes:
        answers = answer(model.chain, read_features(model.parts.test, model.schema), model.task).predictions
        assert found.examples[0].answer == pytest.approx(max(answers[:64]), rel=1e-4)
        assert float(found.examples[0].prediction) == pytest.approx(found.examples[0].answer, rel=1e-4)


def test_what_is_neither_tree_nor_linear_is_asked_with_exchanged_inputs():
    model = TrainedModel(make_table(500), algorithm="RandomForest")
    found = explained(model, columns=())  # as if a reduction had mixed the inputs
    assert f"against {BACKGROUND} rows" in found.method
    assert found.unit == "probability"
    assert found.columns[0][0] == "number"
    assert_sensible(found, model.schema)
    exact = dict(explained(model).columns)
    assert abs(exact["number"] - dict(found.columns)["number"]) < 0.1
    assert explained(model, columns=()) == found, "sampling is seeded"


def test_a_rule_of_decision_changes_no_contribution():
    model = TrainedModel(make_table(500))
    plain = explained(model)
    steps = model.chain.steps
    steps[-1] = (steps[-1][0], ValueDecision(steps[-1][1], np.eye(2)))
    assert explained(model) == plain


def test_one_row_all_missing_and_a_new_category_are_explained():
    model = TrainedModel(make_table(500), algorithm="HistGradientBoosting")
    row = model.parts.test.slice(0, 1).to_pydict() | {"number": [None], "place": ["nowhere"]}
    test = model.parts.test.schema.empty_table().from_pydict(row, schema=model.parts.test.schema)
    found = attribute(model.chain, test, model.schema, model.matrices.columns, seed=0)
    values = {part.column: part.value for part in found.examples[0].contributions}
    assert (values["number"], values["place"]) == ("missing", "nowhere")


def test_examples_are_rows_that_the_bento_holds_anyway():
    model = TrainedModel(make_table(900))
    sample = model.parts.test.slice(0, 64).column("other").to_pylist()
    shown = [part.value for one in explained(model).examples for part in one.contributions if part.column == "other"]
    assert shown
    assert set(shown) <= {f"{value:.6g}" for value in sample}


def test_the_page_shows_them_and_the_record_survives_json():
    model = TrainedModel(make_table(500))
    found = explain(model.chain, model.parts.test, model.schema, metric="roc_auc", seed=0)
    found = found.model_copy(update={"attributions": explained(model)})
    page = check_page(build_page(found))
    assert "How far columns push an answer" in page.texts
    assert Explanation.model_validate_json(found.model_dump_json(by_alias=True)) == found
