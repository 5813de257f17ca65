"""Tasks without a target through the compiled package, run for real by kfp.local: first model, challenger, server."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.adapters.kfp_local import REPORTS_FOLDER, run_training
from driftloop.loop.parameters import pipeline_parameters
from driftloop.serving.predictor import load_predictor
from driftloop.serving.wire import read_predict
from driftloop.spec import DataSchema, ModelLoop, RunVerdict
from driftloop.stages.modelfile import load_model
from tests.unsupervised.chains import customers

pytestmark = pytest.mark.local

ROWS = 300


def loop(task: str, **groups: dict) -> ModelLoop:
    spec = {
        "problem": {"task": task},
        "data": {"uri": "rows.csv", "timeColumn": "seen"},
        "training": {"maxTrialCount": 3, "algorithms": ["Auto"], "clusters": {"max": 6}},
        "acceptance": {"championComparison": "NotWorse"},
        **groups,
    }
    return ModelLoop.model_validate(
        {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": {"name": "small"}, "spec": spec}
    )


def run(root: Path, declared: ModelLoop, table: pd.DataFrame, key: str, *, algorithm: str, champion_uri: str = ""):
    data = root / f"{key}.csv"
    table.to_csv(data, index=False)
    parameters = pipeline_parameters(
        declared,
        data_uri=str(data),
        time_column="seen",
        algorithms=[algorithm],
        run_key=key,
        result_uri=str(root / "store" / "runs" / key / "result.json"),
        store_uri=str(root / "store"),
        champion_uri=champion_uri,
        runtime_image="driftloop-serving",
        image="driftloop-pipeline",
        code_digest="code",
    )
    places = {"runs_dir": root / "runs", "cache_dir": root / "cache", "bentoml_home": root / "bentoml"}
    return run_training(parameters, on_event=lambda _: None, cancelled=None, **places)


def content(outcome) -> Path:
    return Path(outcome.result.bento_uri) / "src"


def ask(outcome, table: pd.DataFrame):
    folder = content(outcome)
    predictor = load_predictor(folder)
    rows = json.loads(table.drop(columns="seen").to_json(orient="records"))
    return predictor.answer(read_predict(json.dumps({"rows": rows}).encode(), predictor.schema, 1000))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_clusters_are_served_and_a_challenger_keeps_their_numbers(tmp_path):
    first = run(tmp_path, loop("Clustering"), customers(), "first", algorithm="KMeans")
    assert first.result.verdict is RunVerdict.ACCEPTED, first.result.reasons
    assert first.result.metrics["stability"] > 0.9
    schema = DataSchema.model_validate_json((content(first) / "model" / "schema.json").read_bytes())
    assert schema.target.name == ""
    assert schema.target.classes == (0, 1, 2)
    baseline = json.loads((content(first) / "model" / "baseline.json").read_text())
    assert set(baseline["outputs"][0]["counts"]) == {"0", "1", "2"}
    page = (tmp_path / "runs" / "first" / REPORTS_FOLDER / "evaluate.html").read_text()
    assert "Which groups are there?" in page
    assert "3 clusters, the best of 5 numbers by silhouette" in page
    told = ask(first, customers(6, seed=5))
    assert told.probabilities is None
    assert set(told.predictions) <= {0, 1, 2}

    later = customers(ROWS, ROWS, seed=1, shift=0.5)
    second = run(
        tmp_path, loop("Clustering"), later, "second", algorithm="GaussianMixture", champion_uri=first.result.bento_uri
    )
    assert second.result.comparison.metric == "silhouette"
    assert second.result.comparison.agreement > 0.9
    assert any("adjusted Rand index" in reason for reason in second.result.reasons)
    new = customers(50, seed=9)
    answers = ask(second, new)
    assert np.mean(np.array(answers.predictions) == ask(first, new).predictions) > 0.9
    assert np.shape(answers.probabilities) == (50, 3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_anomalies_are_served_and_a_challenger_takes_over_where_the_champion_cries_wolf(tmp_path):
    declared = loop("AnomalyDetection", training={"maxTrialCount": 2, "contamination": 0.1})
    first = run(tmp_path, declared, customers(), "first", algorithm="LocalOutlierFactor")
    assert first.result.verdict is RunVerdict.ACCEPTED, first.result.reasons
    assert first.result.metric == "stability"
    schema = DataSchema.model_validate_json((content(first) / "model" / "schema.json").read_bytes())
    assert schema.target.classes == (False, True)
    odd = customers(6, seed=5).assign(spend=60.0, visits=60.0, age=-60.0)
    told = ask(first, odd)
    assert told.predictions == [True] * 6
    assert all(share > 0.9 for _, share in told.probabilities)
    page = (tmp_path / "runs" / "first" / REPORTS_FOLDER / "evaluate.html").read_text()
    assert "Which rows are odd?" in page

    later = customers(ROWS, ROWS, seed=1, shift=2.5)
    second = run(
        tmp_path, declared, later, "second", algorithm="LocalOutlierFactor", champion_uri=first.result.bento_uri
    )
    assert second.result.comparison.metric == "neg_share_error"
    assert second.result.comparison.difference > 0
    assert load_model(content(second) / "model" / "model.skops")[-1].contamination_ == 0.1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_labels_of_anomalies_judge_where_there_are_some(tmp_path):
    table = customers()
    odd = np.arange(ROWS) % 10 == 1
    table.loc[odd, "spend"] += 40
    table["fraud"] = pd.Series(np.where(np.arange(ROWS) % 3 == 0, None, odd), dtype=object)
    declared = loop(
        "AnomalyDetection",
        problem={"task": "AnomalyDetection", "metric": {"name": "average_precision"}},
        data={"uri": "rows.csv", "timeColumn": "seen", "targetColumn": "fraud"},
    )
    first = run(tmp_path, declared, table, "first", algorithm="LocalOutlierFactor")
    assert first.result.metrics.keys() == {"stability", "average_precision", "roc_auc", "f1"}
    assert first.result.metrics["average_precision"] > 0.9
    baseline = json.loads((content(first) / "model" / "baseline.json").read_text())
    assert baseline["metric"] == "average_precision"
    assert baseline["label"]["name"] == "fraud"
