"""What a metric without labels says, how sure it is, and when it calls a window worse."""

import numpy as np
import pandas as pd
import pytest

from driftloop.algorithms.metrics import Answers, score
from driftloop.monitor.columns import Column, ColumnKind, read_features
from driftloop.monitor.confidence import expect, fit_calibration, metric_of
from driftloop.monitor.estimate import EstimationBaseline, build_estimation_baseline, estimate
from driftloop.monitor.losstree import LossTree, expect_loss, fit_losses
from driftloop.predictionlog.columns import LABEL_TIME, TIME
from driftloop.spec import DataSchema, Feature, FeatureType, Harm, Target, Task
from driftloop.spec.problem import CLASSIFICATION_METRICS, REGRESSION_METRICS
from tests.monitor import traffic

X = (Feature(name="x", type=FeatureType.NUMERIC, nullable=True),)
TWO = DataSchema(task=Task.CLASSIFICATION, target=Target(name="y", classes=(False, True)), features=X)
THREE = DataSchema(task=Task.CLASSIFICATION, target=Target(name="y", classes=("a", "b", "c")), features=X)
REGRESSION = DataSchema(task=Task.REGRESSION, target=Target(name="y"), features=X)
DERIVED = (*CLASSIFICATION_METRICS, "precision", "recall")


def logistic(x):
    return 1 / (1 + np.exp(-x))


def two_classes(rows, seed, *, sureness=1.0, overconfidence=1.0, rarity=0.5):
    """Rows of a model; `sureness` is how far the inputs lie from the border, `overconfidence` what it makes of that."""
    random = np.random.default_rng(seed)
    log_odds = sureness * 1.5 * random.standard_normal(rows) - rarity
    probability = logistic(overconfidence * log_odds)
    truth = random.random(rows) < logistic(log_odds)
    return pd.DataFrame({"y": truth, "prediction": probability > 0.5, "probability": probability})


def three_classes(rows, seed):
    random = np.random.default_rng(seed)
    probability = random.dirichlet([1, 1, 1], rows)
    truth = (probability.cumsum(axis=1) > random.random(rows)[:, np.newaxis]).argmax(axis=1)
    names = np.array(["a", "b", "c"])
    table = pd.DataFrame({"y": names[truth], "prediction": names[probability.argmax(axis=1)]})
    return table.assign(probability=probability.tolist())


def a_regression(rows, seed, *, noisy=0.3):
    """Errors are three times as large where x is positive, which is so for a share `noisy`, and when x is missing."""
    random = np.random.default_rng(seed)
    x = np.where(random.random(rows) < noisy, 1.0, -1.0) * random.random(rows)
    prediction = 3 * random.standard_normal(rows)
    truth = prediction + np.where(x > 0, 3.0, 1.0) * random.standard_normal(rows)
    return pd.DataFrame({"y": truth, "prediction": prediction, "x": x})


def answers_of(table):
    probability = table["probability"].to_numpy()
    return Answers(table["prediction"].to_numpy(float), np.column_stack([1 - probability, probability]))


def learn(table, schema=TWO, metric="roc_auc", *, days=40):
    blocks = np.arange(len(table)) * days // len(table) if days else None
    return build_estimation_baseline(
        read_features(table, schema, None), table["y"], table, schema, metric=metric, blocks=blocks
    )


def ask(baseline, table, schema=TWO, significance=0.01):
    return estimate(baseline, read_features(table, schema, None), table, schema, significance=significance)


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS)
@pytest.mark.parametrize("classes", [2, 3])
def test_certain_chances_give_the_metric_of_labels(metric, classes):
    random = np.random.default_rng(0)
    probability = random.dirichlet(np.ones(classes), 300).round(1)
    probability[:, -1] = 1 - probability[:, :-1].sum(axis=1)
    truth = random.integers(classes, size=300).astype(float)
    answers = Answers(probability.argmax(axis=1).astype(float), probability)
    found, _ = metric_of(metric, np.eye(classes)[truth.astype(int)], answers)
    assert found == pytest.approx(score(metric, truth, answers), abs=1e-12)


@pytest.mark.parametrize("metric", DERIVED)
@pytest.mark.parametrize("classes", [2, 3])
def test_derivatives_are_those_of_small_steps(metric, classes):
    random = np.random.default_rng(1)
    answers = Answers(random.integers(classes, size=30).astype(float), random.dirichlet(np.ones(classes), 30).round(1))
    chances = random.dirichlet(np.ones(classes), 30)
    _, gradient = metric_of(metric, chances, answers)
    for row, code in ((0, 0), (7, classes - 1), (29, 1)):
        step = np.zeros_like(chances)
        step[row, code] = 1e-5
        slope = (metric_of(metric, chances + step, answers)[0] - metric_of(metric, chances - step, answers)[0]) / 2e-5
        assert gradient[row, code] == pytest.approx(slope, abs=1e-6)
    assert (gradient * chances).sum() == pytest.approx(0, abs=1e-9)


