"""Linear models and naive Bayes: small, fast, easy to explain."""

from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Params, Range, Shape
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

_BOTH = frozenset(SUPERVISED)
_MANY_COLUMNS = 0.1
"""Columns for each row from which on leaving columns out may pay."""
_COUNTS = 300
"""Columns from which on a table looks like one of words."""


def _build_linear(task: Task, params: Params, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if task is Task.CLASSIFICATION:
        return LogisticRegression(C=params["C"], max_iter=500, random_state=seed)
    return Ridge(alpha=1 / params["C"], random_state=seed)


def _build_lasso(task: Task, params: Params, seed: int) -> Any:
    return _build_elastic_net(task, {**params, "l1_ratio": 1.0}, seed)


def _build_elastic_net(task: Task, params: Params, seed: int) -> Any:
    from sklearn.linear_model import ElasticNet, LogisticRegression

    from driftloop.algorithms.scaledtarget import ScaledTarget

    if task is Task.CLASSIFICATION:
        return LogisticRegression(
            C=1 / params["alpha"] / 100, l1_ratio=params["l1_ratio"], solver="saga", max_iter=200, random_state=seed
        )
    return ScaledTarget(
        ElasticNet(alpha=params["alpha"], l1_ratio=params["l1_ratio"], max_iter=2000, random_state=seed)
    )


def _build_linear_svm(task: Task, params: Params, seed: int) -> Any:
    from sklearn.svm import LinearSVC, LinearSVR

    from driftloop.algorithms.calibrated import calibrate
    from driftloop.algorithms.scaledtarget import ScaledTarget

    if task is Task.CLASSIFICATION:
        return calibrate(LinearSVC(C=params["C"], max_iter=1000, random_state=seed), seed)
    return ScaledTarget(
        LinearSVR(C=params["C"], epsilon=0.1, loss="squared_epsilon_insensitive", max_iter=1000, random_state=seed)
    )


def _build_naive_bayes(_task: Task, params: Params, _seed: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(var_smoothing=params["var_smoothing"])


def _leave_out_sparse(shape: Shape) -> str:
    if shape.columns < _MANY_COLUMNS * shape.rows:
        return "there are many rows for each column, where it does no better than Linear"
    return ""


def _classes(shape: Shape) -> int:
    return max(shape.classes - 1, 1)


LINEAR = (
    Algorithm(
        name="Linear",
        tasks=_BOTH,
        reason="Small, fast and easy to explain; hard to beat on few rows. Logistic or ridge regression.",
        defaults={"C": 1.0},
        space={"C": Range(1e-3, 1e2, is_log=True, wide=(1e-5, 1e4), simpler=-1)},
        build=_build_linear,
        seconds=lambda shape: 0.01 + 1e-7 * shape.cells * _classes(shape),
        wants_scale=True,
        most_trials=10,
        rank=0,
    ),
    Algorithm(
        name="Lasso",
        tasks=_BOTH,
        reason="Linear, and leaves out columns that tell nothing.",
        defaults={"alpha": 0.01},
        space={"alpha": Range(1e-4, 1.0, is_log=True, wide=(1e-6, 10.0), simpler=1)},
        build=_build_lasso,
        seconds=lambda shape: 0.02 + 7e-7 * shape.cells * _classes(shape),
        most_trials=12,
        leave_out=lambda _: "ElasticNet includes it: name it to have it alone",
        wants_scale=True,
        most_rows=200_000,
    ),
    Algorithm(
        name="ElasticNet",
        tasks=_BOTH,
        reason="Linear, between Lasso and ridge: for many columns that go together.",
        defaults={"alpha": 0.01, "l1_ratio": 0.5},
        space={
            "alpha": Range(1e-4, 1.0, is_log=True, wide=(1e-6, 10.0), simpler=1),
            "l1_ratio": Range(0.05, 1.0),
        },
        build=_build_elastic_net,
        seconds=lambda shape: 0.02 + 7e-7 * shape.cells * _classes(shape),
        most_trials=25,
        leave_out=_leave_out_sparse,
        wants_scale=True,
        most_rows=200_000,
        rank=4,
    ),
    Algorithm(
        name="LinearSVM",
        tasks=_BOTH,
        reason="Linear, and minds the rows near the border most; probabilities by calibration on held-out training "
        "rows.",
        defaults={"C": 0.1},
        space={"C": Range(1e-4, 10.0, is_log=True, wide=(1e-5, 1e3), simpler=-1)},
        build=_build_linear_svm,
        seconds=lambda shape: 0.05 + 4e-7 * shape.cells * max(shape.classes, 1),
        most_trials=12,
        leave_out=lambda _: "it seldom does better than Linear, whose probabilities need no calibration: name it",
        wants_scale=True,
        most_rows=200_000,
        fewest_of_class=3,
    ),
    Algorithm(
        name="NaiveBayes",
        tasks=frozenset({Task.CLASSIFICATION}),
        reason="Takes the columns as independent; learns from very few rows at once.",
        defaults={"var_smoothing": 1e-9},
        space={"var_smoothing": Range(1e-10, 1.0, is_log=True, simpler=1)},
        build=_build_naive_bayes,
        seconds=lambda shape: 0.01 + 2e-8 * shape.cells,
        leave_out=lambda shape: (
            ""
            if shape.columns >= _COUNTS
            else f"it is for tables of at least {_COUNTS} columns, such as words: name it"
        ),
        most_trials=8,
        rank=8,
    ),
)
