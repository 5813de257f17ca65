"""The catalogue's entries for the task AnomalyDetection. The threshold is the share of rows to call anomalous."""

from collections.abc import Callable
from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Params, Range, Shape
from driftloop.spec import Task

CONTAMINATION = "contamination"
"""Setting of a fit that is the loop's and not tuned."""
USUAL_CONTAMINATION = 0.01
"""Share of rows to call anomalous where neither the loop nor labels say."""
_FEWEST_ROWS = 10
_MOST_NEIGHBOUR_ROWS = 20_000
_MOST_NEIGHBOUR_COLUMNS = 40


def _build(method: str) -> Callable[[Task, Params, int], Any]:
    def build(_: Task, params: Params, seed: int) -> Any:
        from driftloop.algorithms.anomalymodel import AnomalyModel

        tuned = {name: value for name, value in params.items() if name != CONTAMINATION}
        return AnomalyModel(method, tuned, params.get(CONTAMINATION), seed)

    return build


def _leave_neighbours_out(shape: Shape) -> str:
    if shape.rows > _MOST_NEIGHBOUR_ROWS:
        return f"there are more than {_MOST_NEIGHBOUR_ROWS:,} rows, of which it would carry as many in the model"
    if shape.columns > _MOST_NEIGHBOUR_COLUMNS:
        return f"there are more than {_MOST_NEIGHBOUR_COLUMNS} columns, where all rows are about equally far apart"
    return ""


ANOMALIES = (
    Algorithm(
        name="IsolationForest",
        tasks=frozenset({Task.ANOMALY_DETECTION}),
        reason="Rows that few random cuts set apart: fast, for any number of rows, and scales don't matter.",
        defaults={"max_samples": 256},
        space={"max_samples": Range(64, 2048, is_log=True, is_whole=True)},
        build=_build("IsolationForest"),
        seconds=lambda shape: 1 + 1e-6 * shape.cells,
        fewest_rows=_FEWEST_ROWS,
        most_trials=8,
        rank=1,
    ),
    Algorithm(
        name="LocalOutlierFactor",
        tasks=frozenset({Task.ANOMALY_DETECTION}),
        reason="Rows in thinner places than their neighbours: finds what is odd for its surroundings; carries rows in "
        "the model.",
        defaults={"n_neighbors": 20},
        space={"n_neighbors": Range(5, 100, is_log=True, is_whole=True)},
        build=_build("LocalOutlierFactor"),
        seconds=lambda shape: 0.1 + 1e-9 * min(shape.rows, _MOST_NEIGHBOUR_ROWS) ** 2 * shape.columns,
        leave_out=_leave_neighbours_out,
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        most_trials=8,
        rank=2,
    ),
    Algorithm(
        name="OneClassSVM",
        tasks=frozenset({Task.ANOMALY_DETECTION}),
        reason="A smooth border around most rows (radial kernel).",
        defaults={"nu": 0.05, "gamma_of_scale": 1.0},
        space={"nu": Range(0.005, 0.3, is_log=True), "gamma_of_scale": Range(0.05, 5, is_log=True)},
        build=_build("OneClassSVM"),
        seconds=lambda shape: 0.1 + 3e-7 * min(shape.rows, 5_000) ** 2,
        leave_out=lambda _: "by agreement alone a smoother border always looks better; name it where labels judge it",
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        rank=5,
    ),
    Algorithm(
        name="EllipticEnvelope",
        tasks=frozenset({Task.ANOMALY_DETECTION}),
        reason="Far from the middle of one bell-shaped cloud, measured robustly: for numbers of one population.",
        defaults={"support_fraction": 0.75},
        space={"support_fraction": Range(0.6, 0.95)},
        build=_build("EllipticEnvelope"),
        seconds=lambda shape: 1 + 2e-6 * shape.cells * shape.columns,
        leave_out=lambda _: "it takes the rows for one bell-shaped cloud; name it where they are",
        fewest_rows=_FEWEST_ROWS,
        most_trials=4,
        rank=6,
    ),
)
