"""Trees, forests and boosting: thresholds and interactions, whatever the scale of a number."""

from collections.abc import Sequence
from math import log2
from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Choice, Growth, Params, Range, Shape
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

_BOTH = frozenset(SUPERVISED)
_BOOSTING_PROGRESS = (1, 2, 3.5, 6, 10, 16, 25, 40)
"""Learning rate times trees at which a boosted model is looked at."""
_MOST_TREES = 600
_FEW_ROWS = 40


def _build_tree(task: Task, params: Params, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = DecisionTreeClassifier if task is Task.CLASSIFICATION else DecisionTreeRegressor
    return tree(random_state=seed, **params)


def _build_forest(task: Task, params: Params, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    # Half of the rows for each tree: as good on tables of this size, at half the time and model size.
    forest = RandomForestClassifier if task is Task.CLASSIFICATION else RandomForestRegressor
    return forest(max_samples=0.5, n_jobs=1, random_state=seed, **{"n_estimators": 60, **params})


def _build_extra_trees(task: Task, params: Params, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    forest = ExtraTreesClassifier if task is Task.CLASSIFICATION else ExtraTreesRegressor
    return forest(n_jobs=1, random_state=seed, **{"n_estimators": 60, **params})


def _build_boosting(task: Task, params: Params, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    # The number of trees is chosen on the validation rows; stopping early would hold out rows of its own.
    boosting = HistGradientBoostingClassifier if task is Task.CLASSIFICATION else HistGradientBoostingRegressor
    return boosting(early_stopping=False, random_state=seed, **params)


def _boosting_sizes(params: Params) -> Sequence[int]:
    trees = (round(progress / params["learning_rate"]) for progress in _BOOSTING_PROGRESS)
    return sorted({min(max(count, 2), _MOST_TREES) for count in trees})


def _forest_seconds(shape: Shape) -> float:
    return 0.1 + 1.2e-7 * 60 * 0.4 * shape.cells * log2(max(shape.rows, 2)) / 2


_FOREST_SPACE = {
    "max_depth": Range(6, 18, is_whole=True, wide=(3, 40), simpler=-1),
    "min_samples_leaf": Range(1, 50, is_log=True, is_whole=True, wide=(1, 200), simpler=1),
    "max_features": Range(0.1, 1.0, wide=(0.02, 1.0)),
}
_FOREST_GROWTH = Growth("n_estimators", lambda _: (15, 30, 60), can_harm=False)

TREES = (
    Algorithm(
        name="DecisionTree",
        tasks=_BOTH,
        reason="One tree: rules that people can read.",
        defaults={"max_depth": 6, "min_samples_leaf": 10},
        space={
            "max_depth": Range(2, 16, is_whole=True, wide=(2, 30), simpler=-1),
            "min_samples_leaf": Range(1, 200, is_log=True, is_whole=True, wide=(1, 1000), simpler=1),
        },
        build=_build_tree,
        seconds=lambda shape: 0.01 + 1.5e-7 * shape.cells * log2(max(shape.rows, 2)),
        most_trials=30,
        leave_out=lambda _: "forests of such trees do better: name it where rules shall be read",
    ),
    Algorithm(
        name="RandomForest",
        tasks=_BOTH,
        reason="Robust without tuning; follows thresholds and interactions.",
        defaults={"max_depth": 12, "min_samples_leaf": 5, "max_features": 0.4},
        space=_FOREST_SPACE,
        build=_build_forest,
        seconds=_forest_seconds,
        growth=_FOREST_GROWTH,
        weight=2,
        rank=2,
    ),
    Algorithm(
        name="ExtraTrees",
        tasks=_BOTH,
        reason="As RandomForest, with thresholds at random: smoother, and good company for boosting.",
        defaults={"max_depth": 16, "min_samples_leaf": 3, "max_features": 0.6},
        space=_FOREST_SPACE,
        build=_build_extra_trees,
        seconds=_forest_seconds,
        growth=_FOREST_GROWTH,
        weight=2,
        rank=3,
    ),
    Algorithm(
        name="HistGradientBoosting",
        tasks=_BOTH,
        reason="Usually the best on tables of more than a few thousand rows.",
        defaults={
            "learning_rate": 0.1,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 20,
            "l2_regularization": 0.001,
            "max_features": 1.0,
        },
        space={
            "learning_rate": Range(0.02, 0.3, is_log=True, wide=(0.01, 0.5)),
            "max_leaf_nodes": Range(4, 127, is_log=True, is_whole=True, wide=(3, 512), simpler=-1),
            "min_samples_leaf": Range(3, 100, is_log=True, is_whole=True, wide=(1, 400), simpler=1),
            "l2_regularization": Range(1e-3, 30, is_log=True, wide=(1e-6, 1000), simpler=1),
            "max_features": Choice((1.0, 0.7, 0.4)),
        },
        build=_build_boosting,
        seconds=lambda shape: 0.3 + 2.6e-6 * shape.cells * max(shape.classes - 1, 1),
        leave_out=lambda shape: (
            "" if shape.rows >= _FEW_ROWS else f"there are fewer than {_FEW_ROWS} rows, too few to part into leaves"
        ),
        growth=Growth("max_iter", _boosting_sizes),
        weight=4,
        rank=1,
    ),
)
