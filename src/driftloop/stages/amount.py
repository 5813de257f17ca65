"""Are there enough rows, and what would more of them bring? Rules of thumb, and a learning curve drawn on.

Part of the checks of `validate`. The curve is a rough model's: it costs milliseconds, and tells the direction.
"""

from collections.abc import Sequence

import numpy as np

from driftloop.algorithms.samplesize import rows_to_learn_classes, rows_to_learn_numbers
from driftloop.spec import DataSchema, FeatureType
from driftloop.spec.datachecks import LearningPoint
from driftloop.stages.codedrows import CodedRows
from driftloop.stages.roughmodel import RoughModel
from driftloop.stages.split import TRAIN_SHARE

SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
_REPEATS = 3
_MOST_ONE_HOT = 20
_USUAL_R2 = 0.3
_FEWEST_POINTS = 3
_EXPONENTS = np.arange(0.1, 2.01, 0.1)
"""Learning curves fall by powers of the rows between a tenth and two; Viering and Loog, "The Shape of Learning
Curves", 2023."""


def rows_needed(schema: DataSchema, coded: CodedRows) -> int:
    """Return the labelled rows that a linear model of these columns needs by rules of thumb, test rows included."""
    parameters = sum(
        max(len(feature.categories) - 1, 1)
        if feature.type is FeatureType.CATEGORICAL and len(feature.categories) <= _MOST_ONE_HOT
        else 1
        for feature in schema.features
    )
    if schema.target.classes:
        rarest = np.bincount(coded.target_codes, minlength=len(schema.target.classes)).min() / max(coded.rows, 1)
        needs = rows_to_learn_classes(parameters, float(np.clip(rarest, 1e-4, 0.5)))
    else:
        needs = rows_to_learn_numbers(max(parameters, 3), _USUAL_R2)
    return round(max(need.rows for need in needs) / TRAIN_SHARE)


def learning_points(model: RoughModel) -> tuple[LearningPoint, ...]:
    """Return what the rough model explains after a sixteenth, an eighth, ... of the rows."""
    return tuple(LearningPoint(rows=n, explained=share) for n, share in model.learning_curve(SHARES, _REPEATS))


def draw_on(points: Sequence[LearningPoint], sizes: Sequence[int]) -> tuple[LearningPoint, ...]:
    """Return the curve at other sizes, by a power law `unexplained = a + b * rows ** -c` with a and b at least 0.

    Empty with fewer than three points. Never below what was reached: more rows do no harm.
    """
    if len(points) < _FEWEST_POINTS:
        return ()
    rows = np.array([point.rows for point in points], dtype=np.float64)
    unexplained = 1 - np.array([point.explained for point in points])
    best: tuple[float, float, float, float] = (np.inf, float(unexplained.min()), 0.0, 1.0)
    for exponent in _EXPONENTS:
        falling = rows**-exponent
        slope = float(np.cov(falling, unexplained, ddof=0)[0, 1] / falling.var())
        floor = float(unexplained.mean() - slope * falling.mean())
        if slope < 0:
            slope, floor = 0.0, float(unexplained.mean())
        elif floor < 0:
            slope, floor = float((falling * unexplained).sum() / (falling**2).sum()), 0.0
        # The last points tell more of what comes.
        error = float((((floor + slope * falling) - unexplained) ** 2 * rows).sum())
        best = min(best, (error, floor, slope, float(exponent)))
    _, floor, slope, exponent = best
    reached = max(point.explained for point in points)
    return tuple(
        LearningPoint(rows=size, explained=max(1 - floor - slope * size**-exponent, reached)) for size in sizes
    )
