import os
import resource
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from driftloop import __version__
from driftloop.cli.app import COMMANDS, build_app
from driftloop.errors import DriftloopError, InvalidInputError

HEAVY = {
    "alibi_detect", "bentoml", "kfp", "kubernetes", "matplotlib", "numpy", "optuna", "pandas", "pyarrow", "pydantic",
    "scipy", "sklearn",
}  # fmt: skip


def fail() -> None:
    """Fail as a user's mistake does."""
    raise InvalidInputError("The door must be open. Got shut.")


def invoke(*arguments, commands=(*COMMANDS, fail)):
    return CliRunner().invoke(build_app(commands), arguments)


def run(*arguments, **options):
    return subprocess.run(  # noqa: PLW1510
        [sys.executable, "-m", "driftloop", *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_the_module_and_the_command_are_one():
    outcome = run("version")
    assert (outcome.returncode, outcome.stdout) == (0, f"driftloop {__version__}\n")


def test_help_loads_no_heavy_library():
    code = "import sys; from driftloop.cli.app import build_app; build_app()(['--help'], standalone_mode=False); "
    code += "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(outcome.stderr.split()) == set()


def test_help_takes_less_than_half_a_second():
    def seconds() -> float:
        """Measure processor time: other tests may be running."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("--help", check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5


def test_help_names_every_command():
    words = invoke("--help").stdout.split()
    assert {command.__name__.replace("_", "-") for command in COMMANDS} <= set(words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_explains_itself(command):
    outcome = invoke(command.__name__.replace("_", "-"), "--help")
    assert outcome.exit_code == 0
    assert command.__doc__.splitlines()[0] in " ".join(outcome.stdout.split())


def test_an_error_is_its_message_and_its_exit_code_without_a_traceback():
    outcome = invoke("fail")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr == "The door must be open. Got shut.\n"


def test_debug_shows_the_traceback_of_an_error():
    outcome = run("--debug", "validate", "nowhere.yaml")
    assert outcome.returncode == 1
    assert "Traceback" in outcome.stderr
    assert "nowhere.yaml: The file must exist." in outcome.stderr


def test_every_error_of_a_room_has_its_own_exit_code():
    class SlowError(DriftloopError):
        exit_code = 7

    def slow() -> None:
        raise SlowError("The run must end. Got none.")

    assert invoke("slow", commands=(slow, fail)).exit_code == 7


@pytest.mark.parametrize("arguments", [(), ("nosuch",), ("validate",), ("validate", "--nosuch", "x")])
def test_wrong_usage_exits_with_2(arguments):
    assert invoke(*arguments).exit_code == 2


def test_a_misspelt_command_is_answered_with_the_one_meant():
    assert "Did you mean 'validate'" in invoke("valdate").stderr


def test_ctrl_c_ends_with_130_and_no_traceback():
    code = """
import time
from driftloop.cli.app import build_app
def wait() -> None:
    print("waiting", flush=True)
    time.sleep(60)
def other() -> None: ...
build_app([wait, other])(["wait"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
