import pytest
from typer.testing import CliRunner

from driftloop.cli.app import build_app
from driftloop.extras import MissingExtrasError, packages_of, require_extras

METADATA = """Metadata-Version: 2.4
Name: driftloop
Version: 0.1.0
Requires-Dist: pydantic>=2
Requires-Dist: pandas>=2; extra == 'pipeline'
Requires-Dist: not-there-kfp>=2; extra == 'pipeline'
Requires-Dist: not-there-loop>=1; (sys_platform == 'elsewhere') and extra == 'pipeline'
Requires-Dist: not_there.detect>=1; extra == 'monitor'
Requires-Dist: not-there-door>=1; extra == 'controller'
Requires-Dist: pandas>=2; extra == 'demo'
"""


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """An installation of driftloop whose extras are mostly not installed, by what Python's metadata say."""
    folder = tmp_path / "driftloop-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(build_app(), arguments)


def test_an_extra_brings_its_own_packages_and_those_of_every_installation(installation):
    assert packages_of("pipeline") == {"pydantic", "pandas", "not-there-kfp"}


def test_all_missing_packages_are_told_at_once_with_the_extras_that_bring_them(installation):
    with pytest.raises(MissingExtrasError) as caught:
        require_extras("sail", "pipeline", "demo", "controller")
    assert str(caught.value) == (
        "The command 'sail' needs packages that are not installed: not-there-door, not-there-kfp. "
        "Install them with: pip install 'driftloop[pipeline,controller]'"
    )


def test_what_is_not_used_may_be_missing(installation):
    require_extras("sail", "monitor", "demo", unused=["not_there.detect"])


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (("run", "loop.yaml"), "pipeline"),
        (("init", "data.csv", "--target", "late"), "pipeline"),
        (("demo",), "pipeline,monitor,controller"),
    ],
)
def test_a_command_without_its_extras_names_them_before_it_works(installation, arguments, extras):
    outcome = invoke(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.endswith(f"Install them with: pip install 'driftloop[{extras}]'\n")


def test_up_needs_all_roles_of_a_laptop(installation):
    file = installation / "loop.yaml"
    file.write_text(
        "apiVersion: driftloop.dev/v1alpha1\nkind: ModelLoop\nmetadata: {name: small}\nspec:\n"
        "  problem: {task: Classification}\n  data: {uri: small.csv, targetColumn: late}\n"
    )
    outcome = invoke("up", str(file))
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.endswith("pip install 'driftloop[pipeline,monitor,controller]'\n")
