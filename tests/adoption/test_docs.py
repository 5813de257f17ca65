"""The page `docs/bring-your-own-model.md`, as written."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop
from tests.adoption.models import classifier, parcels, save_with_mlflow

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own-model.md").read_text()
COMMANDS = re.findall(r"^driftloop .*", PAGE, re.MULTILINE)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parcels().drop(columns=["parcel", "hours"]).to_csv("parcels.csv", index=False)
    save_with_mlflow(classifier(), tmp_path / "given")


def test_init_and_validate_make_the_file_that_the_page_shows(workplace):
    init, validate, up, history = COMMANDS
    for command in (init, validate):
        outcome = CliRunner().invoke(build_app(), shlex.split(command)[1:])
        assert outcome.exit_code == 0, outcome.output
    shown = yaml.safe_load(re.search(r"```yaml\n(spec:.*?)```", PAGE, re.DOTALL)[1])["spec"]
    spec = read_modelloop(Path("parcels.yaml")).spec
    wanted = ModelLoop.model_validate(read_modelloop(Path("parcels.yaml")).to_dict() | {"spec": shown}).spec
    assert spec.model == wanted.model
    assert spec.data.to_dict() == wanted.data.to_dict()
    assert (up, history) == ("driftloop up parcels.yaml", "driftloop history")  # run by test_up


def test_a_model_that_is_not_there_is_told(workplace):
    command = [*shlex.split(COMMANDS[0])[1:-1], "elsewhere", "--name", "other"]
    outcome = CliRunner().invoke(build_app(), command)
    assert outcome.exit_code == 2
    assert "Nothing found at 'elsewhere'" in outcome.stderr
