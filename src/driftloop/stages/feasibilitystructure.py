"""Go or no-go without a truth to learn: is there structure, and is it found again? For `feasibility`.

Clusters are held against those that the same algorithm finds in the same columns, each shuffled by itself: what it
finds there is what it finds in anything (after Tibshirani et al. 2001, the gap statistic). Anomalies are held against
labels where there are some, else against the scores of a model fitted on the other half of the rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer, set_up
from driftloop.spec import DataSchema, Task, TrainingSpec
from driftloop.stages.records import Evaluation, Explanation

SHUFFLES = 3
MOST_ROWS = 2000
LEAST_STABILITY = 0.6
"""Agreement of two models fitted on one half of the rows each, at which structure counts as found again."""
STABILITY = "stability"
_WITHOUT_STRUCTURE = ("silhouette", "calinski_harabasz", "neg_davies_bouldin")
_BY_CHANCE = {"roc_auc": 0.5, "adjusted_rand": 0.0}


@dataclass(frozen=True)
class StructureStudy:
    """What was measured of a model without a target."""

    evaluation: Evaluation
    explanation: Explanation
    shuffled: tuple[float, ...]
    """The metric on columns that were shuffled by themselves; empty where it says nothing there."""


def study_structure(
    train: npt.NDArray[np.float64],
    test: npt.NDArray[np.float64],
    schema: DataSchema,
    *,
    evaluation: Evaluation,
    explanation: Explanation,
    training: TrainingSpec,
) -> StructureStudy:
    """Fit the same algorithm on rows without structure.

    Args:
        train: training rows prepared, shape (n_rows, n_columns).
        test: test rows prepared.
        schema: of those rows.
        evaluation: what the test rows say of the model.
        explanation: what it looks at.
        training: seed of the shuffles, and what is not tuned.
    """
    found = []
    if schema.task is Task.CLUSTERING and evaluation.metric in _WITHOUT_STRUCTURE:
        from threadpoolctl import threadpool_limits

        algorithm = set_up(get_algorithm(evaluation.algorithm), training, evaluation.metric)
        random = np.random.default_rng(training.random_state)
        with threadpool_limits(limits=1):
            for _ in range(SHUFFLES):
                fitted, judged = (_shuffle(rows[:MOST_ROWS], random) for rows in (train, test))
                model: Any = algorithm.build(schema.task, evaluation.params, training.random_state)
                answers = answer(model.fit(fitted), judged, schema.task)
                found.append(score(evaluation.metric, np.full(len(judged), np.nan), answers))
    return StructureStudy(evaluation, explanation, tuple(value for value in found if np.isfinite(value)))


def structure_rules(found: StructureStudy, threshold: float | None) -> Iterator[tuple[bool, str]]:
    """Yield every rule: whether it is held, and the figures behind it."""
    evaluation = found.evaluation
    metric, value, error = evaluation.metric, evaluation.score, evaluation.standard_error
    if found.shuffled:
        most = max(found.shuffled)
        figures = f"{metric} {value:.4f} ± {error:.4f} against {most:.4f} on columns shuffled by themselves"
        yield value - 2 * error > most, f"{figures}, two standard errors above it wanted"
    for name, chance in _BY_CHANCE.items():
        if name in evaluation.metrics and name in evaluation.intervals:
            low, high = evaluation.intervals[name]
            figures = f"{name} {evaluation.metrics[name]:.4f} (95 % interval {low:.4f} to {high:.4f})"
            yield low > chance, f"{figures}, an interval above {chance:g} wanted: chance"
    if STABILITY in evaluation.metrics:
        stability = evaluation.metrics[STABILITY]
        yield (
            stability >= LEAST_STABILITY,
            f"two models of one half of the rows each agree by {stability:.3f}, at least {LEAST_STABILITY:g} wanted",
        )
    if threshold is not None:
        yield value >= threshold, f"{metric} {value:.4f} ± {error:.4f}, at least {threshold:g} wanted"


def structure_advice(found: StructureStudy, threshold: float | None) -> Iterator[str]:
    """Yield what would help."""
    if any(not held for held, _ in structure_rules(found, None)):
        yield (
            "The columns show little structure, or another one in each half. Leave out columns that tell nothing "
            "apart, scale them by what matters, or collect more rows."
        )
    if threshold is None:
        yield "State the smallest useful value in problem.metric.threshold: without it, go means better than chance."


def _shuffle(rows: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    return random.permuted(rows, axis=0)
