"""Each role's entry points import nothing that its image lacks: the packages of its extra, and what those need."""

import contextlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
_CHECK = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}: the image does not have it", name=name)

ABSENT = set(sys.argv[2].split(","))
sys.meta_path.insert(0, Refuse())
__import__(sys.argv[1])
"""


def packages_of(role):
    """Return the names of all packages in a role's image: what pyproject asks for, and all that this needs."""
    open_needs = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][role]]]
    seen = {("driftloop", "")}
    while open_needs:
        need = open_needs.pop()
        for extra in need.extras or {""}:
            if (name := canonicalize_name(need.name), extra) in seen:
                continue
            seen.add((name, extra))
            with contextlib.suppress(PackageNotFoundError):
                further = (Requirement(text) for text in requires(name) or ())
                open_needs += [one for one in further if not one.marker or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


@pytest.mark.parametrize(
    ("role", "module"),
    [
        ("controller", "driftloop.operator.__main__"),
        ("controller", "driftloop.adapters.bentofetch"),
        ("controller", "driftloop.adapters.kubeflow"),
        ("controller", "driftloop.cli.app"),
        ("monitor", "driftloop.sidecar.__main__"),
        ("serving", "driftloop.adapters.bento_server"),
        ("serving", "driftloop.serving.service"),
    ],
)
def test_a_role_imports_nothing_that_its_image_lacks(role, module):
    there = packages_of(role)
    absent = {
        top
        for top, distributions in packages_distributions().items()
        if not {canonicalize_name(name) for name in distributions} & there
    }
    assert "kfp" in absent
    outcome = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CHECK, module, ",".join(absent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-1500:]


@pytest.mark.parametrize("role", ["controller", "monitor", "serving", "pipeline"])
def test_an_image_runs_as_a_number_and_is_pinned(role):
    stage = re.split(r"^FROM .* AS ", DOCKERFILE, flags=re.MULTILINE)
    [mine] = [text for text in stage if text.startswith(f"{role}\n")]
    assert "USER 10001:10001" in mine  # Kubernetes checks `runAsNonRoot` without reading /etc/passwd
    assert f'-c /needs/constraints.txt "$(echo /needs/*.whl)[{role}]"' in mine
    assert "apt" not in mine


def test_the_base_image_and_the_package_index_are_arguments():
    assert "ARG PYTHON_IMAGE=" in DOCKERFILE
    assert all(
        line.endswith(("${PYTHON_IMAGE} AS needs", "${PYTHON_IMAGE} AS wheel", "${PYTHON_IMAGE} AS base"))
        or line.startswith("FROM base AS")
        for line in DOCKERFILE.splitlines()
        if line.startswith("FROM ")
    )
    assert "ARG PIP_INDEX_URL" in DOCKERFILE
