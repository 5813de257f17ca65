"""The algorithms of Decision, as the catalogue lists them."""

from typing import Any

from driftloop.algorithms.algorithm import Algorithm, Choice, Params, Range, Shape
from driftloop.spec import Task

ACTIONS, EXPLORATION = "actions", "exploration"
"""Settings of a fit that no trial tunes: how many actions there are, and the share of decisions at random."""


def _build(_task: Task, params: Params, seed: int) -> Any:
    from driftloop.algorithms.bandit import BanditPolicy

    return BanditPolicy(**params, seed=seed)


def _seconds(shape: Shape) -> float:
    """Writing the rows for Vowpal Wabbit, and four passes over what each action makes of them."""
    return 0.05 + shape.cells * (4e-7 + 4e-8 * max(shape.classes, 2))


POLICIES: tuple[Algorithm, ...] = (
    Algorithm(
        name="ContextualBandit",
        tasks=frozenset({Task.DECISION}),
        reason="Learns from the rewards of the actions that were taken, weighted by how probable they were.",
        defaults={"method": "mtr", "learning_rate": 0.5, "l1": 1e-9, "l2": 1e-9, "passes": 4, "pairs": False},
        space={
            "method": Choice(("mtr", "dr", "ips")),
            "learning_rate": Range(0.01, 5.0, is_log=True, wide=(0.001, 20.0)),
            "l1": Range(1e-9, 1e-3, is_log=True, simpler=1),
            "l2": Range(1e-9, 1e-3, is_log=True, simpler=1),
            "passes": Range(1, 10, is_log=True, is_whole=True, wide=(1, 30), simpler=-1),
            "pairs": Choice((False, True)),
        },
        build=_build,
        seconds=_seconds,
        takes_weights=False,
        wants_scale=True,
        fewest_rows=10,
    ),
)
