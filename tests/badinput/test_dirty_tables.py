"""Tables never seen before, with several columns dirty, become a trained model by `init` and `run` alone."""

import json
import subprocess
import sys

import pytest

from tests.badinput.dirtytables import ROWS, TABLES


def driftloop(*arguments, cwd):
    command = [sys.executable, "-m", "driftloop", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.parametrize("name", TABLES)
def test_init_says_how_it_read_what_is_dirty(name, tmp_path):
    dirty = TABLES[name]
    dirty.write(tmp_path / f"{name}.csv")
    outcome = driftloop("init", f"{name}.csv", "--target", dirty.target, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert f"wrote {name}.yaml: {dirty.task} of '{dirty.target}'" in outcome.stdout
    assert [note for note in dirty.notes if note not in outcome.stdout] == []


@pytest.mark.slow
@pytest.mark.local
@pytest.mark.parametrize("name", TABLES)
def test_a_dirty_table_becomes_a_model_that_is_better_than_chance(name, tmp_path):
    dirty = TABLES[name]
    dirty.write(tmp_path / f"{name}.csv")
    driftloop("init", f"{name}.csv", "--target", dirty.target, cwd=tmp_path)
    with (tmp_path / f"{name}.yaml").open("a") as file:
        file.write("  training: {algorithms: [Linear], maxTrialCount: 2}\n")
    outcome = driftloop("run", f"{name}.yaml", "--json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout)
    assert (result["verdict"], result["rows"]) == ("Accepted", ROWS)
    assert result["testScore"] > 0.6
