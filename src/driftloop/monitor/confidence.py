"""Metrics of a classification without labels: what calibrated probabilities say that the labels will show.

CBPE, confidence-based performance estimation (NannyML documentation, "Estimating performance of a classification model
without targets"): a row of class k with probability c counts as c rows of it. Metrics are ratios of such masses; their
derivatives give all the uncertainty (delta method). Names and values are those of `algorithms.metrics`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.metrics import Answers
from driftloop.spec.boundary import Boundary

Numbers: TypeAlias = npt.NDArray[np.float64]

FOLDS = 5
PIECES = 50
"""Into so many a smooth curve is cut."""
_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
_NEWTON_STEPS = 25
_TWO = 2


@dataclass(frozen=True)
class Expected:
    """A metric that is expected of n rows, and what it depends on."""

    value: float
    """NaN where it is undefined."""
    influence: Numbers
    """Shape (n,): how far each row moves the value; they add up to 0."""
    label_variance: float
    """Variance of the metric that labels will show around it, for these rows and independent labels."""
    leverage: Numbers
    """Shape (cells,): derivative of the value with respect to each number learned from the test rows."""
    cell_variance: Numbers
    """Shape (cells,): variance of those numbers."""

    @property
    def calibration_variance(self) -> float:
        """Variance of the value because calibration was learned from so many rows."""
        return float(self.leverage**2 @ self.cell_variance)


class CalibrationMap(Boundary):
    """How often a class is true where the model gives it a probability; straight lines between points.

    Two points, its ends, make a piece; the pieces follow each other.
    """

    method: str
    """`identity`, `sigmoid` or `isotonic`."""
    scores: tuple[float, ...]
    """Shape (2 pieces,): probability that the model gives, rising."""
    shares: tuple[float, ...]
    """Shape (2 pieces,): how often the class is true there, 0 to 1."""
    variances: tuple[float, ...]
    """Shape (pieces,): squared standard error of the share."""

    def calibrate(self, scores: Numbers) -> Numbers:
        """Return how often the class is true at these probabilities; beyond the ends as at the ends."""
        return np.interp(scores, self.scores, self.shares)

    def leverage(self, scores: Numbers, gradient: Numbers) -> Numbers:
        """Return the derivative with respect to each piece's share, shape (pieces,), from that of each row."""
        points, pieces = np.array(self.scores), len(self.variances)
        left = np.clip(np.searchsorted(points, scores, side="right") - 1, 0, len(points) - 2)
        width = points[left + 1] - points[left]
        part = np.divide(scores - points[left], width, out=np.zeros_like(scores), where=width > 0).clip(0, 1)
        of_left = np.bincount(left // 2, gradient * (1 - part), pieces)
        return np.asarray(of_left + np.bincount((left + 1) // 2, gradient * part, pieces))


def fit_calibration(scores: Numbers, truth: Numbers) -> CalibrationMap:
    """Fit the map that is best on held-out stretches of time (Brier score), the simplest if none is better.

    Probabilities as they are; a sigmoid of their log odds (Platt, "Probabilistic outputs for support vector machines",
    1999); isotonic regression (Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
    estimates", 2002).

    Args:
        scores: shape (n,), probability of the class, in order of time; n > 0.
        truth: shape (n,), 1 where it is true, else 0.
    """
    fold = np.arange(len(scores)) * FOLDS // len(scores)
    fits: list[Callable[[Numbers, Numbers], CalibrationMap]] = [_identity, _sigmoid, _isotonic]
    losses = np.zeros(len(fits))
    for held_out in range(FOLDS):
        out = fold == held_out
        if out.any() and not out.all():
            shares = [fit(scores[~out], truth[~out]).calibrate(scores[out]) for fit in fits]
            losses += [float(((share - truth[out]) ** 2).sum()) for share in shares]
    return fits[int(losses.argmin())](scores, truth)


def calibrate(maps: tuple[CalibrationMap, ...], probabilities: Numbers) -> Numbers:
    """Return calibrated probabilities, shape (n, classes), rows adding up to 1."""
    if len(maps) == 1:
        share = maps[0].calibrate(probabilities[:, 1])
        return np.column_stack([1 - share, share])
    shares = np.column_stack([m.calibrate(column) for m, column in zip(maps, probabilities.T, strict=True)])
    total = shares.sum(axis=1, keepdims=True)
    return np.where(total > 0, shares / np.where(total > 0, total, 1), probabilities)


def expect(metric: str, maps: tuple[CalibrationMap, ...], answers: Answers) -> Expected:
    """Return the metric that calibrated probabilities let expect.

    Args:
        metric: a classification metric of `spec.problem`, `precision` or `recall`.
        maps: one for two classes (of the second), one for each of more.
        answers: predictions and probabilities of n rows, all known.
    """
    probabilities = answers.probabilities
    if probabilities is None:
        raise ValueError("The estimate of a classification needs probabilities.")
    chances = calibrate(maps, probabilities)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, gradient = metric_of(metric, chances, answers)
    influence = (gradient * chances).sum(axis=1)
    if len(maps) == 1:
        slopes = (gradient[:, 1] - gradient[:, 0])[:, np.newaxis]
        scores = probabilities[:, 1:]
    else:
        slopes, scores = gradient - influence[:, np.newaxis], probabilities
    return Expected(
        value=value,
        influence=influence,
        label_variance=float(((gradient**2 * chances).sum(axis=1) - influence**2).sum()),
        leverage=np.concatenate([m.leverage(scores[:, k], slopes[:, k]) for k, m in enumerate(maps)]),
        cell_variance=np.concatenate([m.variances for m in maps]),
    )


def metric_of(metric: str, chances: Numbers, answers: Answers) -> tuple[float, Numbers]:
    """Return a metric of rows that are of each class by a chance, and its derivative with respect to each chance.

    Chances have shape (n, classes), as the derivative does; chances of 0 and 1 give the metric of labels.
    """
    n, classes = chances.shape
    predicted = answers.predictions[:, np.newaxis] == np.arange(classes)
    probabilities = answers.probabilities
    if metric == "accuracy" or probabilities is None:
        return _mean_of(predicted.astype(np.float64), chances)
    if metric == "neg_log_loss":
        return _mean_of(np.log(np.clip(probabilities, _SMALLEST_PROBABILITY, 1)), chances)
    codes = [1] if classes == _TWO else list(range(classes))
    value, gradient = 0.0, np.zeros((n, classes))
    for code in codes:
        positive = chances[:, code]
        negative = chances.sum(axis=1) - positive
        if metric in _RANKED:
            level = np.unique(probabilities[:, code], return_inverse=True)[1]
            one, by_positive, by_negative = _RANKED[metric](positive, negative, level)
        else:
            one, by_positive, by_negative = _MARKED[metric](positive, negative, predicted[:, code].astype(np.float64))
        value += one / len(codes)
        gradient += np.where(np.arange(classes) == code, by_positive[:, np.newaxis], by_negative[:, np.newaxis])
    return value, gradient / len(codes)


_Slopes: TypeAlias = tuple[float, Numbers, Numbers]
"""A metric of one class, and its derivatives with respect to each row's positive and negative mass."""


def _mean_of(gains: Numbers, chances: Numbers) -> tuple[float, Numbers]:
    mass = chances.sum()
    value = float((gains * chances).sum() / mass) if mass else np.nan
    return value, (gains - value) / max(mass, 1)


def _roc_auc(positive: Numbers, negative: Numbers, level: npt.NDArray[np.int64]) -> _Slopes:
    """Mann-Whitney with ties as halves; sorted once, O(n log n)."""
    positives, negatives = np.bincount(level, positive), np.bincount(level, negative)
    all_positive, all_negative = positives.sum(), negatives.sum()
    below = (np.cumsum(negatives) - negatives / 2) / all_negative
    above = (all_positive - np.cumsum(positives) + positives / 2) / all_positive
    value = float(positives @ below / all_positive)
    return value, (below[level] - value) / all_positive, (above[level] - value) / all_negative


def _average_precision(positive: Numbers, negative: Numbers, level: npt.NDArray[np.int64]) -> _Slopes:
    positives, rows = np.bincount(level, positive)[::-1], np.bincount(level, positive + negative)[::-1]
    total = positives.sum()
    hits, marked = np.cumsum(positives), np.cumsum(rows)
    precision = hits / marked
    value = float(precision @ positives / total)
    later = np.cumsum((positives / marked)[::-1])
    later_negative = np.cumsum((-positives * precision / marked)[::-1])
    by_negative = later_negative[level] / total
    by_positive = (precision[::-1] + later)[level] / total + by_negative - value / total
    return value, by_positive, by_negative


def _f1(positive: Numbers, negative: Numbers, marked: Numbers) -> _Slopes:
    total = ((positive + negative) * marked).sum() + positive.sum()
    value = float(2 * (positive * marked).sum() / total) if total else 0.0
    return value, (2 * marked - value * (marked + 1)) / max(total, 1), -value * marked / max(total, 1)


def _precision(positive: Numbers, negative: Numbers, marked: Numbers) -> _Slopes:
    total = ((positive + negative) * marked).sum()
    value = float((positive * marked).sum() / total)
    return value, (1 - value) * marked / total, -value * marked / total


def _recall(positive: Numbers, negative: Numbers, marked: Numbers) -> _Slopes:
    total = positive.sum()
    value = float((positive * marked).sum() / total)
    return value, (marked - value) / total, np.zeros_like(negative)


_RANKED = {"roc_auc": _roc_auc, "average_precision": _average_precision}
_MARKED = {"f1": _f1, "precision": _precision, "recall": _recall}


def _isotonic(scores: Numbers, truth: Numbers) -> CalibrationMap:
    from scipy.optimize import isotonic_regression

    levels, rows, hits = _levels(scores, truth)
    fitted = isotonic_regression(hits / rows, weights=rows)
    first, last = fitted.blocks[:-1], fitted.blocks[1:] - 1
    shares = np.repeat(fitted.x[first].clip(0, 1), _TWO)
    return _pieces("isotonic", _ends(levels, first, last), shares, np.add.reduceat(rows, first))


def _identity(scores: Numbers, truth: Numbers) -> CalibrationMap:
    return _smooth("identity", scores, truth, lambda levels: levels)


def _sigmoid(scores: Numbers, truth: Numbers) -> CalibrationMap:
    """Logistic regression on the log odds by Newton's method, with Platt's targets: finite for any sample."""
    hits = truth.sum()
    target = np.where(truth > 0, (hits + 1) / (hits + 2), 1 / (len(truth) - hits + 2))

    def design(levels: Numbers) -> Numbers:
        inside = np.clip(levels, 1e-6, 1 - 1e-6)
        return np.column_stack([np.ones_like(levels), np.log(inside / (1 - inside))])

    x, weights = design(scores), np.array([0.0, 1.0])
    for _ in range(_NEWTON_STEPS):
        p = _logistic(x @ weights)
        information = (x * (p * (1 - p))[:, np.newaxis]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(information, x.T @ (target - p))
        weights = weights + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:  # noqa: PLR2004 - converged
            break
    return _smooth("sigmoid", scores, truth, lambda levels: _logistic(design(levels) @ weights))


def _logistic(odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))))


def _smooth(method: str, scores: Numbers, truth: Numbers, curve: Callable[[Numbers], Numbers]) -> CalibrationMap:
    levels, rows, _ = _levels(scores, truth)
    group = (np.cumsum(rows) - 1) * PIECES // len(scores)
    first = np.flatnonzero(np.r_[True, group[1:] > group[:-1]])
    last = np.r_[first[1:], len(levels)] - 1
    scores = _ends(levels, first, last)
    return _pieces(method, scores, curve(scores), np.add.reduceat(rows, first))


def _levels(scores: Numbers, truth: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return the different scores, rising, and the rows and true rows at each."""
    levels, place, rows = np.unique(scores, return_inverse=True, return_counts=True)
    return levels, rows.astype(np.float64), np.bincount(place, truth).astype(np.float64)


def _ends(levels: Numbers, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Numbers:
    return np.asarray(np.column_stack([levels[first], levels[last]]).ravel())


def _pieces(method: str, scores: Numbers, shares: Numbers, rows: Numbers) -> CalibrationMap:
    hits = shares.reshape(-1, _TWO).mean(axis=1) * rows
    share = (hits + 0.5) / (rows + 1)  # Jeffreys' prior: no share is known for certain
    return CalibrationMap(
        method=method,
        scores=tuple(scores.tolist()),
        shares=tuple(shares.tolist()),
        variances=tuple((share * (1 - share) / rows).tolist()),
    )
