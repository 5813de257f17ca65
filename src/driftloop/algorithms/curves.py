"""Curves of a two-class model, thinned to what a picture can show."""

from dataclasses import dataclass

import numpy as np

from driftloop.algorithms.metrics import Answers, Numbers

_MOST_POINTS = 200
_BINS = 10
_Z = 1.96
"""Standard errors to either side that make a 95 % interval."""


@dataclass(frozen=True)
class CalibrationGroup:
    """A tenth of the rows, by probability."""

    probability: float
    """Mean of what the model said."""
    share: float
    """Share of rows of the positive class."""
    low: float
    """Lower end of the share's 95 % interval."""
    high: float


def roc_curve(truth: Numbers, answers: Answers) -> tuple[list[float], list[float], list[float]]:
    """Return false positive rate, true positive rate and threshold, at most 200 points, rising."""
    hits, false_alarms, thresholds = _counts_by_threshold(truth, answers)
    rates = (false_alarms / max(false_alarms[-1], 1), hits / max(hits[-1], 1))
    return [0.0, *rates[0].tolist()], [0.0, *rates[1].tolist()], [1.0, *thresholds.tolist()]


def precision_recall_curve(truth: Numbers, answers: Answers) -> tuple[list[float], list[float]]:
    """Return recall, rising, and the precision at the same thresholds, at most 200 points."""
    hits, false_alarms, _ = _counts_by_threshold(truth, answers)
    return (hits / max(hits[-1], 1)).tolist(), (hits / (hits + false_alarms)).tolist()


def calibration_curve(truth: Numbers, answers: Answers) -> list[CalibrationGroup]:
    """Return what was said and what came true in tenths of the rows."""
    probability = positive_probability(answers)
    groups = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), _BINS) if len(rows)]
    return [_group(probability[rows], truth[rows]) for rows in groups]


def share_interval(hits: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927).

    >>> [round(bound, 3) for bound in share_interval(9, 10)]
    [0.596, 0.982]
    """
    share = hits / rows
    middle = (share + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    half = _Z / (1 + _Z**2 / rows) * float(np.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def positive_probability(answers: Answers) -> Numbers:
    """Return the probability of the positive class, shape (n,).

    Raises:
        ValueError: the answers are a regression's.
    """
    if answers.probabilities is None:
        raise ValueError("The curves of a classification need probabilities.")
    return answers.probabilities[:, 1]


def _group(probability: Numbers, truth: Numbers) -> CalibrationGroup:
    low, high = share_interval(float(truth.sum()), len(truth))
    return CalibrationGroup(float(probability.mean()), float(truth.mean()), low, high)


def _counts_by_threshold(truth: Numbers, answers: Answers) -> tuple[Numbers, Numbers, Numbers]:
    """Return hits and false alarms among the rows at or above each threshold, and the thresholds, falling."""
    probability = positive_probability(answers)
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    last_of_level = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth[order])[last_of_level]
    false_alarms = last_of_level + 1 - hits
    points = np.unique(np.linspace(0, len(last_of_level) - 1, _MOST_POINTS).astype(np.int64))
    return hits[points], false_alarms[points].astype(np.float64), ordered[last_of_level][points]
