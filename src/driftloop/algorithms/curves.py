"""Curves of a two-class model, thinned to what a picture can show."""

import numpy as np

from driftloop.algorithms.metrics import Answers, Numbers

_MOST_POINTS = 200
_BINS = 10


def roc_curve(truth: Numbers, answers: Answers) -> tuple[list[float], list[float], list[float]]:
    """Return false positive rate, true positive rate and threshold, at most 200 points, rising."""
    probability = _positive(answers)
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    last_of_level = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth[order])[last_of_level]
    false_alarms = last_of_level + 1 - hits
    points = np.unique(np.linspace(0, len(last_of_level) - 1, _MOST_POINTS).astype(np.int64))
    rates = (false_alarms[points] / max(false_alarms[-1], 1), hits[points] / max(hits[-1], 1))
    return [0.0, *rates[0].tolist()], [0.0, *rates[1].tolist()], [1.0, *ordered[last_of_level][points].tolist()]


def calibration_curve(truth: Numbers, answers: Answers) -> tuple[list[float], list[float]]:
    """Return mean probability and observed share of the positive class, in tenths of the rows."""
    probability = _positive(answers)
    groups = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), _BINS) if len(rows)]
    return [float(probability[rows].mean()) for rows in groups], [float(truth[rows].mean()) for rows in groups]


def _positive(answers: Answers) -> Numbers:
    if answers.probabilities is None:
        raise ValueError("The curves of a classification need probabilities.")
    return answers.probabilities[:, 1]
