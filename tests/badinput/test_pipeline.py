# ruff: noqa: E501 - messages stand here as people see them
"""Bad data that reach a run: the stage that refuses them, and its whole message, come out at the terminal."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.local

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: t}
spec:
  problem: {task: Classification}
  data: {uri: t.csv, targetColumn: late, minRows: 30}
  training: {algorithms: [Linear], maxTrialCount: 1}
"""
ROWS = "".join(f"{row / 7:.3f},{'yes' if row % 2 else 'no'}\n" for row in range(60))


# Root may read every file, unless it gives that right up.
AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


def run(folder, content, *arguments, prefix=()):
    (folder / "t.yaml").write_text(LOOP)
    if content is not None:
        (folder / "t.csv").write_bytes(content.encode())
    command = [*prefix, sys.executable, "-m", "driftloop", "run", "t.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("content", "stage", "message"),
    [
        (None, "snapshot", "The 'data.uri' must lead to a CSV, Parquet or JSON lines file, or a folder of them. Nothing found at '{uri}'. Correct the address, or put the data there."),
        ("x,late\n" + ROWS + "abc,no\n", "collect", "The column 'x' of '{uri}' must hold values of one type. Got numbers in 60 rows and something else in 1 ('abc' in line 62). Correct those cells or leave them empty."),
        ("x,late\n1.5,yes\n", "validate", "The data must have at least 30 rows with a target ('data.minRows'). Got 1. Collect more rows, or lower 'data.minRows'."),
        ("x,late\n" + ROWS.replace("no", "yes"), "validate", "The target 'late' of a Classification must have at least two classes. Got only 'yes'. Collect rows of the other classes."),
        ("x,late\n" + "".join(f",{'yes' if row % 2 else 'no'}\n" for row in range(60)), "validate", "The data must have at least one usable input column. Got none: 'x' has no values."),
    ],
    ids=["no data", "mixed types", "one row", "one class", "all missing"],
)  # fmt: skip
def test_a_run_ends_with_the_stage_and_its_message(tmp_path, content, stage, message):
    outcome = run(tmp_path, content)
    assert outcome.returncode == 1
    told, log, *rest = outcome.stderr.splitlines()
    assert told == f"The stage '{stage}' failed: {message.format(uri=tmp_path / 't.csv')}"
    assert log.startswith("The full log is in ")
    assert rest == []
    assert "Traceback" not in outcome.stdout


def test_the_failure_of_a_run_is_one_line_of_json(tmp_path):
    outcome = run(tmp_path, "x,x,late\n" + "".join(f"1,{row}\n" for row in ROWS.splitlines()), "--json")
    assert outcome.returncode == 1
    error = json.loads(outcome.stdout)["error"]
    assert (error["type"], error["exitCode"]) == ("PipelineFailedError", 1)
    assert "More than once: 'x'. Rename or remove them." in error["message"]


@pytest.mark.skipif(
    bool(AS_ANYBODY) and shutil.which("setpriv") is None, reason="as root it needs setpriv: apt-get install util-linux"
)
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("x,late\n" + ROWS)
    (tmp_path / "t.csv").chmod(0)
    outcome = run(tmp_path, None, prefix=AS_ANYBODY)
    assert outcome.returncode == 1
    told, _log = outcome.stderr.splitlines()
    assert told == (
        f"The stage 'snapshot' failed: The file '{tmp_path / 't.csv'}' must be readable. It can't be read: Permission denied. "
        "Give this user the right to read it, or mend the connection, then try again."
    )