def test_leverage_is_the_effect_of_a_piece_of_the_map():
    table = two_classes(2000, seed=0, overconfidence=2)
    calibration = fit_calibration(table["probability"].to_numpy(), table["y"].to_numpy(float))
    found = expect("roc_auc", (calibration,), answers_of(table))
    piece = len(calibration.variances) // 2
    moved = np.array(calibration.shares)
    moved[[2 * piece, 2 * piece + 1]] += 1e-5
    after = expect("roc_auc", (calibration.model_copy(update={"shares": tuple(moved)}),), answers_of(table))
    assert (after.value - found.value) / 1e-5 == pytest.approx(found.leverage[piece], rel=1e-3)


def test_a_calibrated_model_is_left_as_it_is_and_an_overconfident_one_is_corrected():
    honest, vain = two_classes(4000, seed=0), two_classes(4000, seed=0, overconfidence=3)
    of_honest, of_vain = (fit_calibration(t["probability"].to_numpy(), t["y"].to_numpy(float)) for t in (honest, vain))
    grid = np.linspace(0.05, 0.95, 19)
    assert of_honest.method == "identity"
    assert of_honest.calibrate(grid) == pytest.approx(grid)
    assert of_vain.method != "identity"
    assert of_vain.calibrate(np.array([0.95])) < 0.85


def test_a_step_is_learned_by_isotonic_regression():
    random = np.random.default_rng(0)
    scores = random.random(4000)
    calibration = fit_calibration(scores, (random.random(4000) < np.where(scores > 0.5, 0.7, 0.3)).astype(float))
    assert calibration.method == "isotonic"
    assert calibration.calibrate(np.array([0.1, 0.4, 0.6, 0.9])) == pytest.approx([0.3, 0.3, 0.7, 0.7], abs=0.06)


def test_the_standard_error_is_the_spread_over_windows():
    baseline = learn(two_classes(4000, seed=0, overconfidence=2))
    found = [ask(baseline, two_classes(400, seed=seed, overconfidence=2)) for seed in range(1, 101)]
    spread = np.std([one.value for one in found])
    assert spread < np.mean([one.standard_error for one in found]) < 2 * spread


@pytest.mark.parametrize("metric", DERIVED)
def test_realized_metrics_lie_within_two_standard_errors_of_the_estimate(metric):
    # 95 % are expected of 120 windows; fewer than 88 % have a chance below 0.1 %.
    baseline = learn(two_classes(4000, seed=0, overconfidence=2))
    hits = []
    for seed in range(1, 121):
        table = two_classes(300, seed=seed, overconfidence=2)
        found = baseline.expect(answers_of(table), {}, metric=metric)
        truth = table["y"].to_numpy(float)
        real, _ = metric_of(metric, np.column_stack([1 - truth, truth]), answers_of(table))
        hits.append(abs(real - found.value) < 2 * np.sqrt(found.label_variance + found.calibration_variance))
    assert 0.88 < np.mean(hits) <= 1


def test_harder_inputs_are_seen_without_labels():
    baseline = learn(two_classes(4000, seed=0, overconfidence=2))
    table = two_classes(1000, seed=1, overconfidence=2, sureness=0.5)
    found = ask(baseline, table)
    real = score("roc_auc", table["y"].to_numpy(float), answers_of(table))
    assert found.changed
    assert found.method == "CBPE"
    assert found.value == pytest.approx(real, abs=0.04)
    assert found.value < found.reference - 0.05


def test_concept_drift_is_not_seen():
    baseline = learn(two_classes(4000, seed=0))
    table = two_classes(1000, seed=1)
    shuffled = table.assign(y=np.random.default_rng(0).permutation(table["y"]))
    assert score("roc_auc", shuffled["y"].to_numpy(float), answers_of(shuffled)) < 0.55
    found = ask(baseline, shuffled)
    assert found == ask(baseline, table)
    assert not found.changed


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "neg_log_loss"])
def test_stable_windows_are_called_worse_within_the_share_of_the_budget(metric):
    # Significance 5 %; of 400 windows over 20 references at most 9 % alarm with a chance above 99.9 %.
    alarms = []
    for reference in range(20):
        baseline = learn(two_classes(1500, seed=1000 + reference), metric=metric)
        alarms += [
            ask(baseline, two_classes(60, seed=100 * reference + seed), significance=0.05).changed for seed in range(20)
        ]
    assert np.mean(alarms) <= 0.09


