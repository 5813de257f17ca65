"""The loop's metric on labelled predictions, with a standard error that knows that rows close in time are alike.

Reads labels and answers as the log has them; the metrics themselves are `algorithms.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers, all_scores, score
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
from driftloop.spec.problem import DECISION_METRICS

JACKKNIFE_GROUPS = 20
# A drop matters from here on: absolute for scores that end at 1, relative to the reference for losses.
MATERIAL_DROP = 0.02
MATERIAL_LOSS_INCREASE = 0.05
_NUMBERS = (Task.REGRESSION, Task.DECISION)
_HIGHEST_CORRELATION = 0.9
_FEWEST_BLOCKS = 3.0


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


@dataclass(frozen=True)
class Spread:
    """How a value differs between blocks of time; good days and bad days."""

    deviation: float
    """Standard deviation beyond the sampling error."""
    blocks: int
    """Independent blocks that tell of it; fewer than there are where they resemble their neighbours."""


def material_drop(metric: str, reference: float) -> float:
    """Return the smallest drop that matters: 0.02 for scores, 5 % of the reference for losses (`neg_...`) and rewards.

    >>> material_drop("roc_auc", 0.7), material_drop("neg_mean_absolute_error", -40.0)
    (0.02, 2.0)
    """
    has_unit = metric.startswith("neg_") or metric in DECISION_METRICS
    return MATERIAL_LOSS_INCREASE * abs(reference) if has_unit else MATERIAL_DROP


def measure(metric: str, labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Measurement:
    """Measure answers against labels; rows where either can't be read are left out.

    `outputs` has the columns `prediction` and, for classification, `probability`; rows are in time order.
    """
    labelled, usable = _read(labels, outputs, schema)
    return _measure(metric, labelled.take(usable))


def all_metrics(labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> dict[str, float]:
    """Return every metric of the task that is defined on these rows.

    Those a loop can be led by, and beside them `precision` and `recall` (of the second of two classes, the mean over
    more), or `mean_absolute_percentage_error` where no truth is 0: names and values are those of scikit-learn.
    """
    labelled, usable = _read(labels, outputs, schema)
    labelled = labelled.take(usable)
    if len(labelled.truth) < 2:  # noqa: PLR2004 - no metric is defined on less
        return {}
    truth, answers = labelled.truth, labelled.answers
    return all_scores(schema.task, truth, answers) | _further_metrics(truth, answers)


def _further_metrics(truth: Numbers, answers: Answers) -> dict[str, float]:
    predictions = answers.predictions
    if truth.ndim > 1:
        return {}  # what a decision earned is all there is to say
    if answers.probabilities is None:
        errors = np.abs(truth - predictions)
        return {"mean_absolute_percentage_error": float((errors / np.abs(truth)).mean())} if truth.all() else {}
    classes = answers.probabilities.shape[1]
    codes = np.array([1] if classes == 2 else range(classes))  # noqa: PLR2004 - two classes have one that is meant
    is_true, is_marked = truth[:, np.newaxis] == codes, predictions[:, np.newaxis] == codes
    hits, there, marked = (is_true & is_marked).sum(axis=0), is_true.sum(axis=0), is_marked.sum(axis=0)
    return {
        "precision": float((hits / np.maximum(marked, 1)).mean()),
        "recall": float((hits / np.maximum(there, 1)).mean()),
    }


def block_spread(
    metric: str,
    labels: "pd.Series[Any]",
    outputs: pd.DataFrame,
    schema: DataSchema,
    blocks: npt.NDArray[np.int64],
) -> Spread:
    """Return how the metric differs between blocks of time; blocks where it is undefined are left out."""
    labelled, usable = _read(labels, outputs, schema)
    return _block_spread(metric, labelled, usable, blocks)


def reward_spread(
    decisions: pd.DataFrame, outputs: pd.DataFrame, schema: DataSchema, blocks: npt.NDArray[np.int64]
) -> Spread:
    """Return how the value of a policy differs between blocks of time, by the decisions that another one took.

    Self-normalised: the weights of a block's few rows vary, and with them what is not normalised.

    Args:
        decisions: actions, rewards and propensities in the schema's columns, n rows.
        outputs: the policy's answers in the same contexts.
        schema: names and actions.
        blocks: each row's block of time, shape (n,).
    """
    answers, usable = read_answers(outputs, schema)
    names = (schema.target.name, schema.propensity_column or "")
    rewards, propensities = (read_numbers(column_of(decisions, name)) for name in names)
    truth = np.column_stack([_codes(column_of(decisions, schema.action_column or ""), schema), rewards, propensities])
    return _block_spread("snips", _Labelled(truth, answers), usable & ~np.isnan(truth).any(axis=1), blocks)


def _block_spread(
    metric: str, labelled: _Labelled, usable: npt.NDArray[np.bool_], blocks: npt.NDArray[np.int64]
) -> Spread:
    measured = [_measure(metric, labelled.take(usable & (blocks == block))) for block in np.unique(blocks)]
    known = [(m.value, m.standard_error) for m in measured if m.value is not None and m.standard_error is not None]
    return spread_of(known)


def spread_of(measured: Sequence[tuple[float, float]]) -> Spread:
    """Return the spread of values in order of time, each with its standard error.

    The method of moments of a random-effects model with equal weights: Cochran, "The combination of estimates from
    different experiments", 1954. Good days come in rows: neighbours' correlation (with the bias correction of Marriott
    and Pope, 1954) says how many independent blocks there are, and how much of the spread their own mean has hidden.
    """
    count = len(measured)
    if count < 3:  # noqa: PLR2004 - nothing can be said of neighbours
        return Spread(0.0, count)
    values, errors = np.array(measured).T
    centred = values - values.mean()
    total = float(centred @ centred)
    lag = float(centred[1:] @ centred[:-1]) / total if total > 0 else 0.0
    correlation = min(max(lag + (1 + 3 * lag) / count, 0.0), _HIGHEST_CORRELATION)
    independent = max(count * (1 - correlation) / (1 + correlation), _FEWEST_BLOCKS)
    hidden = (1 - 1 / count) / (1 - 1 / independent)
    variance = max(total / (count - 1) - float((errors**2).mean()), 0.0) * hidden
    return Spread(variance**0.5, int(independent))


@dataclass(frozen=True)
class Reference:
    """A metric on the model's test rows, for windows to be compared with."""

    value: float
    standard_error: float
    """Of the value, by sampling."""
    spread: Spread


