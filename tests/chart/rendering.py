"""The chart, rendered by helm, as plain dicts; and the pods that any objects hold."""

import functools
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.helm import MissingHelmError, find_program, render

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "helm" / "driftloop"
MANIFESTS = REPOSITORY / "manifests"
STORE = ("--set", "store.uri=s3://bucket/driftloop")
OLDEST, NEWEST = "1.29.0", "1.37.0"

try:
    find_program("helm")
except MissingHelmError as missing:
    pytest.skip(str(missing), allow_module_level=True)


def render_chart(*values: str, version: str = NEWEST, release: str = "driftloop") -> list[dict[str, Any]]:
    """Render with values such as `maxConcurrentRuns=2`, or `json:watchNamespaces=["a"]`."""
    options = [*STORE]
    for value in values:
        options += ["--set-json", value.removeprefix("json:")] if value.startswith("json:") else ["--set", value]
    return [d for d in yaml.load_all(_render(*options, version=version, release=release), yaml.CSafeLoader) if d]


@functools.cache
def _render(*options: str, version: str, release: str) -> str:
    return render(CHART, *options, version=version, release=release)


def build_overlay(folder: Path) -> list[dict[str, Any]]:
    """Return what `kubectl kustomize` makes of a folder."""
    command = (
        [shutil.which("kustomize"), "build"] if shutil.which("kustomize") else [find_program("kubectl"), "kustomize"]
    )
    outcome = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return [document for document in yaml.safe_load_all(outcome.stdout) if document]


def the(documents: list[dict[str, Any]], kind: str, name: str = "driftloop") -> dict[str, Any]:
    [found] = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def pods_of(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents:
        if document["kind"] == "Pod":
            yield document["metadata"]["name"], document["spec"]
        elif document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def operator_container(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [container] = the(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def environment(documents: list[dict[str, Any]]) -> Mapping[str, str]:
    """Return the operator's environment as a container would have it; references stand as `<...>`."""
    return {
        entry["name"]: entry.get("value", f"<{next(iter(entry.get('valueFrom', {'': ''}).values()))}>")
        for entry in operator_container(documents)["env"]
    }
