"""The algorithms: for which task, how each is built, which hyperparameters are tuned, and why it is there.

Estimators get the matrix of the stage `transform` (numbers only, nothing missing) and run on one thread: the pipeline
fits two candidates side by side.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from driftloop.algorithms import algorithm as entry
from driftloop.algorithms.anomaly import ANOMALIES
from driftloop.algorithms.clustering import CLUSTERING
from driftloop.algorithms.policies import POLICIES
from driftloop.errors import InvalidInputError
from driftloop.spec import Task

AUTO = "Auto"

Params: TypeAlias = Mapping[str, Any]


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


@dataclass(frozen=True)
class Algorithm:
    """One entry of the catalogue."""

    name: str
    tasks: frozenset[Task]
    reason: str
    """What it is good for, in one sentence."""
    defaults: Params
    """Hyperparameters of the first trial."""
    suggest: Callable[[Any], Params]
    """Hyperparameters of a further trial, from an Optuna trial."""
    build: Callable[[Task, Params, int], Any]
    """(task, hyperparameters, seed) → estimator, not fitted. A classifier's `fit` takes `sample_weight`."""
    is_in_auto: bool = True
    """Whether `Auto` tries it."""


def resolve_algorithms(names: Sequence[str], task: Task) -> list[str]:
    """Return the names to try, `Auto` written out, each once.

    Raises:
        UnknownAlgorithmError: a name is not in the catalogue.
        UnfitAlgorithmError: an algorithm does not do the task.
    """
    chosen: dict[str, None] = {}
    for name in names:
        if name == AUTO:
            chosen |= dict.fromkeys(
                algorithm.name for algorithm in CATALOGUE if task in algorithm.tasks and _is_in_auto(algorithm)
            )
        elif task not in get_algorithm(name).tasks:
            raise UnfitAlgorithmError(name, task)
        else:
            chosen[name] = None
    return list(chosen)


def _is_in_auto(algorithm: Any) -> bool:
    is_in: bool = algorithm.rank < 3 if isinstance(algorithm, entry.Algorithm) else algorithm.is_in_auto  # noqa: PLR2004
    return is_in


def get_algorithm(name: str) -> Any:
    """Return the entry of that name.

    Raises:
        UnknownAlgorithmError: there is none.
    """
    for algorithm in CATALOGUE:
        if algorithm.name == name:
            return algorithm
    raise UnknownAlgorithmError(name)


def _suggest_linear(trial: Any) -> Params:
    return {"C": trial.suggest_float("C", 1e-3, 1e2, log=True)}


def _build_linear(task: Task, params: Params, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if task is Task.CLASSIFICATION:
        return LogisticRegression(C=params["C"], max_iter=500, random_state=seed)
    return Ridge(alpha=1 / params["C"], random_state=seed)


def _suggest_forest(trial: Any) -> Params:
    return {
        "max_depth": trial.suggest_int("max_depth", 6, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 50, log=True),
        "max_features": trial.suggest_float("max_features", 0.2, 0.8),
    }


def _build_forest(task: Task, params: Params, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    # Half of the rows for each tree: as good on tables of this size, at half the time and model size.
    forest = RandomForestClassifier if task is Task.CLASSIFICATION else RandomForestRegressor
    return forest(n_estimators=60, max_samples=0.5, n_jobs=1, random_state=seed, **params)


def _suggest_boosting(trial: Any) -> Params:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.3, log=True),
        "max_iter": trial.suggest_int("max_iter", 40, 200, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 7, 63, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 100, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 10, log=True),
    }


def _build_boosting(task: Task, params: Params, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    # The number of trees is tuned on the validation rows; stopping early would hold out rows of its own.
    boosting = HistGradientBoostingClassifier if task is Task.CLASSIFICATION else HistGradientBoostingRegressor
    return boosting(early_stopping=False, random_state=seed, **params)


def _suggest_mlp(trial: Any) -> Params:
    return {
        "units": trial.suggest_int("units", 16, 128, log=True),
        "layers": trial.suggest_int("layers", 1, 2),
        "alpha": trial.suggest_float("alpha", 1e-5, 1e-1, log=True),
        "learning_rate_init": trial.suggest_float("learning_rate_init", 5e-4, 1e-2, log=True),
    }


def _build_mlp(task: Task, params: Params, seed: int) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    # A fit ends when the loss stands still for five epochs, and after a hundred at the latest.
    network = (MLPClassifier if task is Task.CLASSIFICATION else MLPRegressor)(
        hidden_layer_sizes=(params["units"],) * params["layers"],
        alpha=params["alpha"],
        learning_rate_init=params["learning_rate_init"],
        max_iter=100,
        tol=1e-3,
        n_iter_no_change=5,
        random_state=seed,
    )
    if task is Task.CLASSIFICATION:
        return network
    return TransformedTargetRegressor(network, transformer=StandardScaler())  # a network learns on a known scale


_BOTH = frozenset({Task.CLASSIFICATION, Task.REGRESSION})

CATALOGUE: tuple[Any, ...] = (
    Algorithm(
        name="Linear",
        tasks=_BOTH,
        reason="Small, fast and easy to explain; hard to beat on few rows.",
        defaults={"C": 1.0},
        suggest=_suggest_linear,
        build=_build_linear,
    ),
    Algorithm(
        name="RandomForest",
        tasks=_BOTH,
        reason="Robust without tuning; follows thresholds and interactions.",
        defaults={"max_depth": 12, "min_samples_leaf": 5, "max_features": 0.4},
        suggest=_suggest_forest,
        build=_build_forest,
    ),
    Algorithm(
        name="HistGradientBoosting",
        tasks=_BOTH,
        reason="Usually the best on tables of more than a few thousand rows.",
        defaults={
            "learning_rate": 0.1,
            "max_iter": 100,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 20,
            "l2_regularization": 0.001,
        },
        suggest=_suggest_boosting,
        build=_build_boosting,
    ),
    Algorithm(
        name="MLP",
        tasks=_BOTH,
        reason="For many numeric columns that act together, such as pixels or spectra; seldom the best on other tables "
        "and slow on large ones, so that it is no part of Auto: name it.",
        defaults={"units": 64, "layers": 1, "alpha": 1e-4, "learning_rate_init": 3e-3},
        suggest=_suggest_mlp,
        build=_build_mlp,
        is_in_auto=False,
    ),
    *CLUSTERING,
    *ANOMALIES,
    *POLICIES,
)
