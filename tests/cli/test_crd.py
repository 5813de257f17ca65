import json

import yaml
from typer.testing import CliRunner

from driftloop.cli.app import build_app


def crd(*arguments):
    outcome = CliRunner().invoke(build_app(), ["crd", *arguments])
    assert outcome.exit_code == 0
    return outcome.stdout


def test_the_definitions_are_yaml_that_kubectl_applies():
    documents = list(yaml.safe_load_all(crd()))
    assert [document["metadata"]["name"] for document in documents] == [
        "modelloops.driftloop.dev",
        "driftreports.driftloop.dev",
    ]


def test_the_policy_comes_on_request():
    documents = list(yaml.safe_load_all(crd("--policy")))
    assert [document["kind"] for document in documents[2:]] == [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]


def test_json_is_one_list():
    told = json.loads(crd("--json"))
    assert told["kind"] == "List"
    assert told["items"] == list(yaml.safe_load_all(crd()))
