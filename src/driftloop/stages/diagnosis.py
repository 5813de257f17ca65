"""Whether a model learned too much, too little or the right amount from its rows, by stated rules; for `evaluate`.

- **No signal**: it is not better than a dummy beyond doubt, and not on its training rows either.
- **Over-fitting**: of what it gains over a dummy on training rows, more than a quarter is lost on the test rows, and
  the loss is more than two standard errors.
- **Under-fitting**: a simple or a flexible model, as it comes, is better beyond doubt.
- **Fine**: none of these.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema
from driftloop.stages.judgements import (
    FINE,
    NO_SIGNAL,
    OVER_FITTING,
    UNDER_FITTING,
    CurvePoint,
    Diagnosis,
    Reference,
)
from driftloop.stages.table import encode_target

LOST_SHARE = 0.25
MOST_CURVE_CELLS = 100_000
"""Numbers in the largest matrix that is fitted for the curve; the last point is the model itself."""
_FEWEST_CURVE_ROWS = 60
_HALVINGS = (8, 7, 6, 5, 4, 3, 2, 1)
_POINTS = 3


def learning_curve(
    fit: Callable[[npt.NDArray[np.float64], npt.NDArray[Any]], Any],
    train: tuple[npt.NDArray[np.float64], npt.NDArray[Any]],
    validation: tuple[npt.NDArray[np.float64], npt.NDArray[Any]],
    schema: DataSchema,
    *,
    metric: str,
    last: CurvePoint | None,
    seed: int,
) -> tuple[CurvePoint, ...]:
    """Return the curve: up to three sizes, each twice the one before, and the model itself.

    Args:
        fit: fits the selected configuration.
        train: training rows prepared, and their target.
        validation: the same of the validation rows.
        schema: task and classes.
        metric: the loop's metric.
        last: what the model itself reached; None where that is not known.
        seed: of the choice of rows.
    """
    x, y = train
    order = np.random.default_rng(seed).permutation(len(y))
    truth = encode_target(validation[1], schema)
    sizes = [len(y) >> halving for halving in _HALVINGS]
    sizes = [size for size in sizes if size >= _FEWEST_CURVE_ROWS and size * x.shape[1] <= MOST_CURVE_CELLS][-_POINTS:]
    points = []
    for size in sizes:
        chosen = np.sort(order[:size])
        if len(np.unique(y[chosen])) < max(len(schema.target.classes), 1):
            continue
        estimator = fit(x[chosen], y[chosen])
        found = (
            score(metric, encode_target(y[chosen], schema), answer(estimator, x[chosen], schema.task)),
            score(metric, truth, answer(estimator, validation[0], schema.task)),
        )
        if np.isfinite(found).all():
            points.append(CurvePoint(rows=size, train_score=found[0], validation_score=found[1]))
    return (*points, *([last] if last else []))


def diagnose(
    value: float,
    error: float,
    train_score: float | None,
    references: Sequence[Reference],
    curve: tuple[CurvePoint, ...],
    *,
    metric: str,
) -> tuple[str, Diagnosis]:
    """Return the verdict, with its figures and advice.

    Args:
        value: the metric on the test rows.
        error: its standard error.
        train_score: the metric on the training rows; None where it is not known.
        references: of `baselines`, the dummy among them.
        curve: of `learning_curve`.
        metric: the loop's metric.
    """
    by_name = {reference.name: reference for reference in references}
    dummy = by_name["dummy"]
    better = [one for one in references if one.name != "dummy" and one.upper < 0]
    told = (
        f"On the test rows {metric} is {value:.4f}, and {dummy.score:.4f} by {dummy.what} "
        f"(difference {dummy.difference:+.4f}, 95 % interval {dummy.lower:+.4f} to {dummy.upper:+.4f})"
    )
    reasons = [told]
    lost = gained = 0.0
    if train_score is not None:
        gained, lost = train_score - dummy.score, train_score - value
        share = f"{lost / gained:.0%} of".replace("%", " %") if gained > 0 else "with no"
        told = (
            f"On the training rows it is {train_score:.4f}: {lost:+.4f} against the test rows (standard error "
            f"{error:.4f}), {share} what it gains there over the dummy; more than a quarter and two standard errors "
            "count as over-fitting"
        )
        reasons.append(told)
    reasons += [
        f"By {one.what} it is {one.score:.4f} (model {one.difference:+.4f}, {one.lower:+.4f} to {one.upper:+.4f})"
        for one in references
        if one.name != "dummy"
    ]
    gain = _gain(curve)
    if train_score is not None and gained > 0 and lost > max(LOST_SHARE * gained, 2 * error):
        verdict, advice = OVER_FITTING, _against_over_fitting(gain, metric)
    elif better:
        verdict, advice = UNDER_FITTING, _against_under_fitting(better)
    elif not dummy.is_beaten:
        verdict, advice = NO_SIGNAL, iter(("The columns say too little about the target: add others.",))
    else:
        verdict, advice = FINE, _further(gain, metric, error)
    return verdict, Diagnosis(
        reasons=tuple(f"{reason}." for reason in reasons),
        advice=tuple(advice),
        curve=curve,
        gain_per_doubling=gain,
    )


def _gain(curve: Sequence[CurvePoint]) -> float | None:
    """Return what a doubling of the rows brought at the end of the curve."""
    if len(curve) < 2:  # noqa: PLR2004 - a gain needs two
        return None
    before, last = curve[-2:]
    doublings = float(np.log2(last.rows / before.rows))
    return (last.validation_score - before.validation_score) / doublings if doublings > 0 else None


def _against_over_fitting(gain: float | None, metric: str) -> Iterator[str]:
    yield (
        "The model has learned rows by heart. Let it be simpler (shallower trees, more rows in a leaf, stronger "
        "regularisation), or leave out columns that do not matter; the next run leans that way."
    )
    if gain is not None and gain > 0:
        yield f"More rows would narrow the gap: the last doubling brought {gain:+.4f} of {metric}."


def _against_under_fitting(better: Sequence[Reference]) -> Iterator[str]:
    names = " and ".join(one.what for one in better)
    yield (
        f"The model misses what {names} finds. Let it be richer: allow more algorithms in training.algorithms, more "
        "trials, or columns that combine others; the next run leans that way."
    )


def _further(gain: float | None, metric: str, error: float) -> Iterator[str]:
    if gain is None:
        return
    if gain > error / 2:
        yield f"More rows would help: the last doubling brought {gain:+.4f} of {metric}."
    else:
        yield (
            f"More rows would help little (the last doubling brought {gain:+.4f} of {metric}); better columns would "
            "help more."
        )
