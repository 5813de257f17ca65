import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from driftloop.algorithms.metrics import Interval
from driftloop.spec import DataSchema, FeasibilityVerdict, Feature, FeatureType, Target, Task, TrainingSpec
from driftloop.stages.clean import Cleaner
from driftloop.stages.feasibility import Curve, Study, build_page, judge, study
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import Evaluation, Explanation

SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=tuple(Feature(name=name, type=FeatureType.NUMERIC, nullable=False) for name in ("a", "b", "c")),
)
EXPLANATION = Explanation(metric="roc_auc", rows=100, repeats=2, score=0.8, columns=())


def evaluation(score=0.8, algorithm="Linear", params=None):
    return Evaluation(
        algorithm=algorithm,
        params=params or {"C": 1.0},
        metric="roc_auc",
        score=score,
        standard_error=0.01,
        metrics={"roc_auc": score},
        test_rows=300,
    )


def measured(signal, *, rows=1600, seed=0):
    """A study on rows whose target depends on three columns as strongly as `signal` says."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    y = signal * x.sum(axis=1) + random.normal(size=rows) > 0
    table = pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "late": y})
    cut = rows // 2
    estimator = LogisticRegression().fit(x[:cut], y[:cut])
    chain = Pipeline(
        [
            ("clean", Cleaner({"a": 0.0, "b": 0.0, "c": 0.0}, [])),
            ("transform", FunctionTransformer(np.asarray)),
            ("estimator", estimator),
        ]
    )
    matrices = Matrices(x[:cut], y[:cut], x[cut : cut + 400], y[cut : cut + 400])
    return study(
        chain,
        matrices,
        table.slice(0, cut),
        table.slice(cut + 400),
        SCHEMA,
        evaluation=evaluation(),
        explanation=EXPLANATION,
        training=TrainingSpec(),
    )


def verdict_on(found, *, threshold=None, rows=1600, all_rows=1600):
    return judge(
        found,
        loop="parcels",
        run_key="k",
        run_id="r",
        data_digest="d",
        rows=rows,
        all_rows=all_rows,
        training=TrainingSpec(max_trial_count=6),
        threshold=threshold,
    )


def made(*, score=0.8, over_dummy=(0.3, 0.2, 0.4), over_tree=(0.1, 0.05, 0.15), curve=None, rarest=("True", 90)):
    return Study(
        evaluation=evaluation(score),
        explanation=EXPLANATION,
        curve=curve or Curve((100, 200, 400, 800), (0.70, 0.74, 0.77, 0.80), 0.01),
        dummy_score=0.5,
        over_dummy=Interval(*over_dummy),
        tree_score=0.7,
        over_tree=Interval(*over_tree),
        rarest=rarest,
    )


def told(result):
    return " ".join((*result.reasons, *result.advice))


def test_a_real_signal_is_a_go():
    found = measured(1.5)
    result = verdict_on(found)
    assert result.verdict is FeasibilityVerdict.GO
    assert found.over_tree.lower > 0, "three columns say more than a tree of three questions"


def test_noise_is_a_no_go_that_asks_for_better_columns():
    result = verdict_on(measured(0.0))
    assert result.verdict is FeasibilityVerdict.NO_GO
    assert "Add columns that a person would look at" in told(result)


def test_the_curve_is_fitted_on_training_rows_in_eighths():
    curve = measured(1.5).curve
    assert curve.sizes[-1] == 800
    assert [round(size / 100) for size in curve.sizes] == [1, 2, 4, 8]


@pytest.mark.parametrize(("threshold", "verdict"), [(0.75, FeasibilityVerdict.GO), (0.85, FeasibilityVerdict.NO_GO)])
def test_the_threshold_decides(threshold, verdict):
    assert verdict_on(made(), threshold=threshold).verdict is verdict


def test_the_rows_that_a_threshold_takes_are_read_from_the_curve():
    result = verdict_on(made(), threshold=0.86)  # two doublings of 0.03
    assert "0.86 takes about 6,400 rows" in told(result)


def test_a_threshold_out_of_reach_is_told_as_such():
    assert "further away than rows alone can bring" in told(verdict_on(made(), threshold=0.99 + 0.05))


def test_a_flat_curve_says_that_rows_help_little():
    flat = Curve((100, 200, 400, 800), (0.80, 0.80, 0.801, 0.80), 0.01)
    assert "More rows would help little" in told(verdict_on(made(curve=flat)))


def test_a_class_with_few_test_rows_can_not_be_judged():
    result = verdict_on(made(rarest=("fraud", 4)))
    assert result.verdict is FeasibilityVerdict.NO_GO
    assert "about 5 times as many rows of 'fraud'" in told(result)


def test_a_tree_that_does_as_well_is_recommended():
    result = verdict_on(made(over_tree=(0.0, -0.02, 0.02)))
    assert result.verdict is FeasibilityVerdict.GO
    assert "plain rules may be all you need" in told(result)


def test_what_was_reduced_is_told():
    result = verdict_on(made(), rows=5000, all_rows=80_000)
    assert "a sample of 5,000 of 80,000 rows, 6 trials" in told(result)
    assert "There are 80,000 rows already" in told(result)


def test_the_page_shows_verdict_reasons_and_curve():
    found = made()
    page = build_page(verdict_on(found), found, 0.75)
    assert "<h1>Feasibility of parcels: Go</h1>" in page
    assert "Learning curve" in page
    assert "http" not in page.replace("http-equiv", ""), "self-contained"
