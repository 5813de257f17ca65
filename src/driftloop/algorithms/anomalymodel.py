"""Detectors of anomalies, brought to one scale: the last link of a chain for the task AnomalyDetection.

What they say is the share of training rows that are less anomalous, 0 to 1; from `1 - contamination` on a row counts as
an anomaly. Imported late: it loads scikit-learn.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin

from driftloop.algorithms.anomaly import USUAL_CONTAMINATION
from driftloop.algorithms.clustermodel import draw
from driftloop.errors import InvalidInputError

Numbers: TypeAlias = npt.NDArray[np.float64]

MOST_LEVELS = 10_000
"""Training scores that are kept, as quantiles where there are more."""
MOST_NEIGHBOUR_ROWS, MOST_KERNEL_ROWS, MOST_COVARIANCE_ROWS = 20_000, 5_000, 50_000
"""Rows that LocalOutlierFactor, OneClassSVM and EllipticEnvelope are fitted on at most."""
_MOST_CONTAMINATION = 0.5
_TREES = 100


class TooContaminatedError(InvalidInputError):
    """Most labelled rows are anomalous."""

    def __init__(self, share: float) -> None:
        super().__init__(
            f"At most half of the labelled rows may be anomalous. Got {100 * share:.0f} %. "
            "Use the task Classification, or correct the labels of 'data.targetColumn'."
        )


class TooFewRowsForEnvelopeError(InvalidInputError):
    """A covariance can't be estimated on so few rows."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(
            f"EllipticEnvelope needs more training rows than twice the columns of the matrix ({columns}). Got {rows}. "
            "Collect more rows, set 'preparation.dimensionality', or take it out of 'training.algorithms'."
        )


