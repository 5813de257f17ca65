"""Clustering and anomaly detection through the stages after `train`, in this process."""

import numpy as np
import pandas as pd
import pytest

from driftloop.spec import AcceptanceSpec, DataSpec, GovernanceSpec, ProblemSpec, RunVerdict, Task
from driftloop.spec.runresult import Comparison
from driftloop.stages.assess import assess
from driftloop.stages.card import build_card
from driftloop.stages.evaluate import answered_schema, describe
from driftloop.stages.evaluationpage import build_evaluation_page
from driftloop.stages.explain import AGREEMENT, explain
from driftloop.stages.explain import build_page as build_explanation_page
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.predict import build_sample, predict
from driftloop.stages.records import SHARE_ERROR, Assessment, ChampionComparison
from driftloop.stages.register import Findings, judge
from driftloop.stages.table import read_features
from driftloop.stages.train import NoScoreError
from tests.pagecheck import check_page
from tests.unsupervised.chains import customers, make

CASES = [
    (Task.CLUSTERING, "KMeans"),
    (Task.CLUSTERING, "GaussianMixture"),
    (Task.CLUSTERING, "HDBSCAN"),
    (Task.ANOMALY_DETECTION, "LocalOutlierFactor"),
    (Task.ANOMALY_DETECTION, "OneClassSVM"),
]


def gaps() -> pd.DataFrame:
    table = customers()
    table.loc[::40, "visits"] = np.nan
    table.loc[5::40, "city"] = None
    return table


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[1])
def made(request):
    return make(request.param[0], gaps(), request.param[1])


def test_the_test_rows_judge_and_the_page_shows_what_was_found(made):
    judged = made.judge()
    evaluation = judged.evaluation
    assert evaluation.score == evaluation.metrics[evaluation.metric]
    assert "stability" in evaluation.intervals
    page = build_evaluation_page(judged, made.schema, "customers")
    check_page(page)
    title = "Which groups are there?" if made.schema.task is Task.CLUSTERING else "Which rows are odd?"
    assert title in page
    assert "nan" not in page.lower().replace("finance", "")


def test_columns_count_by_what_shuffling_them_does_to_the_answers(made):
    explanation = explain(made.chain, made.test, made.schema, metric="silhouette", seed=0)
    assert explanation.metric == AGREEMENT
    assert explanation.score == pytest.approx(1)
    assert explanation.columns[0].is_distinguishable
    check_page(build_explanation_page(explanation))


def test_the_baseline_knows_inputs_and_answers_and_no_labels(made):
    judged, schema = made.judge(), answered_schema(made.chain, made.schema)
    baseline = describe(judged, made.rows, made.test, schema, window=pd.Timedelta(days=1))
    assert baseline.label is None
    assert baseline.estimation is None
    outputs = {column.name: column for column in baseline.outputs}
    if schema.task is Task.CLUSTERING:
        assert set(outputs["prediction"].counts) <= {str(cluster) for cluster in schema.target.classes}
        assert list(outputs) == ["prediction"]
    else:
        assert set(outputs["prediction"].counts) <= {"true", "false"}
        assert 0 <= outputs["probability"].quantiles[0] <= outputs["probability"].quantiles[-1] <= 1


