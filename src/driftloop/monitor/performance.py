"""The loop's metric on labelled predictions, with a standard error that knows that rows close in time are alike.

Imports scikit-learn when it measures. Greater is better for every metric.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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
class Answers:
    """What was true and what the model said, n rows in time order."""

    truth: npt.NDArray[Any]
    """Class indices or numbers, shape (n,)."""
    prediction: npt.NDArray[Any]
    """Class indices or numbers, shape (n,)."""
    probability: Numbers
    """Shape (n, classes); (n, 0) for regression."""

    def __len__(self) -> int:
        return len(self.truth)

    def rows(self, mask: npt.NDArray[np.bool_]) -> "Answers":
        """Return the rows where the mask holds."""
        return Answers(self.truth[mask], self.prediction[mask], self.probability[mask])


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
    return _measure(metric, read_answers(labels, outputs, schema))


def block_spread(
    metric: str,
    labels: "pd.Series[Any]",
    outputs: pd.DataFrame,
    schema: DataSchema,
    blocks: npt.NDArray[np.int64],
) -> float:
    """Return the standard deviation of the metric between blocks of time beyond its sampling error.

    The method of moments of a random-effects model: DerSimonian and Laird, "Meta-analysis in clinical trials", 1986,
    with equal weights. Blocks where the metric is undefined are left out.
    """
    usable, answers = _usable(labels, outputs, schema)
    block_of_row = blocks[usable]
    measured = [_measure(metric, answers.rows(block_of_row == block)) for block in np.unique(block_of_row)]
    pairs = [(m.value, m.standard_error) for m in measured if m.value is not None and m.standard_error is not None]
    if len(pairs) < 2:  # noqa: PLR2004 - one block has nothing to differ from
        return 0.0
    values, errors = np.array(pairs).T
    return float(np.sqrt(max(values.var(ddof=1) - (errors**2).mean(), 0.0)))


def read_answers(labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Answers:
    """Return the readable rows of labels and answers."""
    return _usable(labels, outputs, schema)[1]


def _usable(
    labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema
) -> tuple[npt.NDArray[np.bool_], Answers]:
    if schema.task is Task.REGRESSION:
        truth, prediction = read_numbers(labels), read_numbers(column_of(outputs, PREDICTION))
        answers = Answers(truth, prediction, np.empty((len(truth), 0)))
        usable = ~(np.isnan(truth) | np.isnan(prediction))
    else:
        codes = {name: code for code, name in enumerate(class_names(schema))}
        truth = np.array([codes.get(name, -1) for name in read_classes(labels, schema)])
        prediction = np.array([codes.get(name, -1) for name in read_classes(column_of(outputs, PREDICTION), schema)])
        probability = read_probabilities(column_of(outputs, PROBABILITY), schema)
        if probability.shape[1] == 1:
            probability = np.hstack([1 - probability, probability])
        answers = Answers(truth, prediction, probability)
        usable = (truth >= 0) & (prediction >= 0) & ~np.isnan(probability).any(axis=1)
    return usable, answers.rows(usable)


def _measure(metric: str, answers: Answers) -> Measurement:
    value = _score(metric, answers)
    return Measurement(len(answers), value, None if value is None else _jackknife_error(metric, answers))


def _jackknife_error(metric: str, answers: Answers) -> float | None:
    """Standard error by leaving out one stretch of time after the other.

    The blockwise jackknife: Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.
    """
    groups = np.arange(len(answers)) * JACKKNIFE_GROUPS // len(answers)
    values = [_score(metric, answers.rows(groups != group)) for group in range(JACKKNIFE_GROUPS)]
    known = [value for value in values if value is not None]
    if len(known) < JACKKNIFE_GROUPS:
        return None
    return float(np.sqrt((JACKKNIFE_GROUPS - 1) * np.var(known)))


def _score(metric: str, answers: Answers) -> float | None:
    if len(answers) < 2 or (metric in _NEED_EVERY_CLASS and not _has_every_class(answers)):  # noqa: PLR2004 - r2 needs two
        return None
    return float(_SCORES[metric](answers))


def _has_every_class(answers: Answers) -> bool:
    return len(np.unique(answers.truth)) == answers.probability.shape[1]


def _roc_auc(answers: Answers) -> float:
    from sklearn.metrics import roc_auc_score

    binary = answers.probability.shape[1] == 2  # noqa: PLR2004 - two classes have one score
    return float(
        roc_auc_score(answers.truth, answers.probability[:, 1] if binary else answers.probability, multi_class="ovr")
    )


def _average_precision(answers: Answers) -> float:
    from sklearn.metrics import average_precision_score

    classes = range(answers.probability.shape[1])
    scored = [1] if len(classes) == 2 else classes  # noqa: PLR2004 - two classes have one score
    return float(np.mean([average_precision_score(answers.truth == c, answers.probability[:, c]) for c in scored]))


def _f1(answers: Answers) -> float:
    from sklearn.metrics import f1_score

    average = "binary" if answers.probability.shape[1] == 2 else "macro"  # noqa: PLR2004 - the last class is the positive one
    return float(f1_score(answers.truth, answers.prediction, average=average, zero_division=0.0))


def _neg_log_loss(answers: Answers) -> float:
    from sklearn.metrics import log_loss

    classes = answers.probability.shape[1]
    return -float(log_loss(answers.truth, answers.probability, labels=list(range(classes))))


def _r2(answers: Answers) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(answers.truth, answers.prediction))


_NEED_EVERY_CLASS = ("roc_auc", "average_precision")
_SCORES: Mapping[str, Callable[[Answers], float]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "accuracy": lambda answers: float((answers.truth == answers.prediction).mean()),
    "f1": _f1,
    "neg_log_loss": _neg_log_loss,
    "r2": _r2,
    "neg_mean_absolute_error": lambda answers: -float(np.abs(answers.truth - answers.prediction).mean()),
    "neg_root_mean_squared_error": lambda answers: -float(np.sqrt(((answers.truth - answers.prediction) ** 2).mean())),
}
