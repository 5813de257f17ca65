"""What the last links of a chain have in common that stand around a fitted classifier; NumPy only, for they serve."""

from typing import Any, Self

import numpy.typing as npt


class FittedLink:
    """A link made fitted, whose classes are those of its classifier."""

    def __init__(self, estimator: Any) -> None:
        """Keep the classifier."""
        self.estimator = estimator

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        return self.estimator.__sklearn_tags__()

    def fit(self, *_: Any) -> Self:
        """Do nothing: it is made fitted. scikit-learn takes a link without this method for none."""
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes, in the order of the probabilities."""
        classes: npt.NDArray[Any] = self.estimator.classes_
        return classes
