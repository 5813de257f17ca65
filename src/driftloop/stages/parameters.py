"""How components read the structs among their parameters. What they are made of stands in `loop.parameters`.

Structs come back from Kubeflow with whole numbers as floats and keys in any order; only the typed groups read them.
"""

from collections.abc import Mapping
from typing import Any

from driftloop.spec import DataSpec, ProblemSpec


def read_data_group(data: Mapping[str, Any], *, uri: str, target_column: str) -> DataSpec:
    """Return the group `data` with the fields that travel as parameters of their own."""
    return DataSpec.model_validate({**data, "uri": uri, "targetColumn": target_column})


def read_problem_group(problem: Mapping[str, Any], *, task: str) -> ProblemSpec:
    """Return the group `problem` with the field that travels as a parameter of its own."""
    return ProblemSpec.model_validate({**problem, "task": task})
