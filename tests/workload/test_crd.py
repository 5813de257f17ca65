"""The custom resource definitions follow the rules of structural schemas, and say what the types say."""

import ast
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from driftloop.cli.crd import to_yaml
from driftloop.spec.loopstatus import ConditionType, ModelLoopStatus
from driftloop.spec.modelloop import ModelLoopSpec
from driftloop.workload.approvalpolicy import approval_policy, approval_policy_binding
from driftloop.workload.crd import driftreport_crd, modelloop_crd, structural_schema
from driftloop.workload.crdrules import RULES
from driftloop.workload.kinds import kind_of

ROOT = Path(__file__).parents[2]
DEFINITIONS = [modelloop_crd(), driftreport_crd()]
SPEC = structural_schema(ModelLoopSpec)
# What a node of a structural schema may say, as far as it is used here.
KNOWN = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "default", "enum", "format"),
    *("pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems"),
    *("maxItems", "x-kubernetes-validations", "x-kubernetes-int-or-string", "x-kubernetes-list-type"),
    "x-kubernetes-list-map-keys",
}


def schema_of(definition):
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(node, path=""):
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    for below in ("items", "additionalProperties"):
        if below in node:
            yield from walk(node[below], f"{path}[]")


@pytest.fixture(params=DEFINITIONS, ids=lambda definition: definition["spec"]["names"]["kind"])
def definition(request):
    return request.param


def test_every_node_has_a_type_and_says_nothing_that_a_structural_schema_may_not(definition):
    for path, node in walk(schema_of(definition)):
        assert node.get("type") or node.get("x-kubernetes-int-or-string"), path
        assert node.keys() <= KNOWN, path
        assert not (node.keys() >= {"properties", "additionalProperties"}), path
        assert isinstance(node.get("exclusiveMinimum", True), bool), path
        assert set(node.get("required", ())) <= node.get("properties", {}).keys(), path


def test_every_field_of_spec_and_status_is_described(definition):
    properties = schema_of(definition)["properties"]
    fields = [(path, node) for part in ("spec", "status") for path, node in walk(properties[part], part)]
    silent = {path for path, node in fields if "description" not in node and not path.endswith("[]")}
    assert not silent


def test_no_field_has_a_default_and_is_required(definition):
    for path, node in walk(schema_of(definition)["properties"]["spec"]):
        required = node.get("required", ())
        assert not [name for name in required if "default" in node["properties"][name]], path


def test_the_status_has_no_defaults(definition):
    assert not [path for path, node in walk(schema_of(definition)["properties"]["status"]) if "default" in node]


def test_the_names_are_those_that_the_adapter_asks_for(definition):
    kind = kind_of(definition["spec"]["names"]["kind"])
    assert definition["metadata"]["name"] == f"{kind.plural}.{kind.group}"
    assert f"{kind.group}/{definition['spec']['versions'][0]['name']}" == kind.api_version


def test_columns_point_at_fields_that_there_are(definition):
    root = schema_of(definition)
    root["properties"]["metadata"]["properties"] = {"creationTimestamp": {"type": "string"}}
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    for column in columns:
        node = root
        for step in re.sub(r"\[[^]]*\]", "", column["jsonPath"]).strip(".").split("."):
            node = node.get("items", node)["properties"][step]
        assert column["type"] == "date" or node.get("items", node)["type"] == column["type"], column["name"]
    del root["properties"]["metadata"]["properties"]
    assert [column["name"] for column in columns if not column.get("priority")] == {
        "ModelLoop": ["Ready", "Champion", "Score", "Drift", "Retrained", "Age"],
        "DriftReport": ["Loop", "Model", "Kind", "Verdict", "Decision", "Age"],
    }[definition["spec"]["names"]["kind"]]


def test_bounds_choices_and_defaults_come_from_the_types():
    data, monitoring = SPEC["properties"]["data"], SPEC["properties"]["monitoring"]["properties"]
    assert data["properties"]["minRows"] == {
        "description": "Smallest number of labelled rows a model may be trained on.",
        "type": "integer",
        "minimum": 30,
        "default": 200,
    }
    assert data["required"] == ["uri"]
    effect = monitoring["minEffectSize"]
    assert [effect[name] for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")] == [
        0,
        True,
        1,
        True,
    ]
    assert SPEC["properties"]["promotion"]["properties"]["approval"]["enum"] == ["Automatic", "Manual"]


def test_a_group_that_is_left_out_gets_the_defaults_of_its_fields():
    assert SPEC["properties"]["serving"]["default"] == {}
    assert SPEC["properties"]["serving"]["properties"]["rollout"]["properties"]["interval"]["default"] == "30m"
    assert "default" not in SPEC["properties"]["model"]
    assert "default" not in SPEC["properties"]["acceptance"]["properties"]["fairness"]


def test_conditions_are_merged_by_their_type():
    conditions = structural_schema(ModelLoopStatus)["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def constraints_in_validators():
    """Return the words of every RuleError in the spec, as patterns."""
    for file in (ROOT / "src/driftloop/spec").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RuleError":
                words = node.args[0]
                parts = words.values if isinstance(words, ast.JoinedStr) else [words]
                yield "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts)


def test_every_rule_of_the_validators_is_a_rule_of_the_api_server_and_the_other_way_round():
    wanted = set(constraints_in_validators())
    assert len(wanted) > 10
    offered = {rule.constraint for name, rules in RULES.items() for rule in rules if rule.field}
    assert [words for words in wanted if not any(re.fullmatch(words, constraint) for constraint in offered)] == []
    assert [constraint for constraint in offered if not any(re.fullmatch(words, constraint) for words in wanted)] == []


def test_every_rule_blames_a_field_that_there_is():
    used = {
        rule["message"]
        for definition in DEFINITIONS
        for _, node in walk(schema_of(definition))
        for rule in rules_of(node)
    }
    assert {rule.to_dict()["message"] for rules in RULES.values() for rule in rules} <= used


def rules_of(node):
    return node.get("x-kubernetes-validations", ())


def test_the_charts_files_are_up_to_date():
    files = ROOT / "helm" / "driftloop" / "files"
    wanted = {
        "crds/modelloops.yaml": to_yaml(modelloop_crd()),
        "crds/driftreports.yaml": to_yaml(driftreport_crd()),
        "approvalpolicy.yaml": to_yaml(approval_policy(), approval_policy_binding()),
    }
    for name, text in wanted.items():
        assert (files / name).read_text(encoding="utf-8") == text, "Run: make generate"
        assert all(yaml.safe_load_all(text))


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_the_definitions_fit_the_oldest_and_the_newest_kubernetes(definition, version):
    kubernetes_validate.validate(definition, version, strict=True)


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_the_policy_fits_the_oldest_kubernetes_that_has_policies_and_the_newest(version):
    for policy in (approval_policy(), approval_policy_binding()):
        kubernetes_validate.validate(policy, version, strict=True)


def test_the_definitions_fit_into_an_annotation_of_client_side_apply():
    assert len(to_yaml(modelloop_crd())) < 200_000


def test_conditions_have_the_names_that_kstatus_reads():
    assert {"Ready", "Reconciling", "Stalled"} <= set(ConditionType)