def test_days_that_differ_widen_what_is_usual():
    # On half of the reference's days the inputs are hard; such a day is no news.
    days = [two_classes(200, seed=day, sureness=0.4 if day % 2 else 1.5) for day in range(20)]
    table = pd.concat(days, ignore_index=True)
    baseline = learn(table, days=20)
    hard = two_classes(400, seed=99, sureness=0.4)
    assert baseline.spread > 0.05
    assert baseline.blocks == 20
    assert not ask(baseline, hard, significance=0.001).changed
    assert ask(
        learn(table.sample(frac=1, random_state=0, ignore_index=True), days=20), hard, significance=0.001
    ).changed


def test_days_that_only_the_labels_show_widen_the_estimate():
    table = two_classes(4000, seed=0)
    random = np.random.default_rng(1)
    bad = (np.arange(4000) // 200) % 2 == 0
    patchy = table.assign(y=table["y"].where(~bad, random.permutation(table["y"])))
    quiet, loud = learn(table, days=20), learn(patchy, days=20)
    window = two_classes(400, seed=3)
    assert loud.unseen_spread > 0.1
    assert ask(loud, window).standard_error > 1.5 * ask(quiet, window).standard_error


def test_three_classes_are_estimated():
    table = three_classes(600, seed=1)
    baseline = learn(three_classes(3000, seed=0), THREE, "roc_auc")
    probability = np.array(table["probability"].tolist())
    truth = table["y"].map({"a": 0.0, "b": 1.0, "c": 2.0}).to_numpy()
    real = score("roc_auc", truth, Answers(probability.argmax(axis=1).astype(float), probability))
    found = ask(baseline, table, THREE)
    assert found.value == pytest.approx(real, abs=0.04)
    assert found.standard_error < 0.02
    assert not found.changed


@pytest.mark.parametrize("metric", REGRESSION_METRICS)
def test_larger_errors_are_seen_from_the_features(metric):
    baseline = learn(a_regression(4000, seed=0), REGRESSION, metric)
    usual, hard = a_regression(1000, seed=1), a_regression(1000, seed=2, noisy=0.8)
    before, found = ask(baseline, usual, REGRESSION), ask(baseline, hard, REGRESSION)
    real = score(metric, hard["y"].to_numpy(), Answers(hard["prediction"].to_numpy()))
    assert found.method == "DLE"
    assert not before.changed
    assert found.changed
    assert found.value == pytest.approx(real, rel=0.1)


@pytest.mark.parametrize("metric", REGRESSION_METRICS)
def test_realized_losses_lie_within_two_standard_errors_of_the_estimate(metric):
    # As above; the noise of the truth's own variance is left out of r2's error, hence its lower bound.
    baseline = learn(a_regression(6000, seed=0), REGRESSION, metric)
    hits = []
    for seed in range(1, 121):
        table = a_regression(300, seed=seed)
        answers = Answers(table["prediction"].to_numpy())
        found = baseline.expect(answers, read_features(table, REGRESSION, None))
        real = score(metric, table["y"].to_numpy(), answers)
        hits.append(abs(real - found.value) < 2 * np.sqrt(found.label_variance + found.calibration_variance))
    assert np.mean(hits) > (0.8 if metric == "r2" else 0.88)


@pytest.mark.parametrize("metric", REGRESSION_METRICS)
def test_influences_are_those_of_a_row_more(metric):
    table = a_regression(500, seed=0)
    features = read_features(table, REGRESSION, None)
    tree = fit_losses(table["y"].to_numpy(), table["prediction"].to_numpy(), features)
    found = expect_loss(metric, tree, table["prediction"].to_numpy(), features)
    twice = pd.concat([table, table.iloc[[3]]], ignore_index=True)
    after = expect_loss(metric, tree, twice["prediction"].to_numpy(), read_features(twice, REGRESSION, None))
    assert found.influence.sum() == pytest.approx(0, abs=1e-9)
    assert after.value - found.value == pytest.approx(found.influence[3], rel=0.02)


def test_a_tree_reads_categories_and_missing_values():
    random = np.random.default_rng(0)
    kind = random.choice(["calm", "wild"], size=2000).astype(object)
    kind[::10] = None
    error = np.where(kind == "wild", 5.0, 1.0) * random.standard_normal(2000)
    features = {"kind": Column(ColumnKind.CATEGORICAL, kind)}
    tree = fit_losses(error, np.zeros(2000), features)
    assert LossTree.model_validate_json(tree.model_dump_json(by_alias=True)) == tree
    new = {"kind": Column(ColumnKind.CATEGORICAL, np.array(["wild", "calm", None, "never seen"], dtype=object))}
    losses = [tree.nodes[leaf].absolute for leaf in tree.leaves(np.zeros(4), new)]
    assert losses[0] > 3
    assert losses[1] < 1.5
    assert losses[2] == losses[3]


def test_errors_that_nothing_explains_need_no_tree():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"y": random.standard_normal(500), "prediction": 0.0, "x": random.random(500)})
    assert len(fit_losses(table["y"].to_numpy(), table["prediction"].to_numpy(), {}).nodes) == 1


