import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftloop.spec.loading import load_modelloops
from driftloop.spec.problems import InvalidModelLoopError, SpecProblem

MINIMAL = {
    "apiVersion": "driftloop.dev/v1alpha1",
    "kind": "ModelLoop",
    "metadata": {"name": "energy"},
    "spec": {
        "problem": {"task": "Classification"},
        "data": {"uri": "energy.csv", "targetColumn": "high"},
    },
}

Problems = Callable[[Path], tuple[SpecProblem, ...]]


@pytest.fixture
def minimal() -> dict[str, Any]:
    return copy.deepcopy(MINIMAL)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | dict[str, Any]], Path]:
    def write(content: str | dict[str, Any], name: str = "loop.yaml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return file

    return write


@pytest.fixture
def problems() -> Problems:
    def problems(path: Path) -> tuple[SpecProblem, ...]:
        with pytest.raises(InvalidModelLoopError) as caught:
            load_modelloops(path)
        return caught.value.problems

    return problems


@pytest.fixture(scope="session")
def full() -> dict[str, Any]:
    example = Path(__file__).parents[2] / "examples" / "full.yaml"
    document: dict[str, Any] = yaml.safe_load(example.read_text(encoding="utf-8"))
    return document
