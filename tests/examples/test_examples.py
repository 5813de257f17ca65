"""Every example folder, as its README says it is used."""

import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine

from driftloop.spec import RunResult, RunVerdict
from driftloop.spec.loading import read_modelloop

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(file.parent.name for file in EXAMPLES.glob("*/modelloop.yaml"))


def driftloop(*arguments, cwd):
    command = [sys.executable, "-m", "driftloop", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def diabetes() -> pd.DataFrame:
    return load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progression"})


def wine() -> pd.DataFrame:
    table = load_wine(as_frame=True)
    return table.frame.drop(columns="target").assign(cultivar=table.target_names[table.target])


def digits() -> pd.DataFrame:
    return load_digits(as_frame=True).frame.rename(columns={"target": "digit"})


def iris() -> pd.DataFrame:
    table = load_iris(as_frame=True)
    frame = table.frame.drop(columns="target")
    frame.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in frame]
    return frame.assign(species=table.target_names[table.target])


@pytest.mark.parametrize("build_table", [diabetes, digits, iris, wine])
def test_the_table_is_the_one_of_scikit_learn(build_table):
    name = build_table.__name__
    pd.testing.assert_frame_equal(pd.read_csv(EXAMPLES / name / f"{name}.csv"), build_table(), check_dtype=False)


def test_the_flights_loop_is_the_one_of_the_demo():
    demo = resources.files("driftloop.demo").joinpath("flight-delays.yaml").read_text()
    assert (EXAMPLES / "flight-delays" / "modelloop.yaml").read_text() == demo


@pytest.mark.parametrize("name", FOLDERS)
def test_a_readme_shows_pictures_that_exist_and_are_small(name):
    readme = EXAMPLES / name / "README.md"
    pictures = [readme.parent / address for address in re.findall(r"!\[[^]]+\]\(([^)]+)\)", readme.read_text())]
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_is_named_like_its_folder_and_shows_its_commands(name):
    file = f"examples/{name}/modelloop.yaml"
    assert read_modelloop(EXAMPLES.parent / file).metadata.name == name
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert all(f"driftloop {command} {file}" in readme for command in ("validate", "run", "up"))


@pytest.mark.slow
@pytest.mark.local
@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_is_valid_and_its_run_ends_as_its_readme_says(name, tmp_path):
    folder = EXAMPLES / name
    if (folder / "make_data.py").exists():
        folder = Path(shutil.copytree(folder, tmp_path / name))
        subprocess.run([sys.executable, str(folder / "make_data.py")], check=True)
    file = str(folder / "modelloop.yaml")
    validated = driftloop("validate", file, cwd=tmp_path)
    assert (validated.returncode, validated.stdout) == (0, f"valid: {name}\n")

    ran = driftloop("run", file, "--workspace", "workspace", "--json", cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    result = RunResult.model_validate(json.loads(ran.stdout))
    assert result.verdict is RunVerdict.ACCEPTED
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    [score] = re.findall(r"\bof (0\.\d\d) on [\d,]+ test rows", readme)
    assert result.test_score == pytest.approx(float(score), abs=0.05)
    assert Path(result.bento_uri).is_relative_to(tmp_path / "workspace")
