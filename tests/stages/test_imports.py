import ast
import subprocess
import sys
from pathlib import Path

import pytest

COMPONENTS = Path(__file__).parents[2] / "components"
FITS_NOTHING = [
    "snapshot",
    "collect",
    "validate",
    "split",
    "resample",
    "plan",
    "select",
    "adjust",
    "assess",
    "package",
    "verify",
    "register",
]


def late_imports(stage: str) -> list[str]:
    """Every import statement inside the component's function, as the step executes it."""
    tree = ast.parse((COMPONENTS / stage / "component.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("stage", FITS_NOTHING)
def test_a_stage_that_fits_nothing_loads_neither_scikit_learn_nor_pandas(stage):
    code = "; ".join(
        [*late_imports(stage), "import sys", "print([m for m in ('sklearn', 'pandas') if m in sys.modules])"]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cleaning_does_not_load_scikit_learn():
    code = "; ".join([*late_imports("clean"), "import sys", "print('sklearn' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
