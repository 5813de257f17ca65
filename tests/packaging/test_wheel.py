"""The wheel, installed into environments of its own: what users get, and what each role's extra must bring.

Needs an index to install from, as `make test` itself does.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from driftloop import __version__

pytestmark = [pytest.mark.slow, pytest.mark.local]

REPOSITORY = Path(__file__).parents[2]
WINE = REPOSITORY / "examples" / "wine" / "modelloop.yaml"
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")

if UV is None:
    pytest.skip("uv is not installed. Get it with: pip install uv", allow_module_level=True)


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, and an empty folder to work in; other programs are out of sight."""

    environment: Path
    folder: Path

    def run(self, program, *arguments):
        return subprocess.run(
            [self.environment / "bin" / program, *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": f"{self.environment / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def python(self, code):
        outcome = self.run("python", "-W", "ignore", "-c", code)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = folder.glob("driftloop-*.whl")
    return wheel


@pytest.fixture(scope="module")
def install(wheel, tmp_path_factory):
    def install(extras: str) -> Installation:
        root = tmp_path_factory.mktemp("installation")
        environment, folder = root / "venv", root / "work"
        folder.mkdir()
        wanted = f"driftloop{extras} @ {wheel.as_uri()}"
        constraints = REPOSITORY / "constraints.txt"
        for arguments in (
            ["venv", "--python", sys.executable, environment],
            ["pip", "install", "--python", environment / "bin" / "python", "--constraint", constraints, wanted],
        ):
            outcome = subprocess.run([UV, *arguments], capture_output=True, text=True, check=False)
            assert outcome.returncode == 0, outcome.stderr
        return Installation(environment, folder)

    return install


@pytest.fixture(scope="module")
def pipeline(install) -> Installation:
    return install("[pipeline]")


@pytest.fixture(scope="module")
def result(pipeline) -> dict:
    """The result of the wine example, trained by the pipeline's role alone."""
    outcome = pipeline.run("driftloop", "run", WINE, "--workspace", "workspace", "--json")
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_the_wheel_holds_the_package_that_kubeflow_receives_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "driftloop/compiled/training.yaml" in names
    assert {name.partition("/")[0] for name in names} == {"driftloop", f"driftloop-{__version__}.dist-info"}


def test_what_runs_is_the_installed_package(pipeline):
    assert Path(pipeline.python("import driftloop; print(driftloop.__file__)")).is_relative_to(pipeline.environment)


def test_an_example_is_trained_packaged_and_verified(pipeline, result):
    assert result["verdict"] == "Accepted"
    bento = Path(result["bentoUri"])
    assert bento.is_relative_to(pipeline.folder / "workspace")
    assert (bento / "src" / "driftloop" / "compiled" / "training.yaml").is_file()


def test_init_writes_a_file_that_validates(pipeline):
    wrote = pipeline.run("driftloop", "init", WINE.parent / "wine.csv", "--target", "cultivar", "--name", "mine")
    assert wrote.returncode == 0, wrote.stderr
    assert pipeline.run("driftloop", "validate", "mine.yaml").stdout == "valid: mine\n"


def test_the_pipeline_role_lacks_what_up_needs_and_says_so(pipeline, tmp_path):
    outcome = pipeline.run("driftloop", "up", WINE)
    assert outcome.returncode == 1
    assert "alibi-detect" in outcome.stderr
    assert outcome.stderr.endswith("Install them with: pip install 'driftloop[monitor,controller]'\n")
    permissive = tmp_path / "permissive.yaml"
    permissive.write_text(WINE.read_text() + "  monitoring: {engine: SciPy}\n")
    assert "alibi-detect" not in pipeline.run("driftloop", "up", permissive).stderr


def test_without_extras_loops_can_be_written_and_checked(install):
    base = install("")
    for arguments in (["--help"], ["init", "--help"], ["validate", WINE], ["schema"], ["version"]):
        outcome = base.run("driftloop", *arguments)
        assert outcome.returncode == 0, outcome.stderr
    for command, extras in (
        (["run", WINE], "pipeline"),
        (["up", WINE], "pipeline,monitor,controller"),
        (["demo"], "pipeline,monitor,controller,demo"),
    ):
        outcome = base.run("driftloop", *command)
        assert outcome.returncode == 1
        assert outcome.stderr.endswith(f"Install them with: pip install 'driftloop[{extras}]'\n")
        assert "Traceback" not in outcome.stderr


def test_the_serving_role_loads_a_bento(install, result):
    content = Path(result["bentoUri"]) / "src"
    code = f"""
from pathlib import Path
import driftloop.serving.service
from driftloop.serving.predictor import load_predictor
print(load_predictor(Path({str(content)!r})).version)
"""
    assert install("[serving]").python(code) == result["bentoDigest"][:12]


def test_the_monitor_role_loads_its_processes_and_both_engines(install):
    code = """
import driftloop.sidecar.evaluator, driftloop.sidecar.intake, driftloop.sidecar.supervisor
from driftloop.adapters.alibi_engine import AlibiDetectEngine
from driftloop.monitor.engines import SciPyEngine
print(AlibiDetectEngine().name, SciPyEngine().name)
"""
    assert install("[monitor]").python(code) == "AlibiDetect SciPy"


def test_a_laptop_without_the_demo_can_load_the_controller(install):
    code = "import driftloop.controller.up; from driftloop.extras import require_extras; "
    code += "require_extras('up', 'pipeline', 'monitor', 'controller')"
    install("[pipeline,monitor,controller]").python(code)