def has_fallen(metric: str, value: float, variance: float, reference: Reference, significance: float) -> bool:
    """Return whether a window's metric is materially below the reference and significantly so.

    A predictive t statistic of the ratio of losses, which are less skewed as logarithms: what is missing to 1, or the
    loss itself. Of rewards, which may have any sign, the difference. Besides both sampling errors the window has its
    own good or bad day, and the reference's mean of them is known from so many days only. Simulated at 0.0067 with
    daily windows of 60 to 1,000 rows: 0.001 to 0.009 of the stable windows fall where errors are independent,
    autocorrelated (.5, .9), heavy-tailed or rare, or days differ; up to 0.011 where a bad day tends to follow another
    (.7), 0.032 if the reference has only 8 such days.

    Args:
        metric: the loop's metric.
        value: in the window.
        variance: squared standard error of the value.
        reference: on the test rows.
        significance: probability with which a stable window may be said to have fallen.
    """
    if reference.value - value < material_drop(metric, reference.value):
        return False
    from scipy.stats import t

    spread = reference.spread
    usual = reference.standard_error**2 + spread.deviation**2 * (1 + 1 / max(spread.blocks, 1))
    perfect = 0.0 if metric.startswith("neg_") else 1.0
    loss, before = perfect - value, perfect - reference.value
    rise, deviation = loss - before, (variance + usual) ** 0.5
    if before > 0 and metric not in DECISION_METRICS:
        rise, deviation = float(np.log(loss / before)), (variance / loss**2 + usual / before**2) ** 0.5
    groups = min(JACKKNIFE_GROUPS, spread.blocks) if spread.deviation > 0 else JACKKNIFE_GROUPS
    return bool(rise > t.isf(significance, groups - 1) * deviation)


def read_truth(labels: "pd.Series[Any]", schema: DataSchema) -> Numbers:
    """Return the index of each label's class, or the number; NaN where it can't be read."""
    return read_numbers(labels) if schema.task in _NUMBERS else _codes(labels, schema)


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
    usable &= ~np.isnan(truth)
    if schema.task is Task.DECISION and answers.probabilities is not None:
        truth = _decided(answers.predictions, truth, answers.probabilities)
    return _Labelled(truth, answers), usable


def _decided(actions: Numbers, rewards: Numbers, probabilities: Numbers) -> Numbers:
    """Return the truth of decisions that the model took itself, shape (n, 3): its metrics are the mean reward."""
    codes = np.nan_to_num(actions).astype(np.int64)
    return np.column_stack([codes, rewards, probabilities[np.arange(len(codes)), codes]])


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
