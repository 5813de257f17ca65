"""The catalogue's entries for the task Clustering. The number of clusters is chosen within each fit.

`Auto` takes those that part any rows: judged by how tight and apart clusters are, methods for odd shapes and noise
seldom win, and where they are wanted they are named.
"""

from collections.abc import Callable
from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Choice, Params, Range, Shape
from driftloop.spec import Task

_FEWEST_ROWS = 10
_MOST_TREE_ROWS = 5_000
_LARGE = 20_000
COUNTS, METRIC = "counts", "metric"
"""Settings of a fit that are the loop's and not tuned: fewest and most clusters, the loop's metric."""


def _build(method: str) -> Callable[[Task, Params, int], Any]:
    def build(_: Task, params: Params, seed: int) -> Any:
        from driftloop.algorithms.clustermodel import ClusterModel

        settings = {name: params[name] for name in (COUNTS, METRIC) if name in params}
        tuned = {name: value for name, value in params.items() if name not in settings}
        return ClusterModel(method, tuned, seed=seed, **settings)

    return build


def _seconds(per_cell: float) -> Callable[[Shape], float]:
    return lambda shape: 0.3 + per_cell * shape.cells


def _on_request(_: Shape) -> str:
    return (
        "judged by how tight and apart clusters are, it seldom wins; name it for odd shapes, or for rows of no cluster"
    )


CLUSTERING = (
    Algorithm(
        name="KMeans",
        tasks=frozenset({Task.CLUSTERING}),
        reason="Round clusters of like size around a mean: simple to explain, and the first to try.",
        defaults={},
        space={},
        build=_build("KMeans"),
        seconds=_seconds(1e-5),
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        most_trials=1,
        rank=1,
    ),
    Algorithm(
        name="MiniBatchKMeans",
        tasks=frozenset({Task.CLUSTERING}),
        reason="As KMeans, fitted on small batches: for many rows.",
        defaults={"batch_size": 1024},
        space={"batch_size": Choice((1024, 256, 4096))},
        build=_build("MiniBatchKMeans"),
        seconds=_seconds(2e-6),
        leave_out=lambda shape: "KMeans is as fast on so few rows" if shape.rows <= _LARGE else "",
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        most_trials=3,
        rank=3,
    ),
    Algorithm(
        name="Agglomerative",
        tasks=frozenset({Task.CLUSTERING}),
        reason="Hierarchical: merges the nearest groups step by step; a new row belongs to the nearest mean.",
        defaults={"linkage": "ward"},
        space={"linkage": Choice(("ward", "average", "complete"))},
        build=_build("Agglomerative"),
        seconds=lambda shape: 0.3 + 1e-7 * min(shape.rows, _MOST_TREE_ROWS) ** 2,
        leave_out=lambda shape: (
            f"it compares all pairs, and would see only {_MOST_TREE_ROWS:,} of the rows"
            if shape.rows > _MOST_TREE_ROWS
            else ""
        ),
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        most_trials=3,
        rank=4,
    ),
    Algorithm(
        name="GaussianMixture",
        tasks=frozenset({Task.CLUSTERING}),
        reason="Oval clusters that may overlap, with a probability of each; their number by BIC.",
        defaults={"covariance_type": "full"},
        space={"covariance_type": Choice(("full", "diag", "tied", "spherical"))},
        build=_build("GaussianMixture"),
        seconds=_seconds(3e-5),
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        most_trials=4,
        rank=2,
    ),
    Algorithm(
        name="HDBSCAN",
        tasks=frozenset({Task.CLUSTERING}),
        reason="Dense regions of any shape, in a number of its own; a row in none of them has the cluster -1.",
        defaults={"min_cluster_share": 0.02, "min_samples": 5},
        space={
            "min_cluster_share": Range(0.005, 0.15, is_log=True, simpler=1),
            "min_samples": Range(2, 25, is_log=True, is_whole=True),
        },
        build=_build("HDBSCAN"),
        seconds=lambda shape: 0.3 + 3e-7 * min(shape.rows, 10_000) ** 2,
        leave_out=_on_request,
        wants_scale=True,
        fewest_rows=_FEWEST_ROWS,
        rank=6,
    ),
)
