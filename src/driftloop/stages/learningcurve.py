"""The learning curve of a table: what a linear model reaches on ever more of its rows. No stage; for `estimate`.

Uses the pipeline's own split, preparation and metrics, so that its figures are comparable with those of a run.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, PreparationSpec
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.split import split
from driftloop.stages.table import encode_target, read_features, read_target
from driftloop.stages.transform import fit_transformer

_DOUBLINGS = 4
_FEWEST_ROWS = 40
_REPETITIONS = 5
ALGORITHM = "Linear"


@dataclass(frozen=True)
class CurvePoint:
    """What so many training rows reach."""

    rows: int
    score: float
    """Mean over random subsets, on rows that none of them holds."""
    spread: float
    """Standard deviation over the subsets."""


def learning_curve(
    table: pa.Table, schema: DataSchema, preparation: PreparationSpec, *, metric: str, seed: int
) -> list[CurvePoint]:
    """Return the metric on the validation rows after learning from an eighth, a quarter, a half and all training rows.

    Sizes at which a class is missing or the metric is undefined are left out.

    Raises:
        MissingClassError: the rows can't be split.
    """
    splits = split(table, schema, seed=seed)
    train, judge = (read_features(part, schema) for part in (splits.train, splits.validation))
    labels, truth = read_target(splits.train, schema), encode_target(read_target(splits.validation, schema), schema)
    cleaned = clean_training_rows(train, labels, schema, preparation, seed=seed)
    labels = labels[cleaned.rows]
    made = fit_transformer(cleaned.frame, labels, schema, preparation, seed=seed)
    matrix, judged = made.matrix, made.transformer.transform(cleaned.cleaner.transform(judge))
    algorithm, random = get_algorithm(ALGORITHM), np.random.default_rng(seed)
    points = []
    for halvings in range(_DOUBLINGS - 1, -1, -1):
        rows = len(labels) >> halvings
        if rows < _FEWEST_ROWS:
            continue
        values = []
        for _ in range(_REPETITIONS if halvings else 1):
            chosen = random.permutation(len(labels))[:rows]
            if len(np.unique(labels[chosen])) < len(schema.target.classes):
                continue
            estimator = algorithm.build(schema.task, algorithm.defaults, seed)
            estimator.fit(matrix[chosen], labels[chosen])
            values.append(score(metric, truth, answer(estimator, judged, schema.task)))
        known = [value for value in values if np.isfinite(value)]
        if known:
            points.append(CurvePoint(rows, float(np.mean(known)), float(np.std(known))))
    return points


def gain_of_last_doubling(points: list[CurvePoint]) -> float | None:
    """Return what the last doubling of the rows brought; None with fewer than two points."""
    return points[-1].score - points[-2].score if len(points) > 1 else None
