"""A proof of concept without a target: go where structure is there and found again."""

import numpy as np
import pytest

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import all_scores, intervals, score, standard_error
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, FeasibilityVerdict, Target, Task, TrainingSpec
from driftloop.stages.feasibility import build_page, judge
from driftloop.stages.feasibilitystructure import StructureStudy, study_structure
from driftloop.stages.judgements import Examination, Worth
from driftloop.stages.records import Evaluation, Explanation
from tests.pagecheck import check_page
from tests.stages.test_feasibility import made, verdict_on

EXPLANATION = Explanation(metric="silhouette", rows=9, repeats=1, score=0.5, columns=())


def studied(rows, task=Task.CLUSTERING, algorithm="KMeans"):
    random = np.random.default_rng(0)
    rows = random.permutation(rows)
    train, test = rows[:600], rows[600:]
    entry = get_algorithm(algorithm)
    model = entry.build(task, entry.defaults, 0).fit(train)
    answers, nothing = answer(model, test, task), np.full(len(test), np.nan)
    metric = "silhouette" if task is Task.CLUSTERING else "stability"
    evaluation = Evaluation(
        algorithm=algorithm,
        params=dict(entry.defaults),
        metric=metric,
        score=score(metric, nothing, answers),
        standard_error=standard_error(metric, nothing, answers, seed=0),
        metrics=all_scores(task, nothing, answers),
        intervals=intervals(task, nothing, answers, seed=0),
        test_rows=len(test),
    )
    schema = DataSchema(task=task, target=Target(), features=())
    found = study_structure(
        train, test, schema, evaluation=evaluation, explanation=EXPLANATION, training=TrainingSpec()
    )
    return found, judged(found)


def judged(found, threshold=None):
    return judge(
        found,
        loop="parcels",
        run_key="k",
        run_id="r",
        data_digest="d",
        rows=900,
        all_rows=900,
        training=TrainingSpec(max_trial_count=6),
        threshold=threshold,
    )


def groups(count, apart):
    random = np.random.default_rng(1)
    return random.normal(size=(900, 4)) + apart * (np.arange(900) % count)[:, None] * np.array([1, -1, 1, -1])


def test_groups_that_lie_apart_are_a_go_and_a_cloud_is_none():
    found, result = studied(groups(3, 6.0))
    assert result.verdict is FeasibilityVerdict.GO
    assert len(found.shuffled) == 3
    check_page(build_page(result, found, None))
    _, cloud = studied(groups(1, 0.0))
    assert cloud.verdict is FeasibilityVerdict.NO_GO
    assert "little structure" in " ".join(cloud.advice)


def test_anomalies_without_labels_are_judged_by_stability():
    found, result = studied(groups(1, 0.0), Task.ANOMALY_DETECTION, "IsolationForest")
    assert found.shuffled == ()
    assert any("agree by" in reason for reason in result.reasons)


@pytest.mark.parametrize(("low", "verdict"), [(0.6, FeasibilityVerdict.GO), (0.4, FeasibilityVerdict.NO_GO)])
def test_anomalies_with_labels_must_be_found_better_than_by_chance(low, verdict):
    evaluation = Evaluation(
        algorithm="IsolationForest",
        params={},
        metric="roc_auc",
        score=0.7,
        standard_error=0.1,
        metrics={"roc_auc": 0.7, "stability": 0.9},
        intervals={"roc_auc": (low, 0.8)},
        test_rows=100,
    )
    assert judged(StructureStudy(evaluation, EXPLANATION, ())).verdict is verdict


@pytest.mark.parametrize(("lower", "verdict"), [(5.0, FeasibilityVerdict.GO), (-5.0, FeasibilityVerdict.NO_GO)])
def test_what_answers_are_worth_decides_too(lower, verdict):
    worth = Worth(
        model=100,
        lower=80,
        upper=120,
        dummy=60,
        gain=40,
        gain_lower=lower,
        gain_upper=70,
        most_probable=90,
        perfect=200,
    )
    found = made()
    evaluation = found.evaluation.model_copy(update={"examination": Examination(worth=worth)})
    found = type(found)(**{**vars(found), "evaluation": evaluation})
    result = verdict_on(found)
    assert result.verdict is verdict
    assert "value per 1,000 cases 100.0 against 60.0" in " ".join(result.reasons)
    check_page(build_page(result, found, None))
