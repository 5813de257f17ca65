"""The loop's metric on labelled predictions, with a standard error that knows that rows close in time are alike.

Reads labels and answers as the log has them; the metrics themselves are `algorithms.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers, score
from driftloop.monitor.columns import (
    PREDICTION,
    PROBABILITY,
    Numbers,
    class_names,
    column_of,
    read_classes,
    read_numbers,
    read_probabilities,
)
from driftloop.spec import DataSchema, Task

JACKKNIFE_GROUPS = 20
# A drop matters from here on: absolute for scores that end at 1, relative to the reference for losses.
MATERIAL_DROP = 0.02
MATERIAL_LOSS_INCREASE = 0.05


@dataclass(frozen=True)
class Measurement:
    """A metric on n rows."""

    rows: int
    """Rows whose label and answer could be read."""
    value: float | None
    """None where undefined, e.g. one class only."""
    standard_error: float | None
    """None where undefined, e.g. hardly any row of one class."""


@dataclass(frozen=True)
class _Labelled:
    """What was true and what the model said, n rows in time order."""

    truth: Numbers
    answers: Answers

    def take(self, rows: npt.NDArray[np.bool_]) -> "_Labelled":
        return _Labelled(self.truth[rows], self.answers.take(rows))


def material_drop(metric: str, reference: float) -> float:
    """Return the smallest drop that matters: 0.02 for scores, 5 % of the reference for losses (`neg_...`).

    >>> material_drop("roc_auc", 0.7), material_drop("neg_mean_absolute_error", -40.0)
    (0.02, 2.0)
    """
    return MATERIAL_LOSS_INCREASE * abs(reference) if metric.startswith("neg_") else MATERIAL_DROP


def measure(metric: str, labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Measurement:
    """Measure answers against labels; rows where either can't be read are left out.

    `outputs` has the columns `prediction` and, for classification, `probability`; rows are in time order.
    """
    labelled, usable = _read(labels, outputs, schema)
    return _measure(metric, labelled.take(usable))


def block_spread(
    metric: str,
    labels: "pd.Series[Any]",
    outputs: pd.DataFrame,
    schema: DataSchema,
    blocks: npt.NDArray[np.int64],
) -> float:
    """Return the standard deviation of the metric between blocks of time beyond its sampling error.

    The method of moments of a random-effects model with equal weights: Cochran, "The combination of estimates from
    different experiments", 1954. Blocks where the metric is undefined are left out.
    """
    labelled, usable = _read(labels, outputs, schema)
    measured = [_measure(metric, labelled.take(usable & (blocks == block))) for block in np.unique(blocks)]
    known = [(m.value, m.standard_error) for m in measured if m.value is not None and m.standard_error is not None]
    return between_blocks(known)


def between_blocks(measured: Sequence[tuple[float, float]]) -> float:
    """Return the standard deviation of values beyond their standard errors; 0 for fewer than two."""
    if len(measured) < 2:  # noqa: PLR2004 - one block has nothing to differ from
        return 0.0
    values, errors = np.array(measured).T
    return float(np.sqrt(max(values.var(ddof=1) - (errors**2).mean(), 0.0)))


def read_truth(labels: "pd.Series[Any]", schema: DataSchema) -> Numbers:
    """Return the index of each label's class, or the number; NaN where it can't be read."""
    return read_numbers(labels) if schema.task is Task.REGRESSION else _codes(labels, schema)


def read_answers(outputs: pd.DataFrame, schema: DataSchema) -> tuple[Answers, npt.NDArray[np.bool_]]:
    """Return the model's answers, NaN where they can't be read, and which rows are whole."""
    raw = column_of(outputs, PREDICTION)
    if schema.task is Task.REGRESSION:
        prediction = read_numbers(raw)
        return Answers(prediction), ~np.isnan(prediction)
    prediction = _codes(raw, schema)
    probability = read_probabilities(column_of(outputs, PROBABILITY), schema)
    if probability.shape[1] == 1:
        probability = np.hstack([1 - probability, probability])
    return Answers(prediction, probability), ~(np.isnan(prediction) | np.isnan(probability).any(axis=1))


def _codes(values: "pd.Series[Any]", schema: DataSchema) -> Numbers:
    codes = {name: float(code) for code, name in enumerate(class_names(schema))}
    return np.array([codes.get(name, np.nan) for name in read_classes(values, schema)], dtype=np.float64)


def _read(
    labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema
) -> tuple[_Labelled, npt.NDArray[np.bool_]]:
    """Return all rows, and which of them are usable."""
    truth, (answers, usable) = read_truth(labels, schema), read_answers(outputs, schema)
    return _Labelled(truth, answers), usable & ~np.isnan(truth)


def _measure(metric: str, labelled: _Labelled) -> Measurement:
    value = _score(metric, labelled)
    error = None if value is None else _jackknife_error(metric, labelled)
    return Measurement(len(labelled.truth), value, error)


def _jackknife_error(metric: str, labelled: _Labelled) -> float | None:
    """Standard error by leaving out one stretch of time after the other.

    The blockwise jackknife: Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.
    """
    rows = len(labelled.truth)
    groups = np.arange(rows) * JACKKNIFE_GROUPS // rows
    values = [_score(metric, labelled.take(groups != group)) for group in range(JACKKNIFE_GROUPS)]
    known = [value for value in values if value is not None]
    if len(known) < JACKKNIFE_GROUPS:
        return None
    return float(np.sqrt((JACKKNIFE_GROUPS - 1) * np.var(known)))


def _score(metric: str, labelled: _Labelled) -> float | None:
    return score_of(metric, labelled.truth, labelled.answers)


def score_of(metric: str, truth: Numbers, answers: Answers) -> float | None:
    """Return a metric; None where it is undefined."""
    if len(truth) < 2:  # noqa: PLR2004 - no metric is defined on less
        return None
    value = score(metric, truth, answers)
    return value if np.isfinite(value) else None
