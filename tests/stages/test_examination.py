"""What `evaluate` finds out beyond the score."""

import json

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from driftloop.algorithms.metrics import Answers
from driftloop.spec import ProblemSpec, Task
from driftloop.stages.diagnosis import diagnose
from driftloop.stages.evaluationpage import build_evaluation_page
from driftloop.stages.judgements import FINE, NO_SIGNAL, OVER_FITTING, UNDER_FITTING, CurvePoint, Reference
from driftloop.stages.outcomes import measure_worth
from driftloop.stages.privacy import measure_membership
from driftloop.stages.records import Evaluation
from driftloop.stages.robustness import measure_robustness
from driftloop.stages.slices import find_slices
from driftloop.stages.table import encode_target, read_features, read_target
from tests.pagecheck import check_page
from tests.stages.trainedmodel import TrainedModel, make_table


@pytest.fixture(scope="module")
def linear() -> TrainedModel:
    return TrainedModel(make_table(1100))


@pytest.fixture(scope="module")
def judged(linear):
    values = [
        {"actual": "class 1", "predicted": "class 1", "value": 3},
        {"actual": "class 0", "predicted": "class 1", "value": -1},
    ]
    return linear.judge(problem=ProblemSpec(task=Task.CLASSIFICATION, outcome_values=values))


def test_a_good_model_beats_the_dummy_and_is_fine(judged):
    evaluation = judged.evaluation
    found = evaluation.examination
    assert [one.name for one in found.references] == ["dummy", "simple", "flexible"]
    assert found.references[0].is_beaten
    assert found.references[0].score == 0.5
    assert evaluation.diagnosis == FINE
    assert [point.rows for point in found.diagnosis.curve][-1] == 770
    assert found.membership.advantage < 0.15


def test_the_page_shows_all_of_it_and_the_record_survives_json(linear, judged):
    page = check_page(build_evaluation_page(judged, linear.schema, "loop"))
    for title in (
        "What the answers are worth",
        "Did it learn the right amount?",
        "Is it worth its trouble?",
        "Cross-validation",
        "Where it is weakest",
        "How it takes rows that are not as they should be",
    ):
        assert title in page.texts
    text = json.dumps(judged.evaluation.to_dict())
    assert "NaN" not in text
    assert Evaluation.model_validate_json(text) == judged.evaluation


def test_few_rows_are_cross_validated(judged):
    found = judged.evaluation.examination.cross_validation
    assert len(found.scores) == 10
    assert abs(found.mean - judged.evaluation.score) < 0.1
    assert "drawn twice" in found.method


def test_with_a_time_column_folds_go_forward():
    table = make_table(800)
    times = np.datetime64("2024-01-01T00:00:00") + np.arange(800).astype("timedelta64[h]")
    model = TrainedModel(table.append_column("at", [times]), time_column="at")
    assert "order of time" in model.judge().evaluation.examination.cross_validation.method


@pytest.mark.parametrize("classes", [0, 3])
def test_numbers_and_many_classes_are_examined_too(classes):
    model = TrainedModel(make_table(700, classes=classes), metric="neg_log_loss" if classes else "")
    outcome = model.judge()
    found = outcome.evaluation.examination
    assert found.references[0].is_beaten
    assert found.worth is None
    assert found.slices.metric == ("neg_log_loss" if classes else "neg_root_mean_squared_error")
    check_page(build_evaluation_page(outcome, model.schema, "loop"))


def test_a_line_through_a_product_is_under_fitting():
    model = TrainedModel(make_table(1400, crossed=True, signal=2.0))
    assert model.judge().evaluation.diagnosis == UNDER_FITTING


def test_a_forest_that_knows_its_rows_by_heart_is_over_fitting_and_gives_them_away():
    deep = {"max_depth": 40, "min_samples_leaf": 1}
    model = TrainedModel(make_table(1000, signal=0.3), algorithm="RandomForest", params=deep)
    evaluation = model.judge().evaluation
    assert evaluation.diagnosis == OVER_FITTING
    assert evaluation.examination.membership.advantage > 0.3
    assert "leans that way" in " ".join(evaluation.examination.diagnosis.advice)


def test_noise_holds_no_signal():
    assert TrainedModel(make_table(1400, signal=0.0, seed=1)).judge().evaluation.diagnosis == NO_SIGNAL


def test_a_model_made_elsewhere_is_examined_without_training_rows(linear):
    evaluation = linear.judge(origin="somewhere").evaluation
    assert evaluation.diagnosis == ""
    assert evaluation.examination.references == ()
    assert evaluation.examination.robustness is not None


