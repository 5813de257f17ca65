"""The planning formulas against simulation: seeded, with the tolerance that each approximation is good for."""

import numpy as np
import pytest

from driftloop.algorithms.metrics import Answers, score
from driftloop.algorithms.samplesize import (
    comparison_power,
    rows_for_flexible_models,
    rows_for_power,
    rows_for_width,
    rows_to_learn_classes,
    rows_to_learn_numbers,
    standard_error,
)

SAMPLES = 400


def spread_of(metric, draw, seed=0):
    """Standard deviation of a metric over samples, and its mean."""
    random = np.random.default_rng(seed)
    values = [score(metric, *draw(random)) for _ in range(SAMPLES)]
    return float(np.std(values)), float(np.mean(values))


def classes(rows, rate, separation):
    """Rows of two classes with normal scores, the class's shifted."""

    def draw(random):
        truth = (random.random(rows) < rate).astype(float)
        logits = random.normal(size=rows) + separation * truth
        probability = 1 / (1 + np.exp(-logits))
        predicted = (probability > 0.5).astype(float)
        return truth, Answers(predicted, np.column_stack([1 - probability, probability]))

    return draw


def numbers(rows, r2):
    def draw(random):
        signal = random.normal(size=rows)
        truth = np.sqrt(r2) * signal + np.sqrt(1 - r2) * random.normal(size=rows)
        return truth, Answers(np.sqrt(r2) * signal)

    return draw


@pytest.mark.parametrize(("rate", "separation"), [(0.5, 1.0), (0.1, 1.0), (0.3, 1.8)])
def test_the_error_of_an_auc_is_that_of_simulated_scores_or_somewhat_more(rate, separation):
    """Hanley and McNeil suppose exponential scores; for normal ones they are known to be on the safe side."""
    spread, mean = spread_of("roc_auc", classes(500, rate, separation))
    assert 0.93 * spread <= standard_error("roc_auc", mean, 500, rate) <= 1.25 * spread


@pytest.mark.parametrize("metric", ["average_precision", "f1", "accuracy"])
def test_the_errors_of_other_class_metrics_are_those_of_simulated_scores(metric):
    spread, mean = spread_of(metric, classes(1000, 0.3, 2.0))
    assert standard_error(metric, mean, 1000, 0.3) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("r2", [0.2, 0.5, 0.8])
def test_the_error_of_r2_is_that_of_simulated_numbers(r2):
    spread, mean = spread_of("r2", numbers(800, r2))
    assert standard_error("r2", mean, 800, 0.5) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("metric", ["neg_mean_absolute_error", "neg_root_mean_squared_error"])
def test_the_relative_errors_of_losses_are_those_of_simulated_numbers(metric):
    spread, mean = spread_of(metric, numbers(800, 0.5))
    assert standard_error(metric, mean, 800, 0.5) == pytest.approx(spread / -mean, rel=0.15)


def test_a_metric_without_a_closed_form_gets_no_number():
    assert standard_error("neg_log_loss", 0.0, 100, 0.5) is None
    assert rows_for_width("neg_log_loss", 0.0, 0.05, 0.5) is None
    assert rows_for_power("neg_log_loss", 0.0, 0.05, 0.8, rate=0.5, correlation=0.8) is None


def test_an_interval_has_the_width_asked_for_and_no_row_is_wasted():
    rows = rows_for_width("roc_auc", 0.75, 0.05, 0.2)
    assert 1.96 * standard_error("roc_auc", 0.75, rows, 0.2) <= 0.05
    assert 1.96 * standard_error("roc_auc", 0.75, rows - 1, 0.2) > 0.05


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_a_better_challenger_is_noticed_as_often_as_stated_or_somewhat_more(power):
    """Two scores of the same rows; the paired difference's own error decides, as the paired bootstrap does."""
    random, rate = np.random.default_rng(1), 0.3
    champion_auc, challenger_auc, runs = 0.7602, 0.7977, 250  # Phi(1 / sqrt(2)) and Phi(1.18 / sqrt(2))

    def sample(rows):
        truth = (random.random(rows) < rate).astype(float)
        shared, own = random.normal(size=rows), random.normal(size=(2, rows))
        scores = np.sqrt(0.8) * shared + np.sqrt(0.2) * own + np.array([[1.0], [1.18]]) * truth
        return [score("roc_auc", truth, Answers(s > 0, np.column_stack([-s, s]))) for s in scores]

    pilot = np.array([sample(800) for _ in range(runs)])
    correlation = float(np.corrcoef(pilot.T)[0, 1])
    effect = challenger_auc - champion_auc
    rows = rows_for_power("roc_auc", champion_auc, effect, power, rate=rate, correlation=correlation)
    differences = np.array([np.subtract(*sample(rows)[::-1]) for _ in range(runs)])
    wins = np.mean(differences > 1.96 * differences.std())
    assert power - 0.05 <= wins <= power + 0.12
    found = comparison_power("roc_auc", champion_auc, effect, rows, rate=rate, correlation=correlation)
    assert found == pytest.approx(power, abs=0.01)


def test_the_rows_to_learn_classes_are_those_of_the_papers_example():
    """Pre-eclampsia, 30 parameters, 5 % events: Riley et al. 2020 give 73, 544 and 5249 (with R2 rounded to 0.05)."""
    rate, within, shrinkage, _optimism = (need.rows for need in rows_to_learn_classes(30, 0.05))
    assert (rate, within) == (73, 544)
    assert shrinkage == pytest.approx(5249, rel=0.02)


def test_the_rows_to_learn_numbers_are_those_of_the_papers_example():
    """Fat-free mass, 25 parameters, R2 of 0.2: Riley et al. 2019 give 918."""
    assert max(need.rows for need in rows_to_learn_numbers(25, 0.2)) == 918


def test_more_columns_and_rarer_classes_need_more_rows():
    assert max(n.rows for n in rows_to_learn_classes(20, 0.2)) > max(n.rows for n in rows_to_learn_classes(10, 0.2))
    assert max(n.rows for n in rows_to_learn_classes(10, 0.02)) > max(n.rows for n in rows_to_learn_classes(10, 0.2))
    assert rows_for_flexible_models(10, 0.1) == 10 * rows_for_flexible_models(1, 0.1) == 20_000


def test_a_linear_model_on_the_stated_rows_overfits_no_more_than_stated():
    """Calibration slope of least squares on fresh rows: its mean over repetitions is the shrinkage."""
    random, parameters, r2 = np.random.default_rng(2), 25, 0.2
    rows = rows_to_learn_numbers(parameters, r2)[0].rows
    weights = np.sqrt(r2 / parameters)
    slopes = []
    for _ in range(60):
        x, fresh = random.normal(size=(rows, parameters)), random.normal(size=(2000, parameters))
        noise = np.sqrt(1 - r2)
        fitted = np.linalg.lstsq(x, x.sum(axis=1) * weights + noise * random.normal(size=rows), rcond=None)[0]
        truth = fresh.sum(axis=1) * weights + noise * random.normal(size=2000)
        predicted = fresh @ fitted
        slopes.append(np.cov(truth, predicted)[0, 1] / predicted.var(ddof=1))
    assert np.mean(slopes) == pytest.approx(0.9, abs=0.03)
