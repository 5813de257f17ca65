import json

from typer.testing import CliRunner

from driftloop.cli.app import build_app

VALID = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: energy}
spec:
  problem: {task: Regression}
  data: {uri: energy.csv, targetColumn: load}
"""


def validate(*arguments):
    return CliRunner().invoke(build_app(), ["validate", *map(str, arguments)])


def test_a_valid_file_is_named_and_exits_with_0(tmp_path):
    (tmp_path / "loop.yaml").write_text(VALID)
    outcome = validate(tmp_path)
    assert (outcome.exit_code, outcome.stdout) == (0, "valid: energy\n")


def test_all_problems_go_to_stderr_and_exit_with_2(tmp_path):
    (tmp_path / "a.yaml").write_text(VALID.replace("Regression", "regression").replace("energy.csv", "''"))
    (tmp_path / "b.yaml").write_text(VALID.replace("targetColumn", "targetcolumn"))
    outcome = validate(tmp_path)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert [line.split(" ")[2] for line in outcome.stderr.splitlines()] == [
        "'spec.problem.task'",
        "'spec.data.uri'",
        "'spec.data.targetcolumn'",
    ]


def test_fields_without_effect_are_announced(tmp_path):
    (tmp_path / "loop.yaml").write_text(f"{VALID}  serving: {{rollout: {{type: Canary}}}}\n")
    outcome = validate(tmp_path / "loop.yaml")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines() == [
        "ModelLoop 'energy': spec.serving.rollout: No effect in this version.",
        "valid: energy",
    ]


def test_the_outcome_is_json_on_request(tmp_path):
    file = tmp_path / "loop.yaml"
    file.write_text(f"{VALID}  serving: {{minReplicas: 1}}\n")
    outcome = validate(file, "--json")
    assert outcome.exit_code == 0
    told = json.loads(outcome.stdout)
    assert (told["loops"], told["problems"]) == (["energy"], [])
    assert [notice["path"] for notice in told["notices"]] == ["spec.serving.minReplicas"]


def test_problems_are_json_on_request(tmp_path):
    file = tmp_path / "loop.yaml"
    file.write_text(VALID.replace("energy.csv", "''"))
    outcome = validate(file, "--json")
    assert outcome.exit_code == 2
    [problem] = json.loads(outcome.stdout)["problems"]
    assert problem["path"] == "spec.data.uri"
    assert problem["line"] == 6
    assert problem["message"] == f"{file}:6: The 'spec.data.uri' of ModelLoop 'energy' must not be empty."
