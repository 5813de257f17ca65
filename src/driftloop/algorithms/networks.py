"""Neural networks."""

from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Growth, Params, Range, Shape
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

_FEW_COLUMNS = 40


def _build_mlp(task: Task, params: Params, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from driftloop.algorithms.scaledtarget import ScaledTarget

    # A fit ends when the loss stands still for five epochs, and after a hundred at the latest.
    network = (MLPClassifier if task is Task.CLASSIFICATION else MLPRegressor)(
        hidden_layer_sizes=(params["units"],) * params["layers"],
        alpha=params["alpha"],
        learning_rate_init=params["learning_rate_init"],
        max_iter=params.get("max_iter", 100),
        tol=1e-3,
        n_iter_no_change=5,
        random_state=seed,
    )
    return network if task is Task.CLASSIFICATION else ScaledTarget(network)  # a network learns on a known scale


def _leave_out(shape: Shape) -> str:
    if shape.columns < _FEW_COLUMNS:
        return f"it is for tables of at least {_FEW_COLUMNS} columns that act together, such as pixels: name it"
    return ""


NETWORKS = (
    Algorithm(
        name="MLP",
        tasks=frozenset(SUPERVISED),
        reason="For many numeric columns that act together, such as pixels or spectra; seldom the best on other tables "
        "and slow on large ones.",
        defaults={"units": 64, "layers": 1, "alpha": 1e-4, "learning_rate_init": 3e-3},
        space={
            "units": Range(16, 128, is_log=True, is_whole=True, wide=(8, 512), simpler=-1),
            "layers": Range(1, 2, is_whole=True, wide=(1, 3)),
            "alpha": Range(1e-5, 1e-1, is_log=True, wide=(1e-6, 10), simpler=1),
            "learning_rate_init": Range(5e-4, 1e-2, is_log=True),
        },
        build=_build_mlp,
        seconds=lambda shape: 0.1 + 100 * shape.rows * (4e-6 + 6e-9 * shape.columns * 64 / 10),
        leave_out=_leave_out,
        growth=Growth("max_iter", lambda _: (10, 20, 40, 70, 100), is_total=False),
        wants_scale=True,
        weight=2,
        rank=7,
    ),
)
