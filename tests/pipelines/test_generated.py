import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    specification = importlib.util.spec_from_file_location("generate", ROOT / "tools" / "generate.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_generated_files_are_up_to_date(generate, capfd):
    assert generate.main(["--check"]) == 0, capfd.readouterr().err


def test_an_outdated_file_is_shown_with_the_command_to_run(generate, capfd):
    from tools.deployment_files import build_deployment_files

    wanted = dict(generate._generate())
    wanted |= build_deployment_files(wanted)
    wanted[Path("src/driftloop/compiled/training.yaml")] += "# more\n"
    assert generate._check(wanted) == 1
    assert "+# more" in (error := capfd.readouterr().err)
    assert "make generate" in error
