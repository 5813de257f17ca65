"""The metrics by which models are tuned and compared: greater is better, weights stand for repeated rows.

NumPy only, so that a bootstrap is a loop over weights and no stage needs scikit-learn to score. Names and values are
those of scikit-learn's scorers. What needs no truth is in `unsupervised`.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from driftloop.algorithms import offpolicy
from driftloop.algorithms.offpolicy import Logged
from driftloop.algorithms.unsupervised import WITHOUT_TRUTH, adjusted_rand
from driftloop.spec import Task
from driftloop.spec.problem import METRICS_BY_TASK, NEED_LABELS, UNSUPERVISED

Numbers: TypeAlias = npt.NDArray[np.float64]

_SMALLEST_PROBABILITY = np.finfo(np.float64).eps
_BOOTSTRAP_SAMPLES = 300
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Answers:
    """What a model says of n rows."""

    predictions: npt.NDArray[np.float64]
    """Shape (n,): index of the class, or the number."""
    probabilities: Numbers | None = None
    """Shape (n, number of classes); None for regression, and for clusters without probabilities. Decision: of each
    action."""
    space: Numbers | None = None
    """Clustering: the rows as the clusters see them, shape (n, columns): distances are measured there."""
    halves: Numbers | None = None
    """Clustering, AnomalyDetection: cluster or anomaly score by two models that were fitted on one half of the training
    rows each, shape (n, 2)."""
    expected: Numbers | None = None
    """Decision: what each action is expected to earn, shape (n, number of actions)."""

    def take(self, rows: npt.NDArray[Any] | slice) -> "Answers":
        """Return the answers of some rows, by a mask, their indices or a slice."""
        parts: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: None if part is None else part[rows] for name, part in parts.items()}
        return Answers(**taken)

    def level(self, code: int) -> npt.NDArray[np.int64]:
        """Return the rank of each row's probability of a class, equal ones alike; sorted once for a whole bootstrap."""
        if code not in self._levels:
            self._levels[code] = np.unique(_probabilities(self)[:, code], return_inverse=True)[1]
        return self._levels[code]

    @cached_property
    def _levels(self) -> dict[int, npt.NDArray[np.int64]]:
        return {}


@dataclass(frozen=True)
class Interval:
    """A difference between two models and how sure it is."""

    difference: float
    lower: float
    upper: float


def score(metric: str, truth: Numbers, answers: Answers, weights: Numbers | None = None) -> float:
    """Return a metric; NaN where it is undefined, e.g. with one class only.

    Args:
        metric: a name of `METRICS_BY_TASK`.
        truth: shape (n,), index of the class or the number; NaN where nothing is known: those rows don't count, unless
            the metric asks for no truth. Of a decision shape (n, 3), as `offpolicy` has it.
        answers: of the same rows.
        weights: shape (n,), how often each row counts; once if absent.
    """
    return scorer(metric, truth, answers)(np.ones(len(truth)) if weights is None else weights)


def scorer(metric: str, truth: Numbers, answers: Answers) -> Callable[[Numbers], float]:
    """Return the metric as a function of the rows' weights; what does not depend on these is computed once."""
    if metric in WITHOUT_TRUTH:
        return WITHOUT_TRUTH[metric](answers)
    known = ~np.isnan(truth)
    if known.all():
        return lambda weights: float(_METRICS[metric](truth, answers, weights))
    truth, answers = truth[known], answers.take(known)
    return lambda weights: float(_METRICS[metric](truth, answers, weights[known])) if len(truth) else np.nan


def all_scores(task: Task, truth: Numbers, answers: Answers) -> dict[str, float]:
    """Return every metric of the task that is defined on these rows; logged answers lack what some are made of."""
    is_logged = task in UNSUPERVISED and answers.halves is None
    metrics = NEED_LABELS[task] if is_logged else METRICS_BY_TASK[task]
    values = {metric: score(metric, truth, answers) for metric in metrics}
    return {metric: value for metric, value in values.items() if np.isfinite(value)}


def standard_error(metric: str, truth: Numbers, answers: Answers, *, seed: int) -> float:
    """Return the standard error of a metric by the bootstrap over rows; 0 where it is undefined."""
    scored = scorer(metric, truth, answers)
    values = [scored(weights) for weights in _resamples(len(truth), seed)]
    return float(np.nanstd(values)) if np.isfinite(values).any() else 0.0


