"""How many labels look wrong: those of rows whose columns clearly speak for something else.

Part of the checks of `validate`. For classes by confident learning: Northcutt, Jiang, Chuang, "Confident Learning:
Estimating Uncertainty in Dataset Labels", JAIR 2021, with the rough model's answers out of fold as probabilities.
"""

import numpy as np
import numpy.typing as npt

from driftloop.stages.codedrows import CodedRows, Numbers

FEWEST_EXPLAINED = 0.3
"""Below, a rough model is often unsure, and what it doubts says nothing of the labels."""
_FAR = 8.0
"""Robust standard deviations from what the columns say, from which a number looks wrong."""
_TO_DEVIATION = 1.4826


def suspicious_labels(coded: CodedRows, answers: Numbers, explained: float) -> npt.NDArray[np.bool_] | None:
    """Return whether each label looks wrong, shape (n_rows,); None where nobody can tell.

    Args:
        coded: the rows.
        answers: of the rough model out of fold, shape (n_rows, n_outputs).
        explained: share of the target's variance that they explain.
    """
    if explained < FEWEST_EXPLAINED:
        return None
    if coded.target.shape[1] == 1:
        return _far_numbers(coded.target[:, 0] - answers[:, 0])
    probabilities = np.clip(answers, 0, None)
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    labels = coded.target_codes
    sure = np.array([probabilities[labels == label, label].mean() for label in range(probabilities.shape[1])])
    # A row counts for the class that it is surest of, among those it is at least as sure of as their own rows are.
    confident = np.where(probabilities >= sure, probabilities, -1.0)
    spoken_for = confident.argmax(axis=1)
    is_sure = confident.max(axis=1) >= 0
    own = probabilities[np.arange(len(labels)), labels]
    wrong: npt.NDArray[np.bool_] = is_sure & (spoken_for != labels) & (own < 1 / probabilities.shape[1])
    return wrong


def _far_numbers(errors: Numbers) -> npt.NDArray[np.bool_]:
    distance = np.abs(errors - np.median(errors))
    far: npt.NDArray[np.bool_] = distance > _FAR * max(_TO_DEVIATION * float(np.median(distance)), 1e-12)
    return far
