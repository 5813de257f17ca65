"""Probabilities for classifiers that have none of their own."""

from typing import Any

FOLDS = 3


def calibrate(classifier: Any, seed: int) -> Any:
    """Return a classifier whose probabilities are a sigmoid of its scores on held-out training rows (Platt 1999).

    It is fitted once more on all training rows, so that one classifier serves.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(classifier, cv=folds, ensemble=False)
