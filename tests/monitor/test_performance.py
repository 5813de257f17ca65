"""The loop's metric on logged labels, and how sure it is."""

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.performance import (
    Reference,
    Spread,
    all_metrics,
    block_spread,
    has_fallen,
    material_drop,
    measure,
    spread_of,
)
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.monitor import traffic

X = (Feature(name="x", type=FeatureType.NUMERIC, nullable=False),)
REGRESSION = DataSchema(task=Task.REGRESSION, target=Target(name="y"), features=X)
THREE = DataSchema(task=Task.CLASSIFICATION, target=Target(name="y", classes=("a", "b", "c")), features=X)


def outputs(table):
    return table[["prediction", "probability"]]


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy", "f1", "neg_log_loss"])
def test_the_standard_error_is_the_spread_over_windows(metric):
    found = [
        measure(metric, table["label"], outputs(table), traffic.SCHEMA)
        for table in (traffic.rows(400, seed=seed) for seed in range(60))
    ]
    spread = np.std([measurement.value for measurement in found])
    assert np.mean([measurement.standard_error for measurement in found]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("metric", ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"])
def test_regression_is_measured(metric):
    random = np.random.default_rng(0)
    truth = pd.Series(random.standard_normal(400))
    answers = pd.DataFrame({"prediction": truth + 0.5 * random.standard_normal(400)})
    found = measure(metric, truth, answers, REGRESSION)
    assert found.value == pytest.approx({"r2": 0.75, "neg_mean_absolute_error": -0.4}.get(metric, -0.5), abs=0.05)
    assert 0 < found.standard_error < 0.05


def test_more_than_two_classes_are_measured():
    random = np.random.default_rng(0)
    probability = random.dirichlet([1, 1, 1], 400)
    truth = pd.Series([random.choice(["a", "b", "c"], p=p) for p in probability])
    answers = pd.DataFrame({"prediction": np.array(["a", "b", "c"])[probability.argmax(1)]})
    answers["probability"] = probability.tolist()
    assert measure("roc_auc", truth, answers, THREE).value > 0.6
    assert measure("accuracy", truth, answers, THREE).value > 0.5


def test_bad_days_widen_the_standard_error():
    table = traffic.rows(2000, seed=0)
    bad = (np.arange(2000) // 100) % 2 == 0
    patchy = table["label"].where(~bad, np.random.default_rng(0).permutation(table["label"]))
    scattered = patchy.sample(frac=1, random_state=0)
    answers = outputs(table)
    in_stretches = measure("roc_auc", patchy, answers, traffic.SCHEMA)
    mixed = measure("roc_auc", scattered, answers.loc[scattered.index], traffic.SCHEMA)
    assert in_stretches.value == mixed.value
    assert in_stretches.standard_error > 2 * mixed.standard_error


def test_rows_that_cannot_be_read_are_left_out():
    table = traffic.rows(400, seed=0).astype({"label": object})
    table.loc[:9, "label"] = "perhaps"
    table.loc[10:19, "probability"] = np.nan
    assert measure("roc_auc", table["label"], outputs(table), traffic.SCHEMA).rows == 380


def test_no_label_and_one_class_have_no_value():
    table = traffic.rows(400, seed=0)
    assert measure("roc_auc", table["label"][:0], outputs(table)[:0], traffic.SCHEMA).value is None
    assert measure("roc_auc", pd.Series([True] * 400), outputs(table), traffic.SCHEMA).value is None


def test_a_class_of_one_stretch_only_has_a_value_without_error():
    table = traffic.rows(400, seed=0)
    found = measure("roc_auc", pd.Series(np.arange(400) < 10), outputs(table), traffic.SCHEMA)
    assert found.value is not None
    assert found.standard_error is None


def test_what_matters_is_absolute_for_scores_and_relative_for_losses():
    assert material_drop("roc_auc", 0.9) == 0.02
    assert material_drop("neg_mean_absolute_error", -10.0) == 0.5


def test_every_metric_of_the_task_is_told():
    table = traffic.rows(400, seed=0)
    found = all_metrics(table["label"], outputs(table), traffic.SCHEMA)
    assert {"accuracy", "f1", "roc_auc", "average_precision", "neg_log_loss", "precision", "recall"} == set(found)
    hits = (table["label"] & table["prediction"]).sum()
    assert found["precision"] == pytest.approx(hits / table["prediction"].sum())
    assert found["recall"] == pytest.approx(hits / table["label"].sum())
    assert found["roc_auc"] == measure("roc_auc", table["label"], outputs(table), traffic.SCHEMA).value
    assert all_metrics(table["label"][:0], outputs(table)[:0], traffic.SCHEMA) == {}


def test_a_percentage_error_needs_truths_that_are_not_zero():
    truth = pd.Series([1.0, 2.0, 4.0])
    answers = pd.DataFrame({"prediction": [2.0, 2.0, 2.0]})
    assert all_metrics(truth, answers, REGRESSION)["mean_absolute_percentage_error"] == pytest.approx(0.5)
    assert "mean_absolute_percentage_error" not in all_metrics(truth - 1, answers, REGRESSION)


def errors_of(kind, days, random, rows=200):
    """A model's errors by day: independent, resembling the error before, or larger on bad days, which come in rows."""
    if kind == "independent":
        return random.standard_normal((days, rows))
    if kind == "autocorrelated":
        return autoregressive(0.9, days * rows, random).reshape(days, rows)
    return random.standard_normal((days, rows)) * np.exp(0.2 * autoregressive(0.7, days, random))[:, np.newaxis]


def autoregressive(correlation, length, random):
    from scipy.signal import lfilter

    noise = np.sqrt(1 - correlation**2) * random.standard_normal(length + 500)
    return lfilter([1], [1, -correlation], noise)[500:]


@pytest.mark.parametrize("kind", ["independent", "autocorrelated", "bad days in rows"])
def test_stable_days_fall_within_the_share_of_the_budget(kind, monkeypatch):
    # Significance 5 % without materiality: of 400 days over 10 references of 30 days, at most 9 % fall; days of one
    # reference are judged alike, which is why the bound is wide.
    monkeypatch.setattr("driftloop.monitor.performance.MATERIAL_LOSS_INCREASE", 0.0)
    metric, falls = "neg_mean_absolute_error", []
    for seed in range(10):
        errors = errors_of(kind, 70, np.random.default_rng(seed))
        labels = pd.Series(errors.ravel())
        answers = pd.DataFrame({"prediction": np.zeros(errors.size)})
        known, blocks = slice(0, 30 * 200), np.repeat(np.arange(30), 200)
        whole = measure(metric, labels[known], answers[known], REGRESSION)
        spread = block_spread(metric, labels[known], answers[known], REGRESSION, blocks)
        reference = Reference(whole.value, whole.standard_error, spread)
        for day in range(30, 70):
            rows = slice(day * 200, (day + 1) * 200)
            found = measure(metric, labels[rows], answers[rows], REGRESSION)
            falls.append(has_fallen(metric, found.value, found.standard_error**2, reference, 0.05))
    assert 0.005 < np.mean(falls) < 0.09


def test_a_fall_is_seen():
    usual = Reference(-1.0, 0.01, Spread(0.03, 30))
    assert has_fallen("neg_mean_absolute_error", -1.3, 0.05**2, usual, 0.0067)
    assert not has_fallen("neg_mean_absolute_error", -1.1, 0.05**2, usual, 0.0067)
    assert not has_fallen("neg_mean_absolute_error", -1.04, 0.001**2, usual, 0.0067)  # significant, not material
    assert has_fallen("accuracy", 0.9, 0.01**2, Reference(1.0, 0.0, Spread(0.0, 0)), 0.0067)


def test_bad_days_in_a_row_are_fewer_days():
    random = np.random.default_rng(0)
    alone, rows = random.standard_normal(60), autoregressive(0.8, 60, random)
    scattered, together = (spread_of([(value, 0.0) for value in values]) for values in (alone, rows))
    assert scattered.blocks > 30
    assert together.blocks < 15
    assert spread_of([(value, 5.0) for value in alone]).deviation == 0
    assert spread_of([(1.0, 0.1), (2.0, 0.1)]) == Spread(0.0, 2)
    assert spread_of([(1.0, 0.0)] * 5).deviation == 0
