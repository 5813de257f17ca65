"""The evaluation as a page, for every task and for hostile names."""

from datetime import UTC, datetime

import numpy as np
import pytest

from driftloop.algorithms.curves import calibration_curve, precision_recall_curve, share_interval
from driftloop.algorithms.metrics import Answers
from driftloop.spec import Comparison, DataSchema, Target, Task
from driftloop.stages.evaluate import Judged
from driftloop.stages.evaluationpage import build_evaluation_page
from driftloop.stages.records import ChampionComparison, Evaluation
from tests.pagecheck import HOSTILE, check_page

ROWS = 600


def judged(task=Task.CLASSIFICATION, classes=2, comparison=None, rows=ROWS):
    random = np.random.default_rng(0)
    if task is Task.REGRESSION:
        truth = random.normal(size=rows)
        answers, confusion, roc = Answers(truth + random.normal(size=rows) / 3), None, None
    else:
        truth = random.integers(classes, size=rows).astype(float)
        noise = random.dirichlet(np.ones(classes), rows)
        probabilities = (noise + np.eye(classes)[truth.astype(int)] / 2) / 1.5
        answers = Answers(probabilities.argmax(axis=1).astype(float), probabilities)
        pairs = (truth * classes + answers.predictions).astype(int)
        confusion = (
            [f"{HOSTILE}{code}" for code in range(classes)],
            np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist(),
        )
        roc = ([0.0, 0.2, 1.0], [0.0, 0.7, 1.0], [1.0, 0.5, 0.1]) if classes == 2 else None
    evaluation = Evaluation(
        algorithm=HOSTILE,
        params={HOSTILE: 0.25, "depth": None},
        metric="roc_auc" if confusion else "r2",
        score=0.8,
        standard_error=0.02,
        train_score=0.9,
        validation_score=0.82,
        metrics={"roc_auc": 0.8, "f1": 0.5, "neg_log_loss": -0.4} if confusion else {"r2": 0.8},
        intervals={"roc_auc": (0.76, 0.84), "r2": (0.7, 0.9)},
        test_rows=rows,
        trained_through=datetime(2026, 1, 1, tzinfo=UTC),
    )
    against = ChampionComparison(comparison=comparison)
    return Judged(evaluation, against, truth, answers, confusion, roc), DataSchema(
        task=task,
        target=Target(name=HOSTILE, classes=tuple(f"{HOSTILE}{code}" for code in range(classes)) if confusion else ()),
        features=(),
    )


def page_of(*args, **kwargs):
    return check_page(build_evaluation_page(*judged(*args, **kwargs), HOSTILE))


def test_two_classes_have_curves_calibration_and_probabilities():
    page = page_of()
    captions = {text.split(":")[0] for text in page.texts}
    assert {"ROC", "Precision and recall", "Calibration", "Probabilities by true class"} <= captions
    assert "Confusion matrix (true class down, predicted across)" in page.texts


def test_more_classes_have_a_matrix_and_the_weakest_class_first():
    page = page_of(classes=4)
    assert "Found of each class, the weakest first" in page.texts
    assert page.texts.count("Calibration") == 0


def test_very_many_classes_are_told_by_class_in_a_small_page():
    page = page_of(classes=100, rows=5000)
    assert "Confusion matrix (true class down, predicted across)" not in page.texts
    assert page.tags.count("tr") > 100


def test_a_regression_has_residuals():
    page = page_of(Task.REGRESSION)
    assert {"Residuals", "Residuals by prediction"} <= set(page.texts)


@pytest.mark.parametrize(
    ("lower", "upper", "told"),
    [
        (0.01, 0.05, "The challenger is better"),
        (-0.05, -0.01, "The challenger is worse"),
        (-0.01, 0.02, "No difference"),
    ],
)
def test_the_champion_is_compared_in_words_and_as_a_picture(lower, upper, told):
    comparison = Comparison(
        metric="roc_auc",
        champion=0.75,
        challenger=0.77,
        difference=(lower + upper) / 2,
        lower=lower,
        upper=upper,
        rows=400,
    )
    page = page_of(comparison=comparison)
    assert any(text.startswith(told) for text in page.texts)
    assert "Gain in roc_auc over the champion" in page.texts


def test_a_first_model_has_no_champion_to_beat():
    assert "There is no champion yet." in page_of().texts


def test_the_interval_of_a_share_stays_within_0_and_1_and_narrows():
    assert share_interval(0, 5)[0] == 0.0
    assert share_interval(5, 5)[1] == 1.0
    few, many = share_interval(1, 2), share_interval(500, 1000)
    assert many[1] - many[0] < few[1] - few[0]


def test_recall_rises_to_1_and_precision_ends_at_the_share_of_the_class():
    found, _ = judged()
    recall, precision = precision_recall_curve(found.truth, found.answers)
    assert recall == sorted(recall)
    assert recall[-1] == 1.0
    assert precision[-1] == pytest.approx(found.truth.mean())


def test_a_calibrated_model_lies_within_its_intervals():
    random = np.random.default_rng(1)
    probability = random.random(20_000)
    truth = (random.random(20_000) < probability).astype(float)
    groups = calibration_curve(truth, Answers(truth, np.stack([1 - probability, probability], axis=1)))
    # Ten intervals of 95 % each; by this seed all hold.
    assert all(group.low <= group.probability <= group.high for group in groups)
