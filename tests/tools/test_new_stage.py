import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "new_stage.py"
COPIED = ["pyproject.toml", "components/stage.py", "tests/__init__.py", "tests/stages/__init__.py"]
# One sorts before the imports around it, one behind them; one is so long that lines break.
NAMES = ["deduplicate", "winsorize", "leave_out_rows_that_say_next_to_nothing"]
COMPILE = """
import importlib, sys
from kfp import compiler
for name in sys.argv[1:]:
    component = getattr(importlib.import_module(f"components.{name}.component"), name)
    compiler.Compiler().compile(component, f"{name}.yaml")
"""


@pytest.fixture
def repository(tmp_path):
    """What a stage needs of the repository."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(*arguments, root):
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def scaffold(name, root):
    return run(TOOL, name, "--root", root, root=root)


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "cache" not in str(path)}


def test_a_new_stage_is_clean_compiles_and_passes_its_own_tests(repository):
    before = files(repository)
    for name in NAMES:
        done = scaffold(name, repository)
        assert done.returncode == 0, done.stderr
        assert "pipelines/training.py" in done.stdout
        assert "make generate" in done.stdout
    written = [str(path) for path in files(repository).keys() - before.keys()]
    assert len(written) == 3 * len(NAMES)

    for command in (["check"], ["format", "--check"]):
        done = run("-m", "ruff", *command, *written, root=repository)
        assert done.returncode == 0, done.stdout

    done = run("-c", COMPILE, *NAMES, root=repository)
    assert done.returncode == 0, done.stderr
    assert all((repository / f"{name}.yaml").exists() for name in NAMES)

    done = run("-m", "pytest", "-p", "no:cacheprovider", "tests/stages", root=repository)
    assert done.returncode == 0, done.stdout
    assert f"{2 * len(NAMES)} passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "constraint"),
    [
        ("Impute", "lower-case"),
        ("im-pute", "lower-case"),
        ("../impute", "lower-case"),
        ("", "lower-case"),
        ("i" * 41, "at most 40 characters"),
        ("test_impute", "must not begin with 'test'"),
        ("lambda", "Python's own"),
        ("filter", "Python's own"),
        ("json", "uses for something else"),
        ("stage", "uses for something else"),
    ],
)
def test_a_name_that_cannot_be_a_stage_is_refused_with_a_remedy(tmp_path, name, constraint):
    done = scaffold(name, tmp_path)
    assert done.returncode == 2
    assert constraint in done.stderr
    assert f"Got {name!r}. Choose another" in done.stderr
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    "existing", ["src/driftloop/stages/impute.py", "components/impute/README.md", "tests/stages/test_impute.py"]
)
def test_nothing_is_overwritten(tmp_path, existing):
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_text("mine")
    done = scaffold("impute", tmp_path)
    assert done.returncode == 2
    assert "Got 'impute', and " in done.stderr
    assert files(tmp_path) == {tmp_path / existing: b"mine"}


def test_make_asks_for_the_missing_name():
    if not shutil.which("make"):
        pytest.skip("needs make: install it with your system's package manager")
    done = subprocess.run(["make", "stage", "NAME="], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "make stage NAME=" in done.stdout