def test_a_loaded_model_answers_the_same_new_categories_gaps_and_single_rows_too(made, tmp_path):
    save_model(made.chain, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    odd = pd.DataFrame({"spend": [1.0, None], "visits": [None, 3.0], "age": [2.0, 2.0], "city": ["Rome", None]})
    frame = frame_to_model_frame(odd.astype({"spend": float, "visits": float}), made.schema)
    told, schema = predict(loaded, frame, made.schema), answered_schema(made.chain, made.schema)
    assert told == predict(made.chain, frame, made.schema)
    assert all(answer in schema.target.classes for answer in told.predictions)
    alone = predict(loaded, frame.head(1), schema)
    assert alone.predictions == told.predictions[:1]
    sample = build_sample(made.chain, made.test.to_pandas(), schema)
    assert len(sample["predictions"]) == min(64, made.test.num_rows)


def test_groups_are_shown_without_a_truth(made):
    found = assess(lambda: made.chain, made.test, made.schema, sensitive_columns=["city"], metric="stability")
    assert found.columns[0].differences == {}
    assert {group.base_rate for group in found.columns[0].groups} == {None}


def test_the_card_says_what_the_model_tells(made):
    evaluation = made.judge().evaluation
    explanation = explain(made.chain, made.test, made.schema, metric="silhouette", seed=0)
    card = build_card(
        "customers",
        made.schema,
        evaluation,
        explanation,
        Assessment(metric=evaluation.metric),
        problem=ProblemSpec(task=made.schema.task),
        data=DataSpec(uri="rows.csv"),
        governance=GovernanceSpec(),
    )
    assert ("Tells which cluster" if made.schema.task is Task.CLUSTERING else "Tells whether a row") in card
    assert evaluation.notes[0] in card


def test_a_challenger_in_clusters_is_compared_in_its_own_space_and_must_be_stable():
    champion = make(Task.CLUSTERING, customers(), "KMeans")
    challenger = make(Task.CLUSTERING, customers(start=300, seed=1), "Agglomerative")
    judged = challenger.judge(champion)
    comparison = judged.against_champion.comparison
    assert (comparison.metric, comparison.rows) == ("silhouette", 45)
    assert comparison.agreement > 0.95
    assert comparison.lower <= comparison.difference <= comparison.upper
    verdict = accept(judged.evaluation, comparison)
    assert verdict.reasons[0].startswith("Held: silhouette")
    assert "on the newest 45 rows" in verdict.reasons[0]
    shaky = judged.evaluation.model_copy(update={"metrics": {"stability": 0.3}})
    assert any("agree by 0.30" in reason for reason in accept(shaky, comparison).reasons)
    assert accept(shaky, comparison).verdict is RunVerdict.REJECTED


def accept(evaluation, comparison: Comparison):
    found = Findings(
        evaluation,
        ChampionComparison(comparison=comparison),
        explanation=None,
        assessment=Assessment(metric="x"),
        latency_seconds=0.01,
    )
    return judge(found, AcceptanceSpec(champion_comparison="NotWorse"), threshold=None)


def test_without_labels_a_detector_that_cries_wolf_is_replaced_by_one_that_does_not():
    champion = make(Task.ANOMALY_DETECTION, customers(), "LocalOutlierFactor", contamination=0.05)
    moved = customers(start=300, seed=1, shift=3.0)
    challenger = make(Task.ANOMALY_DETECTION, moved, "LocalOutlierFactor", contamination=0.05)
    comparison = challenger.judge(champion).against_champion.comparison
    assert comparison.metric == SHARE_ERROR
    assert comparison.champion < -0.5
    assert comparison.lower > 0
    unlike = comparison.model_copy(update={"agreement": 0.1})
    verdict = accept(challenger.judge().evaluation, unlike)
    assert verdict.verdict is RunVerdict.REJECTED
    assert "rank correlation 0.10, at least 0.5 wanted where no labels decide" in verdict.reasons[-1]


def labelled(seed: int = 0, start: int = 0) -> pd.DataFrame:
    table = customers(seed=seed, start=start)
    odd = np.arange(300) % 10 == 1
    table.loc[odd, "spend"] += 40
    return table.assign(fraud=pd.Series(np.where(np.arange(300) % 3 == 0, None, odd), dtype=object))


@pytest.mark.parametrize("metric", ["stability", "average_precision"])
def test_where_there_are_labels_they_decide_and_the_monitor_watches_by_them(metric):
    made = make(Task.ANOMALY_DETECTION, labelled(), "LocalOutlierFactor", metric=metric, target="fraud")
    champion = make(Task.ANOMALY_DETECTION, labelled(seed=1, start=-300), "IsolationForest", target="fraud")
    judged = made.judge(champion, metric=metric)
    assert judged.against_champion.comparison.metric == "average_precision"
    assert judged.evaluation.metrics["roc_auc"] > 0.9
    assert sum(map(sum, judged.confusion[1])) == 30
    check_page(build_evaluation_page(judged, made.schema, "fraud"))
    baseline = describe(judged, made.rows, made.test, made.schema, window=pd.Timedelta(days=1))
    assert (baseline.metric, baseline.label.name) == ("average_precision", "fraud")
    assert made.chain[-1].contamination_ == pytest.approx(0.1, abs=0.02)


def test_known_groups_are_compared_with():
    table = customers()
    table["kind"] = np.where(table["spend"] > 4, "big", np.where(table["visits"] > 4, "often", "seldom"))
    table.loc[::3, "kind"] = None
    made = make(Task.CLUSTERING, table, "KMeans", metric="adjusted_rand", target="kind")
    assert "kind" not in made.schema.feature_names
    assert made.judge(metric="adjusted_rand").evaluation.score > 0.95


def test_a_metric_that_needs_labels_says_so_where_there_are_none():
    with pytest.raises(NoScoreError, match="'adjusted_rand' must be defined"):
        make(Task.CLUSTERING, customers(), "KMeans", metric="adjusted_rand")


def test_equal_runs_give_equal_models(tmp_path):
    for place in ("a", "b"):
        save_model(make(Task.CLUSTERING, gaps(), "GaussianMixture").chain, tmp_path / place)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("task", "algorithm"), CASES)
def test_nothing_fitted_depends_on_rows_that_judge(task, algorithm, tmp_path):
    table = customers()
    changed = table.copy()
    changed.loc[210:, ["spend", "visits", "age"]] *= 7
    for place, rows in (("a", table), ("b", changed)):
        save_model(make(task, rows, algorithm, trials=1).chain, tmp_path / place)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_frames_of_both_tasks_have_only_inputs(made):
    assert list(read_features(made.test, made.schema)) == ["spend", "visits", "age", "city"]