class AnomalyModel(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """One detector, its scores as shares of the training rows."""

    def __init__(
        self,
        method: str = "IsolationForest",
        params: Mapping[str, Any] | None = None,
        contamination: float | None = None,
        seed: int = 0,
    ) -> None:
        self.method = method
        self.params = params
        self.contamination = contamination
        self.seed = seed

    def fit(self, x: Numbers, y: Numbers | None = None) -> Self:
        """Fit on all rows, and once on either half, shape (n_rows, n_columns).

        Args:
            x: the rows; anomalies among them are not left out.
            y: 1 where a row is known to be anomalous, 0 where not, NaN where unknown; it tells the threshold where
                `contamination` does not, and nothing else.

        Raises:
            TooContaminatedError, TooFewRowsForEnvelopeError: see there.
        """
        self.contamination_ = self.contamination or _labelled_share(y) or USUAL_CONTAMINATION
        if self.contamination_ > _MOST_CONTAMINATION:
            raise TooContaminatedError(self.contamination_)
        self.detector_, scores = self._fit(x)
        count = min(MOST_LEVELS, len(scores))
        self.levels_ = np.quantile(scores, (np.arange(count) + 0.5) / count, method="inverted_cdf")
        order = np.random.default_rng(self.seed).permutation(len(x))
        self.halves_ = [self._fit(x[np.sort(half)], trees=_TREES // 2)[0] for half in np.array_split(order, 2)]
        return self

    def predict_proba(self, x: Numbers) -> Numbers:
        """Return shape (n_rows, 2): the second is the share of training rows that are less anomalous."""
        share = np.searchsorted(self.levels_, _scores(self.detector_, x), side="left") / len(self.levels_)
        return np.stack([1 - share, share], axis=1)

    def decide(self, probabilities: Numbers, _: Any = None) -> npt.NDArray[np.int64]:
        """Return 1 where a row counts as an anomaly, by its share of less anomalous rows, shape (n_rows,)."""
        return np.asarray(probabilities[:, 1] >= 1 - self.contamination_, dtype=np.int64)

    def predict(self, x: Numbers) -> npt.NDArray[np.bool_]:
        """Return whether rows are anomalous, shape (n_rows,)."""
        return self.decide(self.predict_proba(x)).astype(np.bool_)

    def halves(self, x: Numbers) -> Numbers:
        """Return the scores by the models of both halves, shape (n_rows, 2), on scales of their own."""
        return np.stack([_scores(half, x) for half in self.halves_], axis=1)

    def _fit(self, x: Numbers, trees: int = _TREES) -> tuple[Any, Numbers]:
        """Return a fitted detector, and the scores of the rows that it was fitted on."""
        return _METHODS[self.method](x, {**(self.params or {}), "trees": trees}, self.seed)


def _scores(detector: Any, x: Numbers) -> Numbers:
    scores = -np.asarray(detector.score_samples(np.asarray(x, dtype=np.float64)), dtype=np.float64)
    if tree := getattr(detector, "_tree", None):
        tree.reset_n_calls()  # a tree counts its questions; equal models must be equal files
    return scores


def _labelled_share(y: Numbers | None) -> float | None:
    known = np.zeros(0) if y is None else y[~np.isnan(y)]
    return float(known.mean()) if known.any() else None


def _forest(x: Numbers, params: dict[str, Any], seed: int) -> tuple[Any, Numbers]:
    from sklearn.ensemble import IsolationForest

    samples = min(int(params.get("max_samples", 256)), len(x))
    forest = IsolationForest(n_estimators=params["trees"], max_samples=samples, random_state=seed, n_jobs=1).fit(x)
    return forest, _scores(forest, x)


def _neighbours(x: Numbers, params: dict[str, Any], seed: int) -> tuple[Any, Numbers]:
    from sklearn.neighbors import LocalOutlierFactor

    drawn = draw(x, MOST_NEIGHBOUR_ROWS, seed)
    neighbours = min(int(params.get("n_neighbors", 20)), len(drawn) - 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicate values are leading to incorrect results")
        factor = LocalOutlierFactor(neighbours, novelty=True, n_jobs=1).fit(drawn)
    # Asked as a new row, a training row would be its own nearest neighbour.
    return factor, -np.asarray(factor.negative_outlier_factor_, dtype=np.float64)


def _kernel(x: Numbers, params: dict[str, Any], seed: int) -> tuple[Any, Numbers]:
    from sklearn.svm import OneClassSVM

    drawn = draw(x, MOST_KERNEL_ROWS, seed)
    machine = OneClassSVM(nu=params.get("nu", 0.05), gamma=params.get("gamma_of_scale", 1.0) / _scale(drawn)).fit(drawn)
    return machine, _scores(machine, drawn)


def _scale(x: Numbers) -> float:
    """Return the denominator of scikit-learn's `gamma='scale'`."""
    return float(x.shape[1] * x.var()) or 1.0


def _envelope(x: Numbers, params: dict[str, Any], seed: int) -> tuple[Any, Numbers]:
    from sklearn.covariance import EllipticEnvelope

    drawn = draw(x, MOST_COVARIANCE_ROWS, seed)
    if len(drawn) <= 2 * drawn.shape[1]:
        raise TooFewRowsForEnvelopeError(len(drawn), drawn.shape[1])
    with warnings.catch_warnings():
        # Columns that depend on each other, such as one-hot ones: distances are measured by the pseudo-inverse.
        warnings.filterwarnings("ignore", message="The covariance matrix associated to your dataset is not full rank")
        warnings.filterwarnings("ignore", message="Determinant has increased")
        envelope = EllipticEnvelope(support_fraction=params.get("support_fraction", 0.75), random_state=seed).fit(drawn)
    return envelope, _scores(envelope, drawn)


_METHODS: dict[str, Callable[[Numbers, dict[str, Any], int], tuple[Any, Numbers]]] = {
    "IsolationForest": _forest,
    "LocalOutlierFactor": _neighbours,
    "OneClassSVM": _kernel,
    "EllipticEnvelope": _envelope,
}
