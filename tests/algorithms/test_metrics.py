import numpy as np
import pytest
from sklearn import metrics as sk

from driftloop.algorithms.curves import calibration_curve, roc_curve
from driftloop.algorithms.metrics import Answers, all_scores, compare, score, standard_error
from driftloop.spec import Task

RANDOM = np.random.default_rng(0)
ROWS = 400


def classifier(classes: int, *, skill: float = 1.0) -> tuple[np.ndarray, Answers]:
    truth = RANDOM.integers(classes, size=ROWS)
    raw = RANDOM.random((ROWS, classes)) + skill * np.eye(classes)[truth] * RANDOM.random((ROWS, 1))
    probabilities = np.round(raw / raw.sum(axis=1, keepdims=True), 2)  # rounded: ties
    probabilities[:, -1] = 1 - probabilities[:, :-1].sum(axis=1)
    return truth.astype(float), Answers(probabilities.argmax(axis=1).astype(float), probabilities)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_class_metrics_are_those_of_scikit_learn(weighted):
    truth, answers = classifier(2)
    weights = RANDOM.integers(0, 4, ROWS).astype(float) if weighted else np.ones(ROWS)
    positive, predicted = answers.probabilities[:, 1], answers.predictions
    expected = {
        "roc_auc": sk.roc_auc_score(truth, positive, sample_weight=weights),
        "average_precision": sk.average_precision_score(truth, positive, sample_weight=weights),
        "accuracy": sk.accuracy_score(truth, predicted, sample_weight=weights),
        "f1": sk.f1_score(truth, predicted, sample_weight=weights),
        "neg_log_loss": -sk.log_loss(truth, answers.probabilities, sample_weight=weights),
    }
    for metric, value in expected.items():
        assert score(metric, truth, answers, weights) == pytest.approx(value, abs=1e-9), metric


def test_metrics_of_more_classes_are_means_over_the_classes():
    truth, answers = classifier(3)
    probabilities = answers.probabilities
    assert score("roc_auc", truth, answers) == pytest.approx(sk.roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert score("f1", truth, answers) == pytest.approx(sk.f1_score(truth, answers.predictions, average="macro"))


def test_regression_metrics_are_those_of_scikit_learn():
    truth = RANDOM.normal(size=ROWS)
    answers = Answers(truth + RANDOM.normal(size=ROWS))
    assert all_scores(Task.REGRESSION, truth, answers) == pytest.approx(
        {
            "r2": sk.r2_score(truth, answers.predictions),
            "neg_mean_absolute_error": -sk.mean_absolute_error(truth, answers.predictions),
            "neg_root_mean_squared_error": -sk.root_mean_squared_error(truth, answers.predictions),
        }
    )


def test_a_metric_without_a_meaning_is_left_out():
    truth, answers = np.zeros(10), Answers(np.zeros(10), np.tile([0.9, 0.1], (10, 1)))
    assert np.isnan(score("roc_auc", truth, answers))
    assert "roc_auc" not in all_scores(Task.CLASSIFICATION, truth, answers)
    assert standard_error("roc_auc", truth, answers, seed=0) == 0


def test_the_standard_error_of_accuracy_is_the_binomial_one():
    truth, answers = classifier(2)
    accuracy = score("accuracy", truth, answers)
    binomial = np.sqrt(accuracy * (1 - accuracy) / ROWS)
    assert standard_error("accuracy", truth, answers, seed=0) == pytest.approx(binomial, rel=0.15)


def test_a_better_model_has_an_interval_above_zero_and_an_equal_one_has_not():
    truth, weak = classifier(2, skill=0.1)
    strong = Answers(truth, np.eye(2)[truth.astype(int)] * 0.8 + 0.1)
    assert compare("roc_auc", truth, strong, weak, seed=0).lower > 0
    same = compare("roc_auc", truth, weak, weak, seed=0)
    assert (same.difference, same.lower, same.upper) == (0, 0, 0)


def test_the_roc_curve_spans_the_unit_square_and_holds_the_area():
    truth, answers = classifier(2)
    false_rate, true_rate, threshold = roc_curve(truth, answers)
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    area = np.sum(np.diff(false_rate) * (np.array(true_rate[1:]) + true_rate[:-1]) / 2)
    assert area == pytest.approx(score("roc_auc", truth, answers), abs=0.01)
    assert threshold == sorted(threshold, reverse=True)


def test_calibration_compares_probability_and_share():
    truth, answers = classifier(2)
    groups = calibration_curve(truth, answers)
    assert len(groups) == 10
    assert np.mean([group.share for group in groups]) == pytest.approx(truth.mean())
    assert all(group.low <= group.share <= group.high for group in groups)
