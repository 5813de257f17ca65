import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driftloop.algorithms.samplesize import rows_for_power, rows_to_learn_classes
from driftloop.cli.app import build_app
from driftloop.cli.estimation import CORRELATION

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {{name: small}}
spec:
  problem: {{task: {task}{metric}}}
  data: {{uri: small.csv, targetColumn: late}}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def estimate(*arguments, task="Classification", metric=""):
    Path("loop.yaml").write_text(LOOP.format(task=task, metric=f", metric: {{name: {metric}}}" if metric else ""))
    outcome = CliRunner().invoke(build_app(), ["estimate", "loop.yaml", "--json", *map(str, arguments)])
    assert outcome.exit_code == 0, outcome.stdout + outcome.stderr
    return json.loads(outcome.stdout)


def need(told, beginning):
    return next(one for one in told["needs"] if one["purpose"].startswith(beginning))


def test_without_data_everything_that_is_assumed_is_said():
    told = estimate()
    assert [need["have"] for need in told["needs"]] == [None] * len(told["needs"])
    for words in ("no data yet", "10 input columns", "two classes, equally frequent", "roc_auc will be about 0.75"):
        assert any(words in sentence for sentence in told["assumptions"]), words


def test_what_the_person_knows_goes_into_the_formulas():
    told = estimate("--positive-rate", 0.1, "--features", 20, "--score", 0.8, "--effect", 0.03)
    learning = max(one.rows for one in rows_to_learn_classes(20, 0.1))
    assert need(told, "learning (20 model inputs), linear")["rows"] == learning
    power = rows_for_power("roc_auc", 0.8, 0.03, 0.9, rate=0.1, correlation=CORRELATION)
    assert need(told, "test: a challenger better by 0.03, seen in 90%")["rows"] == power
    assert told["perClass"]["rarest class"]["rows"] == round(learning * 0.1)


def test_rows_that_are_there_are_held_against_what_is_needed():
    rows = "".join(f"{row / 7:.3f},{row % 5},{int(row % 4 == 0)}\n" for row in range(2000))
    Path("small.csv").write_text(f"a,b,late\n{rows}")
    told = estimate()
    learning = need(told, "learning (3 model inputs), linear")
    assert (learning["have"], learning["enough"]) == (1400, learning["rows"] <= 1400)
    assert need(told, "test: a challenger better by 0.02, seen in 80%")["enough"] is False
    assert told["perClass"]["1"]["have"] == 500
    assert any("With the 2,000 rows there are" in sentence for sentence in told["conclusions"])


def test_traffic_tells_how_long_a_window_must_be():
    busy, quiet = estimate("--rows-per-day", 5000), estimate("--rows-per-day", 5)
    assert any(s.startswith("The shortest window that sees it in 80% of cases: ") for s in busy["conclusions"])
    assert any("fewer than window.minRows" in s for s in quiet["conclusions"])


def test_regression_has_its_own_formulas():
    told = estimate("--score", 0.5, task="Regression")
    assert need(told, "learning (10 model inputs), linear")["source"] == "Riley et al. 2019"
    assert "perClass" in told
    assert told["perClass"] == {}


def test_a_metric_without_a_formula_is_said_to_have_none():
    told = estimate(metric="neg_log_loss")
    assert need(told, "test: neg_log_loss")["rows"] is None
    assert any("no closed form for neg_log_loss" in sentence for sentence in told["conclusions"])


def test_the_table_is_readable_and_ends_with_what_was_assumed():
    estimate()
    outcome = CliRunner().invoke(build_app(), ["estimate", "loop.yaml"], env={"COLUMNS": "160"})
    assert outcome.exit_code == 0
    assert "In short:" in outcome.stdout
    assert "\nAssumed:\n" in outcome.stdout


def test_a_learning_curve_says_whether_more_rows_help():
    rows = "".join(f"{row / 7:.3f},{row * row % 11},{int(row * row % 11 > 4)}\n" for row in range(600))
    Path("small.csv").write_text(f"a,b,late\n{rows}")
    assert estimate()["curve"] == []
    told = estimate("--curve")
    assert [point["rows"] for point in told["curve"]] == [52, 105, 210, 420]
    assert any(sentence.startswith("The last doubling of the rows brought ") for sentence in told["conclusions"])


def test_clusters_and_anomalies_have_formulas_that_need_no_labels():
    told = estimate("--features", 10, task="Clustering")
    assert need(told, "learning (10 model inputs): clusters")["rows"] == 700
    assert not any("fell by" in one["purpose"] for one in told["needs"])
    assert "Collect about 1,000 rows" in told["conclusions"][0]
    told = estimate("--positive-rate", 0.02, task="AnomalyDetection")
    assert need(told, "learning: the threshold of 0.02")["rows"] == 753
    labelled = estimate("--positive-rate", 0.02, task="AnomalyDetection", metric="roc_auc")
    assert need(labelled, "test: roc_auc to")["rows"] > 0
