"""Missing values: what each column is filled with, and the imputers that look at the whole row. Part of `clean`.

Means, medians and the like are computed by NumPy and pandas, so that a loop with the usual preparation loads no
scikit-learn for them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, Feature, FeatureType, PreparationSpec

MISSING_CATEGORY = "(missing)"
NEIGHBOURS = 5
MOST_ROWS_TO_COMPARE = 2000
"""Training rows that k-NN imputation keeps and compares each incomplete row with, evenly chosen."""
MOST_ROWS_TO_REGRESS = 20_000
"""Training rows that iterative imputation is fitted on, evenly chosen."""
_ROUNDS = 10
_WORKING_MEGABYTES = 64
"""For distances between rows; scikit-learn's own 1,024 would be the most of a stage's memory."""
_FILLED = (FeatureType.NUMERIC, FeatureType.DATE, FeatureType.BOOLEAN)


def missing_flag(name: str) -> str:
    """Return the name of the column that says where `name` was missing."""
    return f"{name} is missing"


def fillable(schema: DataSchema) -> list[Feature]:
    """Return the features that `preparation.missing` is about: numbers, dates and booleans."""
    return [feature for feature in schema.features if feature.type in _FILLED]


def filling_of(column: "pd.Series[Any]", kind: FeatureType, preparation: PreparationSpec) -> float | str:
    """Return what a missing value of one column becomes, learned from the training rows."""
    if kind is FeatureType.TEXT:
        return ""
    if kind is FeatureType.CATEGORICAL:
        return MISSING_CATEGORY
    if kind is FeatureType.NUMERIC and preparation.missing == "Constant":
        return preparation.missing_constant
    present = column.dropna()
    if present.empty:
        return 0.0
    if kind is FeatureType.BOOLEAN or preparation.missing == "MostFrequent":
        return float(present.mode().iloc[0])
    return float(present.mean() if preparation.missing == "Mean" else present.median())


class RowImputer:
    """Fills the gaps of a row from its other numbers, dates and booleans; made fitted by `fit_row_imputer`.

    scikit-learn's imputer works on standardised columns, so that no unit outweighs the others. Booleans are rounded.
    """

    def __init__(
        self,
        imputer: Any,
        names: Sequence[str],
        booleans: Sequence[str],
        means: npt.NDArray[np.float64],
        deviations: npt.NDArray[np.float64],
    ) -> None:
        """Keep the fitted imputer, its columns in order, and their means and standard deviations."""
        self.imputer = imputer
        self.names = names
        self.booleans = booleans
        self.means = means
        self.deviations = deviations

    def fill(self, frame: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
        """Return the columns that have gaps in `frame`, filled."""
        matrix = frame[list(self.names)].to_numpy(dtype=np.float64)
        gaps = np.isnan(matrix)
        incomplete = gaps.any(axis=1)
        if not incomplete.any():
            return {}
        from sklearn import config_context

        with config_context(working_memory=_WORKING_MEGABYTES):
            found = self.imputer.transform((matrix[incomplete] - self.means) / self.deviations)
        matrix[incomplete] = np.where(gaps[incomplete], found * self.deviations + self.means, matrix[incomplete])
        columns = {name: matrix[:, place] for place, name in enumerate(self.names) if gaps[:, place].any()}
        return {
            name: np.round(np.clip(values, 0.0, 1.0)) if name in self.booleans else values
            for name, values in columns.items()
        }


def fit_row_imputer(frame: pd.DataFrame, schema: DataSchema, preparation: PreparationSpec, *, seed: int) -> RowImputer:
    """Fit scikit-learn's KNNImputer or IterativeImputer on the model's frame of the training rows.

    KNN (Troyanskaya et al. 2001): the mean of the nearest rows that have the value. Iterative: each column predicted by
    Bayesian ridge regression from the others, in rounds (van Buuren and Groothuis-Oudshoorn 2011, without the draws).
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - without it the next line fails
    from sklearn.impute import IterativeImputer, KNNImputer

    features = fillable(schema)
    names = [feature.name for feature in features]
    matrix = frame[names].to_numpy(dtype=np.float64)
    present = ~np.isnan(matrix)
    means = np.where(present, matrix, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    variances = np.where(present, (matrix - means) ** 2, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    deviations = np.where(variances > 0, np.sqrt(variances), 1.0)
    if preparation.missing == "KNN":
        most, imputer = MOST_ROWS_TO_COMPARE, KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True)
    else:
        # Columns that are complete in training get their mean: predicting them, too, makes each request dearer.
        most = MOST_ROWS_TO_REGRESS
        imputer = IterativeImputer(max_iter=_ROUNDS, skip_complete=True, keep_empty_features=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the rounds are bounded on purpose
        imputer.fit((matrix[evenly(len(matrix), most)] - means) / deviations)
    booleans = [feature.name for feature in features if feature.type is FeatureType.BOOLEAN]
    return RowImputer(imputer, names, booleans, means, deviations)


def evenly(rows: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many positions, evenly over all rows.

    >>> evenly(5, 3).tolist(), evenly(2, 3).tolist()
    ([0, 2, 4], [0, 1])
    """
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))
