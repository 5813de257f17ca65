"""Models that compare rows with training rows: nearest neighbours and kernel machines. For few rows."""

from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Choice, Params, Range, Shape
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

_BOTH = frozenset(SUPERVISED)
_MOST_NEIGHBOURS = 60
_AUTO_ROWS = 4_000
"""Beyond this trees do better, and one answer costs too long."""
_NEIGHBOUR_COLUMNS = 40
"""Beyond this all rows are about equally far from one another."""


def _build_neighbours(task: Task, params: Params, _seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    neighbours = KNeighborsClassifier if task is Task.CLASSIFICATION else KNeighborsRegressor
    return neighbours(n_jobs=1, **params)


def _build_kernel_svm(task: Task, params: Params, seed: int) -> Any:
    from sklearn.svm import SVC, SVR

    from driftloop.algorithms.calibrated import calibrate
    from driftloop.algorithms.scaledtarget import ScaledTarget

    # Iterations are bounded: a hard problem with a great C would never end.
    if task is Task.CLASSIFICATION:
        return calibrate(SVC(C=params["C"], gamma=params["gamma"], max_iter=100_000, cache_size=400), seed)
    return ScaledTarget(
        SVR(C=params["C"], gamma=params["gamma"], epsilon=params["epsilon"], max_iter=100_000, cache_size=400)
    )


def _leave_out(shape: Shape) -> str:
    if shape.rows > _AUTO_ROWS:
        return f"there are more than {_AUTO_ROWS:,} rows, where trees do better and answer faster"
    return ""


NEIGHBOURS = (
    Algorithm(
        name="KNeighbors",
        tasks=_BOTH,
        reason="Answers as the most similar training rows; carries them in the model.",
        defaults={"n_neighbors": 15, "weights": "distance", "p": 2},
        space={
            "n_neighbors": Range(2, 30, is_log=True, is_whole=True, wide=(1, _MOST_NEIGHBOURS), simpler=1),
            "weights": Choice(("distance", "uniform")),
            "p": Choice((2, 1)),
        },
        build=_build_neighbours,
        seconds=lambda shape: 0.01 + 2e-9 * shape.rows * shape.cells,
        leave_out=lambda shape: (
            _leave_out(shape)
            or (
                f"there are more than {_NEIGHBOUR_COLUMNS} columns, where all rows are about equally far apart"
                if shape.columns > _NEIGHBOUR_COLUMNS
                else ""
            )
        ),
        takes_weights=False,
        wants_scale=True,
        most_rows=50_000,
        most_trials=25,
        fewest_rows=2 * _MOST_NEIGHBOURS,
        rank=6,
    ),
    Algorithm(
        name="KernelSVM",
        tasks=_BOTH,
        reason="Smooth, curved borders from few rows (radial kernel); probabilities by calibration on held-out "
        "training rows.",
        defaults={"C": 1.0, "gamma": 0.03, "epsilon": 0.1},
        space={
            "C": Range(0.05, 100, is_log=True, wide=(1e-3, 1e4), simpler=-1),
            "gamma": Range(1e-4, 1, is_log=True, wide=(1e-6, 10), simpler=-1),
            "epsilon": Range(0.01, 0.5, is_log=True, simpler=1),
        },
        build=_build_kernel_svm,
        seconds=lambda shape: 0.02 + 6e-9 * shape.rows * shape.cells * max(shape.classes - 1, 1),
        leave_out=_leave_out,
        wants_scale=True,
        most_rows=10_000,
        fewest_of_class=3,
        weight=2,
        rank=5,
    ),
)