@pytest.mark.parametrize(("schema", "make"), [(TWO, two_classes), (THREE, three_classes), (REGRESSION, a_regression)])
def test_a_baseline_survives_its_file(schema, make):
    baseline = learn(make(500, seed=0), schema, "r2" if schema is REGRESSION else "neg_log_loss")
    assert EstimationBaseline.model_validate_json(baseline.model_dump_json(by_alias=True)) == baseline


def test_without_answers_there_is_no_estimate_and_nothing_breaks():
    table = two_classes(1000, seed=0)
    baseline = learn(table)
    for window in (table[:0], table[:1], table.assign(probability=None), table.drop(columns="probability")):
        found = ask(baseline, window)
        assert found.value is None
        assert not found.changed
    assert learn(table.assign(probability=None)) is None
    assert learn(table[:20]) is None
    assert learn(table.assign(y=None)) is None


def test_odd_windows_have_an_estimate_or_none():
    baseline = learn(two_classes(1000, seed=0))
    table = two_classes(300, seed=1)
    half = table.assign(probability=table["probability"].where(np.arange(300) % 2 == 0))
    assert ask(baseline, half).value == ask(baseline, table[::2]).value
    assert ask(baseline, table.assign(probability=0.4)).value == pytest.approx(0.5)
    assert ask(learn(two_classes(1000, seed=0), metric="accuracy"), table[:2]).value is not None
    one_class = two_classes(1000, seed=0).assign(y=True)
    assert learn(one_class) is None
    assert learn(one_class, metric="neg_log_loss").reference == pytest.approx(-1.23, abs=0.01)


def test_odd_regressions_have_an_estimate():
    table = a_regression(400, seed=0)
    for odd in (table.assign(x=np.nan), table.assign(x=1e300), table.assign(prediction=0.0), table.assign(y=1.0)):
        baseline = learn(odd, REGRESSION, "neg_root_mean_squared_error")
        assert np.isfinite(ask(baseline, odd, REGRESSION).value)
    perfect = learn(table.assign(y=table["prediction"]), REGRESSION, "r2")
    assert ask(perfect, table, REGRESSION).value == pytest.approx(1)


def test_verdicts_carry_the_estimate(judge):
    table = traffic.rows(500, seed=2)
    frame = traffic.as_logged(table)
    verdict = judge.judge_inputs(frame, traffic.window_of(frame))
    real = score("roc_auc", table["label"].to_numpy(float), answers_of(table))
    assert verdict.estimate.method == "CBPE"
    assert verdict.estimate.value == pytest.approx(real, abs=0.06)
    assert verdict.estimate.reference == pytest.approx(judge.baseline.metric_value, abs=0.02)
    assert not verdict.estimate.changed


def test_a_model_that_is_sure_of_nothing_any_more_is_harmed(judge):
    table = traffic.rows(500, seed=2)
    unsure = table.assign(temp=table["temp"] + 10, probability=0.27 + 0.1 * (table["probability"] - 0.27))
    frame = traffic.as_logged(unsure)
    verdict = judge.judge_inputs(frame, traffic.window_of(frame))
    assert verdict.estimate.changed
    assert verdict.harm is Harm.HARMFUL


def test_a_baseline_without_labels_gives_verdicts_without_estimate():
    judge = traffic.judge_of(traffic.baseline_of(traffic.rows(2000, seed=1), labels=False))
    frame = traffic.as_logged(traffic.rows(500, seed=2))
    assert judge.judge_inputs(frame, traffic.window_of(frame)).estimate is None


def test_a_performance_verdict_tells_all_metrics_and_how_soon_labels_came(judge):
    frame = traffic.as_logged(traffic.rows(500, seed=2))
    frame[LABEL_TIME] = frame[TIME] + pd.to_timedelta(np.where(np.arange(500) < 400, 5, 30), unit="h")
    performance = judge.judge_performance(frame, traffic.window_of(frame)).performance
    assert performance.metrics["roc_auc"] == performance.value
    assert {"accuracy", "precision", "recall", "f1", "neg_log_loss"} < set(performance.metrics)
    assert performance.maturity[0].delay_seconds == 6 * 3600
    assert performance.maturity[0].share == pytest.approx(0.8)
