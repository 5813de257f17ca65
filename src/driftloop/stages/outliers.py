"""Extreme numbers and rows unlike the others: their limits, learned from the training rows. Part of `clean`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec.preparation import OutlierName
from driftloop.stages.filling import evenly

Limits: TypeAlias = Mapping[str, Sequence[float]]
"""Lowest and highest usual value of a column."""

OF_NUMBERS: tuple[OutlierName, ...] = ("ZScore", "IQR", "Clip")
OF_ROWS: tuple[OutlierName, ...] = ("IsolationForest", "LocalOutlierFactor")
UNUSUAL_ROW = "row is unlike the others"
SHARE_OF_ROWS = 0.01
"""Rows that IsolationForest and LocalOutlierFactor take for outliers."""
MOST_ROWS_FITTED = 10_000
"""Training rows, evenly chosen, that the neighbours of LocalOutlierFactor are searched among: it keeps them all."""
_DEVIATIONS, _RANGES = 3.0, 1.5
_OUTER = (0.005, 0.995)
_NEIGHBOURS = 20


def extreme_flag(name: str) -> str:
    """Return the name of the column that says where `name` was extreme."""
    return f"{name} is extreme"


def find_limits(frame: pd.DataFrame, names: Sequence[str], method: OutlierName) -> dict[str, list[float]]:
    """Return the limits of each column that varies; a column whose rule gives no width has none.

    ZScore: three standard deviations from the mean. IQR: Tukey's fences (1977). Clip: the outer quantiles.
    """
    limits = {}
    for name in names:
        values = frame[name].dropna().to_numpy()
        if len(values) == 0:
            continue
        if method == "ZScore":
            middle, width = values.mean(), _DEVIATIONS * values.std()
            low, high = middle - width, middle + width
        elif method == "IQR":
            first, third = np.quantile(values, (0.25, 0.75))
            low, high = first - _RANGES * (third - first), third + _RANGES * (third - first)
        else:
            low, high = np.quantile(values, _OUTER)
        if low < high:
            limits[name] = [float(low), float(high)]
    return limits


def is_extreme(values: npt.NDArray[np.float64], limits: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Return which values lie beyond the limits; a missing one does not."""
    return (values < limits[0]) | (values > limits[1])


class RowDetector:
    """Says which rows are unlike the training rows, by their numbers; made fitted by `fit_row_detector`."""

    def __init__(
        self,
        detector: Any,
        names: Sequence[str],
        means: npt.NDArray[np.float64],
        deviations: npt.NDArray[np.float64],
    ) -> None:
        """Keep the fitted detector, its columns in order, and their means and standard deviations."""
        self.detector = detector
        self.names = names
        self.means = means
        self.deviations = deviations

    def flags(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Return 1 for a row unlike the others, else 0; takes columns without gaps."""
        matrix = np.column_stack([columns[name] for name in self.names]).astype(np.float64)
        predicted = self.detector.predict((matrix - self.means) / self.deviations)
        return np.asarray(predicted == -1, dtype=np.float64)


def fit_row_detector(
    frame: pd.DataFrame, names: Sequence[str], method: OutlierName, *, seed: int
) -> tuple[RowDetector, npt.NDArray[np.float64]]:
    """Fit scikit-learn's IsolationForest (Liu et al. 2008) or LocalOutlierFactor (Breunig et al. 2000).

    Args:
        frame: training rows, filled.
        names: their numbers.
        method: which of the two.
        seed: of the forest.

    Returns:
        The detector, and the flags of the training rows themselves. By LocalOutlierFactor they are not what the
        detector says of these rows later, because a row is no neighbour of its own.
    """
    matrix = frame[list(names)].to_numpy(dtype=np.float64)
    means, deviations = matrix.mean(axis=0), matrix.std(axis=0)
    deviations = np.where(deviations > 0, deviations, 1.0)
    scaled = (matrix - means) / deviations
    if method == "IsolationForest":
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(contamination=SHARE_OF_ROWS, random_state=seed).fit(scaled)
        return RowDetector(forest, names, means, deviations), (forest.predict(scaled) == -1).astype(np.float64)
    from sklearn.neighbors import LocalOutlierFactor

    chosen = evenly(len(scaled), MOST_ROWS_FITTED)
    neighbours = min(_NEIGHBOURS, len(chosen) - 1)
    factor = LocalOutlierFactor(n_neighbors=neighbours, contamination=SHARE_OF_ROWS, novelty=True).fit(scaled[chosen])
    flags = np.empty(len(scaled))
    flags[chosen] = factor.negative_outlier_factor_ < factor.offset_
    others = np.setdiff1d(np.arange(len(scaled)), chosen)
    if len(others):
        flags[others] = factor.predict(scaled[others]) == -1
    return RowDetector(factor, names, means, deviations), flags