def test_the_rules_of_the_diagnosis_are_those_told():
    def verdict(train, test, *, flexible=(0.1, 0.05, 0.15)):
        difference, lower, upper = flexible
        references = [
            Reference(name="dummy", what="a dummy", score=0.5, difference=test - 0.5, lower=test - 0.52, upper=1),
            Reference(name="flexible", what="boosting", score=0.6, difference=difference, lower=lower, upper=upper),
        ]
        curve = tuple(
            CurvePoint(rows=rows, train_score=0.9, validation_score=value)
            for rows, value in ((100, 0.6), (200, 0.64), (800, 0.70))
        )
        return diagnose(test, 0.01, train, references, curve, metric="roc_auc")

    assert verdict(0.9, 0.85)[0] == FINE
    assert verdict(0.9, 0.78)[0] == OVER_FITTING, "0.12 of 0.4 is more than a quarter"
    assert verdict(0.9, 0.85, flexible=(-0.05, -0.1, -0.01))[0] == UNDER_FITTING
    assert verdict(0.52, 0.51)[0] == NO_SIGNAL
    assert verdict(0.9, 0.85)[1].gain_per_doubling == pytest.approx(0.03), "0.06 in two doublings"


def test_a_slice_in_which_the_model_fails_is_found_and_chance_is_not(linear):
    test = linear.parts.test
    rows = test.num_rows
    random = np.random.default_rng(0)
    truth = (random.random(rows) < 0.5).astype(float)
    is_bad = np.array(test.column("place").to_pylist()) == "place 2"
    sure = np.where(is_bad, 0.5, np.where(truth == 1, 0.9, 0.1)) + random.normal(size=rows) / 10
    answers = Answers((sure > 0.5).astype(float), np.column_stack([1 - sure, sure]))
    found = find_slices(test, linear.schema.feature_names, truth, answers, metric="roc_auc", seed=0)
    assert (found.worst[0].column, found.worst[0].group) == ("place", "place 2")
    assert found.worst[0].is_worse
    alike = Answers((random.random(rows) < 0.5).astype(float), np.column_stack([1 - truth, truth]) * 0.4 + 0.3)
    assert not any(
        one.is_worse
        for one in find_slices(test, linear.schema.feature_names, truth, alike, metric="accuracy", seed=0).worst
    )


def robustness(model, chain=None):
    truth = encode_target(read_target(model.parts.test, model.schema), model.schema)
    frame = read_features(model.parts.test, model.schema)
    return measure_robustness(chain or model.chain, frame, truth, model.schema, metric=model.metric, seed=0)


def test_noise_and_missing_fields_cost_what_the_column_is_worth(linear):
    found = robustness(linear)
    assert found.missing[0].what == "number"
    assert found.missing[0].loss > 0.1
    assert {one.what for one in found.missing} == set(linear.schema.feature_names)
    assert [one.what for one in found.noise] == ["5 % noise", "10 % noise"]
    assert abs(found.noise[0].loss) < 0.05
    assert not found.depends_on_order


def test_a_model_that_looks_at_the_other_rows_is_caught(linear):
    steps = dict(linear.chain.steps)
    peeking = FunctionTransformer(lambda matrix: matrix - matrix.mean(axis=0))
    chain = Pipeline(
        [("clean", steps["clean"]), ("transform", steps["transform"]), ("peek", peeking), ("e", steps["estimator"])]
    )
    assert robustness(linear, chain).depends_on_order


def test_what_answers_are_worth_is_the_mean_of_their_outcomes():
    truth = np.array([1.0, 1, 0, 0])
    answers = Answers(np.array([1.0, 1, 1, 0]), np.array([[0.6, 0.4], [0.1, 0.9], [0.45, 0.55], [0.9, 0.1]]))
    worth = measure_worth(truth, answers, truth, np.array([[0.0, -4.0], [0.0, 2.0]]), seed=0)
    assert worth.model == 0, "2 + 2 - 4 + 0"
    assert worth.dummy == 0, "to answer with class 0 is worth nothing, and class 1 less"
    assert worth.most_probable == -500, "-4 + 2"
    assert worth.perfect == 1000
    assert worth.lower <= worth.model <= worth.upper


def test_membership_is_told_by_the_losses():
    sure, unsure = Answers(np.ones(100), np.full((100, 2), [0.01, 0.99])), Answers(np.ones(50), np.full((50, 2), 0.5))
    assert measure_membership(np.ones(100), sure, np.ones(50), unsure).advantage == 1
    assert measure_membership(np.ones(100), sure, np.ones(100), sure).advantage == 0


def test_the_card_tells_it_too(linear, judged):
    from driftloop.spec import DataSpec, GovernanceSpec
    from driftloop.stages.card import build_card
    from driftloop.stages.judgements import Membership
    from driftloop.stages.records import Assessment, Explanation, Privacy

    card = build_card(
        "loans",
        linear.schema,
        judged.evaluation.model_copy(update={"decision": "for the class of the greatest expected value"}),
        Explanation(metric="roc_auc", rows=9, repeats=1, score=0.9, columns=()),
        Assessment(metric="roc_auc", privacy=Privacy(sample_rows=64, membership=Membership(advantage=0.1, rows=9))),
        problem=ProblemSpec(task=Task.CLASSIFICATION),
        data=DataSpec(uri="x", target_column="y"),
        governance=GovernanceSpec(),
    )
    for title in ("What its answers are worth", "Did it learn the right amount", "How it takes bad rows", "Privacy"):
        assert f"## {title}" in card
    assert "Per 1,000 cases" in card
    assert "Cross-validated" in card
    assert "| Decides | for the class of the greatest expected value |" in card
    assert "a dummy that answers with the shares of the classes" in card
