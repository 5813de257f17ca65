import json

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.cli.explanation import METRIC_REASONS, explain, matters
from driftloop.spec.loading import read_modelloop
from driftloop.spec.problem import METRICS_BY_TASK
from driftloop.spec.reference import field_reference

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: wine}
spec:
  problem: {task: Classification}
  data: {uri: wine.csv, targetColumn: kind, minRows: 30}
  training: {maxTrialCount: 12}
"""
TABLE = "alcohol,shop,kind\n" + "".join(
    f"{row / 3:.2f},shop {row % 20},{'red' if row % 2 else 'white'}\n" if row % 10 else ",shop 1,white\n"
    for row in range(100)
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wine.csv").write_text(TABLE)
    path = tmp_path / "wine.yaml"
    path.write_text(LOOP)
    return path


def call(*arguments):
    outcome = CliRunner().invoke(build_app(), ["explain", *arguments], env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def field(file, path):
    return next(one for one in explain(read_modelloop(file)) if one.path == path)


def test_what_the_file_sets_is_told_from_defaults(file):
    assert (field(file, "spec.training.maxTrialCount").value, field(file, "spec.training.maxTrialCount").is_set) == (
        12,
        True,
    )
    assert (field(file, "spec.training.timeout").value, field(file, "spec.training.timeout").is_set) == ("10m", False)


def test_every_reason_is_the_fields_own_docstring(file):
    reference = field_reference()
    explained = explain(read_modelloop(file))
    assert len(explained) > 40
    assert all(one.reason == reference[one.path].description != "" for one in explained)


def test_what_depends_on_the_task_is_worked_out(file):
    metric = field(file, "spec.problem.metric.name")
    assert metric.resolved.startswith("roc_auc, the usual one for Classification: area under the ROC curve")
    assert "RandomForest: Robust without tuning" in field(file, "spec.training.algorithms").resolved
    assert field(file, "spec.training.maxTrialCount").resolved.startswith("parted by")
    assert "70 : 15 : 15 (training, validation, test) at random" in field(file, "spec.data.timeColumn").resolved


def test_every_metric_has_a_reason():
    assert set(METRIC_REASONS) == {metric for metrics in METRICS_BY_TASK.values() for metric in metrics}


def test_fields_without_effect_are_shown_only_on_request_or_when_set(file):
    canary = field(file, "spec.serving.rollout.stepWeights")
    assert canary.note == "No effect in this version."
    assert not matters(canary)
    assert "stepWeights" not in call("wine.yaml")
    assert "stepWeights" in call("wine.yaml", "--all")


def test_columns_are_shown_with_what_preparation_does_to_them(file):
    told = json.loads(call("wine.yaml", "--json"))
    assert told["columns"] == [
        {
            "name": "alcohol",
            "type": "numeric",
            "preparation": "a missing value becomes the median, with a flag; standardised",
        },
        {
            "name": "shop",
            "type": "categorical, 18 categories",
            "preparation": "target-encoded, cross-fitted; standardised",
        },
    ]


def test_data_that_are_not_there_are_no_obstacle(file):
    (file.parent / "wine.csv").unlink()
    assert "must be a local file. Check the path." in call("wine.yaml")
