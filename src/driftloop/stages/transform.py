"""Sixth stage: turns the cleaned columns into the matrix that estimators take, fitted on the training rows only.

The second link of the model's chain. It is applied once to the training and validation rows, so that candidates do
not repeat it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, FeatureType, PreparationSpec, Task
from driftloop.spec.problem import NEEDS_TARGET

_FOLDS = 5
_DAYS_PER_WEEK = 7
_SECONDS_PER_DAY = 86_400
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


def fit_transformer(
    cleaned: pd.DataFrame, y: npt.NDArray[Any], schema: DataSchema, preparation: PreparationSpec, *, seed: int
) -> tuple[Any, npt.NDArray[np.float64]]:
    """Fit on cleaned training rows; return the transformer and their matrix.

    The matrix is not `transformer.transform(cleaned)`: target encoding is cross-fitted, so that no row sees its own
    target (Micci-Barreca 2001; scikit-learn's TargetEncoder).

    Args:
        cleaned: output of the cleaner, features first, then flags.
        y: shape (n_rows,), classes or numbers.
        schema: types and categories of the features.
        preparation: scaling, and how many categories are one-hot encoded.
        seed: of the folds of cross-fitting.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder

    by_type: dict[FeatureType, list[str]] = {kind: [] for kind in FeatureType}
    for feature in schema.features:
        by_type[feature.type].append(feature.name)
    many = [feature.name for feature in schema.features if len(feature.categories) > preparation.max_one_hot_categories]
    few = [name for name in by_type[FeatureType.CATEGORICAL] if name not in many]
    flags = list(cleaned.columns[len(schema.features) :])

    def scaled(*before: Any) -> Any:
        steps = [*before, *([] if preparation.scaling == "None" else [StandardScaler()])]
        if not steps:
            return "passthrough"
        return Pipeline([(type(step).__name__.lower(), step) for step in steps])

    folder = StratifiedKFold if schema.task is Task.CLASSIFICATION else KFold
    folds = folder(_FOLDS, shuffle=True, random_state=seed)
    # Without a target to encode by, the rare categories are one.
    grouped: Any = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=max(preparation.max_one_hot_categories, 2),
        sparse_output=False,
    )
    if schema.task in NEEDS_TARGET:
        grouped = scaled(TargetEncoder(target_type=_target_type(schema), cv=folds))
    blocks = [
        ("numbers", scaled(), by_type[FeatureType.NUMERIC]),
        ("dates", scaled(FunctionTransformer(date_parts)), by_type[FeatureType.DATE]),
        ("few_categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), few),
        ("many_categories", grouped, many),
        ("booleans", "passthrough", by_type[FeatureType.BOOLEAN] + flags),
    ]
    transformer = ColumnTransformer([block for block in blocks if block[2]], sparse_threshold=0)
    return transformer, np.asarray(transformer.fit_transform(cleaned, y), dtype=np.float64)


def date_parts(dates: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return what a date tells: days since 1970, day of the year, weekday (Monday 0) and hour of the day.

    Args:
        dates: epoch seconds, shape (n_rows, n_dates).

    Returns:
        Shape (n_rows, 4 * n_dates).
    """
    seconds = np.asarray(dates, dtype=np.float64)
    days = np.floor(seconds / _SECONDS_PER_DAY)
    midnights = days.astype(np.int64).astype("datetime64[D]")
    day_of_year = (midnights - midnights.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    weekday = (days + _EPOCH_WEEKDAY) % _DAYS_PER_WEEK
    hour = (seconds - days * _SECONDS_PER_DAY) / 3600
    return np.hstack([days, day_of_year, weekday, hour])


def _target_type(schema: DataSchema) -> str:
    if schema.task is not Task.CLASSIFICATION:
        return "continuous"
    return "binary" if len(schema.target.classes) == 2 else "multiclass"  # noqa: PLR2004
