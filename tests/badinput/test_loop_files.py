"""Wrong ModelLoop files: each problem as one line with file, line, field, constraint, value and remedy; exit code 2."""
# ruff: noqa: E501 - messages stand here as people see them

import json
from typing import get_args

import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.spec.training import AlgorithmName

GOOD = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: flights}
spec:
  problem: {task: Classification}
  data: {uri: flights.csv, targetColumn: late}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "loop.yaml"


def call(command, *arguments):
    return CliRunner().invoke(build_app(), [command, "loop.yaml", *arguments])


CASES = {
    "broken YAML": (
        GOOD.replace("Classification}", "Classification"),
        "loop.yaml:6: The file must be valid YAML or JSON. YAML says: expected ',' or '}', but got ':'.\n",
    ),
    "unknown algorithm": (
        GOOD + "  training: {algorithms: [RandomForrest]}\n",
        (
            "loop.yaml:7: The 'spec.training.algorithms[0]' of ModelLoop 'flights' must be one of "
            f"{', '.join(get_args(AlgorithmName))}. Got 'RandomForrest'. Did you mean 'RandomForest'?\n"
        ),
    ),
    "missing target": (
        GOOD.replace(", targetColumn: late", ""),
        "loop.yaml:6: The 'spec.data.targetColumn' of ModelLoop 'flights' must be set for the task Classification. Got nothing. Name the column to predict.\n",
    ),
    "misspelt field": (
        GOOD.replace("targetColumn", "targetColum"),
        (
            "loop.yaml:6: The 'spec.data.targetColum' of ModelLoop 'flights' is not a known field. Did you mean "
            "'targetColumn'?\n"
        ),
    ),
    "a list for a mapping": (
        "- a\n- b\n",
        "loop.yaml: The file must hold a mapping with apiVersion, kind, metadata and spec.\n",
    ),
}


@pytest.mark.parametrize("command", ["validate", "explain", "estimate", "run", "up"])
@pytest.mark.parametrize("case", CASES)
def test_every_command_tells_the_problem_and_exits_with_2(file, command, case):
    text, message = CASES[case]
    file.write_text(text)
    outcome = call(command)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (2, "", message)


def test_the_same_problem_is_json_on_standard_output(file):
    text, message = CASES["unknown algorithm"]
    file.write_text(text)
    outcome = call("run", "--json")
    assert (outcome.exit_code, outcome.stderr) == (2, "")
    error = json.loads(outcome.stdout)["error"]
    assert (error["type"], error["message"], error["exitCode"]) == ("InvalidModelLoopError", message.rstrip("\n"), 2)
    assert error["problems"][0]["path"] == "spec.training.algorithms[0]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: None, "loop.yaml: The file must exist. Check the path.\n"),
        (
            lambda file: file.mkdir(),
            ("loop.yaml: The file must hold a ModelLoop in a .yaml, .yml or .json file. Write one with: driftloop init "
            "DATA --target COLUMN\n"),
        ),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), "loop.yaml: The file must be text in UTF-8. Is it a ModelLoop at all?\n"),
    ],
    ids=["absent", "a folder", "binary"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["validate", "explain", "run", "up"])
def test_a_path_that_is_no_loop_file_is_told(file, make, message, command):
    make(file)
    outcome = call(command)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (2, "", message)
