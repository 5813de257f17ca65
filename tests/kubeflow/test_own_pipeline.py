"""Components for others: found in the installation, loaded by kfp, used in the example's pipeline."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import driftloop
from driftloop.errors import InvalidInputError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own-pipeline" / "pipeline.py"


def test_every_component_has_a_path_that_kfp_loads():
    from kfp import components

    for folder in (ROOT / "components").glob("*/"):
        if (folder / "component.py").exists():
            assert components.load_component_from_file(driftloop.component(folder.name)).name == folder.name


def test_an_unknown_component_is_answered_with_the_names():
    with pytest.raises(InvalidInputError, match=r"Got 'trian'.*train, transform, validate"):
        driftloop.component("trian")


def test_importing_driftloop_stays_light():
    script = "import sys, driftloop; print([m for m in ('kfp', 'pandas', 'yaml', 'pydantic') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


@pytest.mark.local
def test_the_example_compiles_and_runs(tmp_path):
    subprocess.run([sys.executable, str(EXAMPLE)], cwd=tmp_path, check=True)
    run = textwrap.dedent("""
        from kfp import components, local
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root")
        print("told:", components.load_component_from_file("own_pipeline.yaml")(count=200).output)
    """)
    ended = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert "told: 140 rows to fit on, 30 that judge" in ended.stdout, ended.stdout[-3000:] + ended.stderr[-3000:]