def intervals(task: Task, truth: Numbers, answers: Answers, *, seed: int) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of every metric of the task by the bootstrap over rows.

    A metric that is undefined in one of the samples, because a rare class is not in it, is left out.
    """
    samples = _resamples(len(truth), seed)
    scorers = {metric: scorer(metric, truth, answers) for metric in METRICS_BY_TASK[task]}
    values = {metric: [scored(weights) for weights in samples] for metric, scored in scorers.items()}
    found = {metric: np.percentile(of_samples, _INTERVAL) for metric, of_samples in values.items()}
    return {metric: (float(low), float(high)) for metric, (low, high) in found.items() if np.isfinite(low + high)}


def compare(metric: str, truth: Numbers, challenger: Answers, champion: Answers, *, seed: int) -> Interval:
    """Return challenger - champion with its 95 % interval by the paired bootstrap: both see the same rows."""
    return compare_scorers(
        scorer(metric, truth, challenger), scorer(metric, truth, champion), rows=len(truth), seed=seed
    )


def compare_scorers(
    ours: Callable[[Numbers], float], theirs: Callable[[Numbers], float], *, rows: int, seed: int
) -> Interval:
    """Return ours - theirs with its 95 % interval, each a metric as a function of the rows' weights."""
    differences = [ours(weights) - theirs(weights) for weights in _resamples(rows, seed)]
    lower, upper = np.nanpercentile(differences, _INTERVAL)
    whole = np.ones(rows)
    return Interval(difference=ours(whole) - theirs(whole), lower=float(lower), upper=float(upper))


def _resamples(rows: int, seed: int) -> list[Numbers]:
    generator = np.random.default_rng(seed)
    return [
        np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)
        for _ in range(_BOOTSTRAP_SAMPLES)
    ]


def _accuracy(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return float(np.average(truth == answers.predictions, weights=weights))


def _f1(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    """F1 of the positive class, or the mean over more than two classes."""

    def of(code: int) -> float:
        hits = weights[(truth == code) & (answers.predictions == code)].sum()
        marked = weights[truth == code].sum() + weights[answers.predictions == code].sum()
        return float(2 * hits / marked) if marked else 0.0

    return _over_classes(answers, of)


def _roc_auc(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    """Area under the ROC curve (Mann-Whitney with ties as halves), one class against the rest."""
    return _over_classes(answers, lambda code: class_roc_auc(code, truth, answers, weights))


def class_roc_auc(code: int, truth: Numbers, answers: Answers, weights: Numbers | None = None) -> float:
    """Return the area under the ROC curve of one class against the rest; NaN where there is only one of the two."""
    positive, negative = _weights_by_level(truth, answers, np.ones(len(truth)) if weights is None else weights, code)
    pairs = positive.sum() * negative.sum()
    return float(positive @ (np.cumsum(negative) - negative / 2) / pairs) if pairs else np.nan


def _average_precision(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    """Sum of precision times the step in recall, from the highest probability down."""

    def of(code: int) -> float:
        positive, negative = (levels[::-1] for levels in _weights_by_level(truth, answers, weights, code))
        marked = np.cumsum(positive + negative)
        if not positive.sum():
            return np.nan
        precision = np.divide(np.cumsum(positive), marked, out=np.zeros_like(marked), where=marked > 0)
        return float(precision @ positive / positive.sum())

    return _over_classes(answers, of)


def _neg_log_loss(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    probabilities = _probabilities(answers)[np.arange(len(truth)), truth.astype(np.int64)]
    return float(np.average(np.log(np.clip(probabilities, _SMALLEST_PROBABILITY, 1)), weights=weights))


def _r2(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    residual = float(weights @ (truth - answers.predictions) ** 2)
    total = float(weights @ (truth - np.average(truth, weights=weights)) ** 2)
    return 1 - residual / total if total else np.nan


def _neg_mean_absolute_error(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return -float(np.average(np.abs(truth - answers.predictions), weights=weights))


def _neg_root_mean_squared_error(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return -float(np.sqrt(np.average((truth - answers.predictions) ** 2, weights=weights)))


def _over_classes(answers: Answers, of: Callable[[int], float]) -> float:
    """Return the value of the positive class of two, or the mean over more."""
    classes = _probabilities(answers).shape[1]
    return of(1) if classes == 2 else float(np.mean([of(code) for code in range(classes)]))  # noqa: PLR2004


def _weights_by_level(truth: Numbers, answers: Answers, weights: Numbers, code: int) -> tuple[Numbers, Numbers]:
    """Return the weight of positive and of negative rows at each different probability, rising."""
    level = answers.level(code)
    is_positive = truth == code
    positive, negative = (np.bincount(level, weights * side) for side in (is_positive, ~is_positive))
    return positive.astype(np.float64), negative.astype(np.float64)


def _probabilities(answers: Answers) -> Numbers:
    if answers.probabilities is None:
        raise ValueError("The metrics of a classification need probabilities.")
    return answers.probabilities


def _ips(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return offpolicy.ips(Logged.of(truth), _probabilities(answers), weights)


def _snips(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return offpolicy.snips(Logged.of(truth), _probabilities(answers), weights)


def _doubly_robust(truth: Numbers, answers: Answers, weights: Numbers) -> float:
    return offpolicy.doubly_robust(Logged.of(truth), _probabilities(answers), answers.expected, weights)


_METRICS: dict[str, Callable[[Numbers, Answers, Numbers], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "neg_log_loss": _neg_log_loss,
    "r2": _r2,
    "neg_mean_absolute_error": _neg_mean_absolute_error,
    "neg_root_mean_squared_error": _neg_root_mean_squared_error,
    "doubly_robust": _doubly_robust,
    "snips": _snips,
    "ips": _ips,
    "adjusted_rand": lambda truth, answers, weights: adjusted_rand(truth, answers.predictions, weights),
}
