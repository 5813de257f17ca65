"""The catalogue: every algorithm that a ModelLoop can name, the simplest first.

Estimators get the matrix of the stage `transform` (numbers only, nothing missing) and run on one thread: the pipeline
fits two candidates side by side. The entries stand with their families.
"""

import difflib
from collections.abc import Sequence

from driftloop.algorithms.algorithm import Algorithm
from driftloop.algorithms.anomaly import ANOMALIES
from driftloop.algorithms.clustering import CLUSTERING
from driftloop.algorithms.linear import LINEAR
from driftloop.algorithms.neighbours import NEIGHBOURS
from driftloop.algorithms.networks import NETWORKS
from driftloop.algorithms.policies import POLICIES
from driftloop.algorithms.trees import TREES
from driftloop.errors import InvalidInputError
from driftloop.spec import Task

AUTO = "Auto"

CATALOGUE: tuple[Algorithm, ...] = (*LINEAR, *NEIGHBOURS, *TREES, *NETWORKS, *CLUSTERING, *ANOMALIES, *POLICIES)


class UnknownAlgorithmError(InvalidInputError):
    """A name that is not in the catalogue."""

    def __init__(self, name: str) -> None:
        names = [AUTO, *(algorithm.name for algorithm in CATALOGUE)]
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"Did you mean '{close[0]}'?" if close else f"Use one of: {', '.join(names)}."
        super().__init__(f"Each of 'training.algorithms' must be an algorithm of the catalogue. Got '{name}'. {hint}")


class UnfitAlgorithmError(InvalidInputError):
    """An algorithm that does not do the task."""

    def __init__(self, name: str, task: Task) -> None:
        fitting = ", ".join(algorithm.name for algorithm in CATALOGUE if task in algorithm.tasks)
        super().__init__(
            f"Each of 'training.algorithms' must do the task {task}. '{name}' does not. Use one of: {fitting}."
        )


def resolve_algorithms(names: Sequence[str], task: Task) -> list[str]:
    """Return the names that may be tried, `Auto` written out, each once; the stage `plan` says which are.

    Raises:
        UnknownAlgorithmError: a name is not in the catalogue.
        UnfitAlgorithmError: an algorithm does not do the task.
    """
    chosen: dict[str, None] = {}
    for name in names:
        if name == AUTO:
            chosen |= dict.fromkeys(algorithm.name for algorithm in CATALOGUE if task in algorithm.tasks)
        elif task not in get_algorithm(name).tasks:
            raise UnfitAlgorithmError(name, task)
        else:
            chosen[name] = None
    return list(chosen)


def get_algorithm(name: str) -> Algorithm:
    """Return the entry of that name.

    Raises:
        UnknownAlgorithmError: there is none.
    """
    from driftloop.algorithms.blend import BLEND

    for algorithm in (*CATALOGUE, BLEND):
        if algorithm.name == name:
            return algorithm
    raise UnknownAlgorithmError(name)
