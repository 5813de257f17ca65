"""Last links of a chain that decide otherwise than for the most probable class: by value, or alike for all groups.

Made fitted by `adjust`; NumPy only, for they serve. Probabilities pass through them as they are, so that what is said
with 30 % still comes true in 30 of 100; only the class that is answered changes.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.stages.fittedlink import FittedLink

_SMALLEST = 1e-6


class _Link(FittedLink, ABC):
    """What both have in common: the classifier's probabilities are theirs."""

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the classifier's probabilities, shape (n_rows, n_classes)."""
        return np.asarray(self.estimator.predict_proba(rows), dtype=np.float64)

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the classes decided for, shape (n_rows,)."""
        decided: npt.NDArray[Any] = self.classes_[self.decide(self.predict_proba(rows), rows)]
        return decided

    @abstractmethod
    def decide(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.int64]:
        """Return the index of the class to answer with, shape (n_rows,)."""


class ValueDecision(_Link):
    """Decides for the class of the greatest expected value (Elkan 2001, The Foundations of Cost-Sensitive Learning)."""

    def __init__(self, estimator: Any, values: npt.NDArray[np.float64]) -> None:
        """Keep the classifier and what each outcome is worth, by true (down) and predicted class (across)."""
        super().__init__(estimator)
        self.values = values

    def decide(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.int64]:
        """Return the index of the class of the greatest expected value; of equals the first."""
        del rows
        decided: npt.NDArray[np.int64] = (probabilities @ self.values).argmax(axis=1)
        return decided


class FairDecision(_Link):
    """Decides between two classes by the vote of linear rules that were fitted under a fairness constraint.

    Each rule weighs the classifier's log-odds and the matrix's columns. Agarwal et al. 2018, A Reductions Approach to
    Fair Classification, draw one of the rules at random for each row; here the votes decide, so that equal rows get
    equal answers.
    """

    def __init__(
        self,
        estimator: Any,
        coefficients: npt.NDArray[np.float64],
        starts: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64],
        threshold: float,
    ) -> None:
        """Keep what was learned.

        Args:
            estimator: the classifier that gives the probabilities.
            coefficients: of each rule, shape (n_rules, 1 + n_columns), the log-odds' first.
            starts: their intercepts, shape (n_rules,).
            weights: their votes, shape (n_rules,), adding up to 1.
            threshold: votes needed for the second class.
        """
        super().__init__(estimator)
        self.coefficients = coefficients
        self.starts = starts
        self.weights = weights
        self.threshold = threshold

    def votes(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.float64]:
        """Return the votes for the second class, shape (n_rows,)."""
        inputs = np.column_stack([log_odds(probabilities[:, 1]), np.asarray(rows, dtype=np.float64)])
        says_yes = inputs @ self.coefficients.T + self.starts > 0
        votes: npt.NDArray[np.float64] = says_yes @ self.weights
        return votes

    def decide(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.int64]:
        """Return 1 where there are enough votes for the second class, else 0."""
        return (self.votes(probabilities, rows) >= self.threshold).astype(np.int64)


def log_odds(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log-odds of probabilities, at most about 14 either way."""
    bounded = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    odds: npt.NDArray[np.float64] = np.log(bounded / (1 - bounded))
    return odds


def undecided(link: Any) -> Any:
    """Return a chain's last link without the rule of decision that a link of this module puts on it."""
    while isinstance(link, _Link):
        link = link.estimator
    return link
