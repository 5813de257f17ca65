"""values.yaml, its schema, its README, and what the templates use."""

import json
import re

import pytest
import yaml

from tests.chart.rendering import CHART, render_chart
from tools.deployment_files import build_schema, describe_values
from tools.helm import render

pytestmark = pytest.mark.render
VALUES = describe_values((CHART / "values.yaml").read_text(encoding="utf-8"))
USED = {
    match[1]
    for path in (CHART / "templates").rglob("*")
    if path.is_file()
    for match in re.finditer(r"\.Values\.([A-Za-z.]+[A-Za-z])", path.read_text(encoding="utf-8"))
}


def leaves():
    paths = {".".join(value.path) for value in VALUES}
    return {path for path in paths if not any(other.startswith(f"{path}.") for other in paths)}


def test_every_value_is_used():
    unused = {leaf for leaf in leaves() if not any(leaf == used or leaf.startswith(f"{used}.") for used in USED)}
    assert unused == set()


def test_every_used_value_is_declared():
    assert USED - {".".join(value.path) for value in VALUES} == set()


def test_every_value_is_described():
    assert [value.path for value in VALUES if len(value.description) < 5] == []
    assert len(VALUES) == sum(1 for _ in _keys(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))))


def _keys(tree):
    for key, value in tree.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)


def test_a_value_without_a_comment_is_refused():
    with pytest.raises(ValueError, match=r"The value 'a\.c' must have a comment"):
        describe_values("# About a.\na:\n  # About b.\n  b: 1\n  c: 2\n")


def test_the_schema_follows_the_comments():
    schema = build_schema(describe_values("# About a.\na:\n  # About b.\n  # @schema {minimum: 1}\n  b: 1\n"))
    a = schema["properties"]["a"]
    assert a["additionalProperties"] is False
    assert a["properties"]["b"] == {"type": "integer", "description": "About b.", "minimum": 1}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("maxConcurrentRun=4", "maxConcurrentRun"),
        ("store.bucket=x", "bucket"),
        ("images.pullPolicy=Sometimes", "pullPolicy"),
        ("maxConcurrentRuns=0", "maxConcurrentRuns"),
        ("operator.logLevel=LOUD", "logLevel"),
        ("images.monitor.digest=sha256:12", "digest"),
        ("store.uri=bucket", "uri"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value, told):
    with pytest.raises(RuntimeError, match=told):
        render_chart(value)


def test_a_chart_without_a_store_says_how_to_name_one():
    with pytest.raises(RuntimeError, match=r"--set store\.uri=s3://bucket/driftloop"):
        render(CHART)


def test_the_schema_opens_only_what_kubernetes_defines():
    def opened(schema, path=""):
        for name, inner in schema.get("properties", {}).items():
            if inner.get("additionalProperties", False) is True:
                yield f"{path}{name}"
            yield from opened(inner, f"{path}{name}.")

    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(opened(schema)) == {
        "operator.resources", "operator.resources.requests", "operator.resources.limits", "operator.affinity"
    }  # fmt: skip


def test_the_chart_has_the_version_of_the_package():
    from driftloop import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == __version__
