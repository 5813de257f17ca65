import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from driftloop.cli.app import COMMANDS, build_app
from driftloop.cli.failures import FAULT_EXIT_CODE, describe
from driftloop.errors import InvalidInputError

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: small}
spec:
  problem: {task: Classification}
  data: {uri: small.csv, targetColumn: late}
"""


def refuse(as_json: bool = False) -> None:
    """Fail as a user's mistake does."""
    raise InvalidInputError("The door must be open. Got shut. Open it.")


def stumble(as_json: bool = False) -> None:
    """Fail as a fault of driftloop does."""
    raise KeyError("missing\nkey")


def fill(as_json: bool = False) -> None:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device", "/data/log")


def invoke(*arguments):
    return CliRunner().invoke(build_app([refuse, stumble, fill]), arguments)


def run(*arguments, **options):
    command = [sys.executable, "-m", "driftloop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_fault_of_driftloop_is_an_apology_of_one_line_and_code_70():
    outcome = invoke("stumble")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr.count("\n")) == (FAULT_EXIT_CODE, "", 1)
    assert outcome.stderr.startswith(
        r"Sorry, driftloop failed where it should not have: KeyError: 'missing\nkey'. "
        "For the traceback to report, run: driftloop --debug"
    )


def test_the_call_that_shows_the_traceback_is_the_call_that_failed():
    message = describe(ValueError("x"), ["run", "loop.yaml"]).message
    assert message.endswith("run: driftloop --debug run loop.yaml")


def test_debug_shows_the_traceback_of_a_fault():
    outcome = invoke("--debug", "stumble")
    assert isinstance(outcome.exception, KeyError)


def test_debug_may_stand_behind_the_command():
    assert isinstance(invoke("stumble", "--debug").exception, KeyError)


def test_a_full_disk_is_told_with_file_and_remedy():
    outcome = invoke("fill")
    assert (outcome.exit_code, outcome.stderr) == (
        1,
        (
            "The file '/data/log' must be usable. The system says: No space left on device. Check its path, its "
            "permissions and the free space, then run the command again.\n"
        ),
    )


@pytest.mark.parametrize(
    ("command", "kind", "message", "code"),
    [
        ("refuse", "InvalidInputError", "The door must be open. Got shut. Open it.", 2),
        ("fill", "OSError", "The file '/data/log' must be usable.", 1),
        ("stumble", "KeyError", "Sorry, driftloop failed where it should not have", FAULT_EXIT_CODE),
    ],
)
def test_with_json_every_failure_has_one_shape_on_standard_output(command, kind, message, code):
    outcome = CliRunner().invoke(_with_json_option(), [command, "--json"])
    assert (outcome.exit_code, outcome.stderr) == (code, "")
    [line] = outcome.stdout.splitlines()
    error = json.loads(line)["error"]
    assert (error["type"], error["exitCode"]) == (kind, code)
    assert error["message"].startswith(message)


def _with_json_option():
    def command(function):
        def named(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
            function()

        named.__name__, named.__doc__ = function.__name__, function.__doc__
        return named

    return build_app([command(function) for function in (refuse, stumble, fill)])


def test_wrong_usage_has_the_same_shape():
    outcome = CliRunner().invoke(build_app(), ["validate", "--json", "--nosuch", "x"])
    assert outcome.exit_code == 2
    assert json.loads(outcome.stdout) == {
        "error": {"type": "UsageError", "message": "No such option: --nosuch", "exitCode": 2}
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_has_json(command):
    name = command.__name__.replace("_", "-")
    assert "--json" in CliRunner().invoke(build_app(), [name, "--help"]).stdout


def test_a_closed_pipe_is_quiet():
    code = f"{sys.executable} -m driftloop schema | head -c 1"
    outcome = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (outcome.stdout, outcome.stderr) == ("{", "")


@pytest.mark.local
def test_ctrl_c_ends_a_run_with_130_and_its_processes(tmp_path):
    (tmp_path / "small.yaml").write_text(LOOP)
    rows = "".join(f"{row / 7},{row % 2}\n" for row in range(400))
    (tmp_path / "small.csv").write_text(f"x,late\n{rows}")
    process = subprocess.Popen(
        [sys.executable, "-m", "driftloop", "run", "small.yaml", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert "stage snapshot, 1 of " in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "Traceback" not in errors
    assert time.monotonic() - began < 30
    assert not [process for process in Path("/proc").glob("[0-9]*") if _works_in(process, tmp_path)]


def _works_in(process, folder):
    try:
        return f"{folder}/.driftloop/small/runs/" in (process / "cmdline").read_text(errors="replace")
    except OSError:
        return False


def test_completion_is_offered_and_answers_with_the_commands():
    shown = run("--show-completion", "bash")
    assert shown.returncode == 0
    assert "_DRIFTLOOP_COMPLETE" in shown.stdout or "COMP_WORDS" in shown.stdout
    environment = {"_DRIFTLOOP_COMPLETE": "complete_bash", "COMP_WORDS": "driftloop v", "COMP_CWORD": "1"}
    answered = run(env=os.environ | environment)
    assert set(answered.stdout.split()) >= {"validate", "version"}


def test_every_command_is_documented_for_completion():
    assert all(command.__doc__ for command in COMMANDS)
