"""The alert rules: they name metrics that the operator has."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from driftloop.operator.metrics import Metrics
from driftloop.spec.loopstatus import ConditionType
from tests.chart.rendering import CHART

pytestmark = pytest.mark.render
FILE = CHART / "files" / "alerts.yaml"
RULES = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"][0]["rules"]


def test_every_rule_asks_for_metrics_that_are_there():
    metrics = {sample for family in Metrics().registry.collect() for sample in (family.name, f"{family.name}_total")}
    asked = {name for rule in RULES for name in re.findall(r"driftloop_\w+", rule["expr"])}
    assert asked <= metrics


def test_every_rule_asks_for_conditions_and_labels_that_are_there():
    metrics = Metrics()
    metrics.show_conditions("team", "wine", [{"type": "Ready", "status": "True"}])
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    for rule in RULES:
        assert set(re.findall(r'condition="(\w+)"', rule["expr"])) <= set(ConditionType)
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= labels


@pytest.mark.parametrize("command", [("check", FILE), ("test", Path(__file__).with_name("alerts_test.yaml"))])
def test_prometheus_takes_the_rules_and_alerts_when_it_should(command):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed. Get it with: apt-get install prometheus")
    verb, file = command
    outcome = subprocess.run([promtool, verb, "rules", file], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
