"""A regressor that learns its target on one scale. Imports scikit-learn: import it late."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin


class ScaledTarget(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Fits a regressor on the standardised target, and answers in the target's own unit.

    Unlike scikit-learn's TransformedTargetRegressor it fits the very regressor that it was given, so that a fit can go
    on where it ended.
    """

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], **weights: Any) -> Self:
        """Fit on rows of shape (n_rows, n_columns)."""
        self.mean_ = float(np.mean(y))
        self.scale_ = float(np.std(y)) or 1.0
        self.regressor.fit(x, (y - self.mean_) / self.scale_, **weights)
        return self

    def predict(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return numbers, shape (n_rows,)."""
        return np.asarray(self.regressor.predict(x), dtype=np.float64) * self.scale_ + self.mean_
