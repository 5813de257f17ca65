"""Last links of a chain that decide otherwise than for the most probable class: by value, or alike for all groups.

Made fitted by `adjust`; NumPy only, for they serve. Probabilities pass through them as they are, so that what is said
with 30 % still comes true in 30 of 100; only the class that is answered changes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class _Link:
    """What both have in common: a fitted classifier, whose probabilities are theirs."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        return self.estimator.__sklearn_tags__()

    def fit(self, *_: Any) -> "_Link":
        """Do nothing: it is made fitted. scikit-learn takes a link without this method for none."""
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes, in the order of the probabilities."""
        classes: npt.NDArray[Any] = self.estimator.classes_
        return classes

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the classifier's probabilities, shape (n_rows, n_classes)."""
        return np.asarray(self.estimator.predict_proba(rows), dtype=np.float64)

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the classes decided for, shape (n_rows,)."""
        decided: npt.NDArray[Any] = self.classes_[self.decide(self.predict_proba(rows), rows)]
        return decided

    def decide(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.int64]:
        """Return the index of the class to answer with, shape (n_rows,)."""
        raise NotImplementedError


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
    """Decides between two classes by the vote of classifiers that were fitted under a fairness constraint.

    Agarwal et al. 2018, A Reductions Approach to Fair Classification, draw one of the classifiers at random for each
    row. Here the votes decide, so that equal rows get equal answers.
    """

    def __init__(
        self, estimator: Any, voters: Sequence[Any], weights: npt.NDArray[np.float64], threshold: float
    ) -> None:
        """Keep the classifier that gives the probabilities, those that vote, their weights, and the votes needed."""
        super().__init__(estimator)
        self.voters = list(voters)
        self.weights = weights
        self.threshold = threshold

    def decide(self, probabilities: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.int64]:
        """Return 1 where enough of the weight votes for the second class, else 0."""
        del probabilities
        return (weigh_votes(self.voters, self.weights, rows) >= self.threshold).astype(np.int64)


def weigh_votes(voters: Sequence[Any], weights: npt.NDArray[np.float64], rows: Any) -> npt.NDArray[np.float64]:
    """Return the weight of the classifiers that say 1 of each row, shape (n_rows,)."""
    votes: npt.NDArray[np.float64] = weights @ np.array([np.asarray(voter.predict(rows)) for voter in voters])
    return votes


def undecided(link: Any) -> Any:
    """Return a chain's last link without the rule of decision that a link of this module puts on it."""
    while isinstance(link, _Link):
        link = link.estimator
    return link
