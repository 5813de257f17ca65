"""The loop's metric on logged labels, and how sure it is."""

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.performance import all_metrics, material_drop, measure
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
    from sklearn.metrics import precision_score, recall_score

    table = traffic.rows(400, seed=0)
    found = all_metrics(table["label"], outputs(table), traffic.SCHEMA)
    assert {"accuracy", "f1", "roc_auc", "average_precision", "neg_log_loss", "precision", "recall"} == set(found)
    assert found["precision"] == pytest.approx(precision_score(table["label"], table["prediction"]))
    assert found["recall"] == pytest.approx(recall_score(table["label"], table["prediction"]))
    assert found["roc_auc"] == measure("roc_auc", table["label"], outputs(table), traffic.SCHEMA).value
    assert all_metrics(table["label"][:0], outputs(table)[:0], traffic.SCHEMA) == {}


def test_a_percentage_error_needs_truths_that_are_not_zero():
    truth = pd.Series([1.0, 2.0, 4.0])
    answers = pd.DataFrame({"prediction": [2.0, 2.0, 2.0]})
    assert all_metrics(truth, answers, REGRESSION)["mean_absolute_percentage_error"] == pytest.approx(0.5)
    assert "mean_absolute_percentage_error" not in all_metrics(truth - 1, answers, REGRESSION)
