"""Fifth stage: fills what is missing, with values learned from the training rows only.

The first link of the model's chain. It is written on NumPy and pandas so that neither this stage nor a server pays
for more than medians.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, FeatureType, PreparationSpec

MISSING_CATEGORY = "(missing)"


def missing_flag(name: str) -> str:
    """Return the name of the column that says where `name` was missing."""
    return f"{name} is missing"


def fit_cleaner(frame: pd.DataFrame, schema: DataSchema, preparation: PreparationSpec) -> "Cleaner":
    """Learn from the model's frame of the training rows, shape (n_rows, n_features).

    Numbers and dates are filled by `preparation.missing`; `Auto` also flags the columns in which values were missing.
    Booleans get the most frequent value, categories a category of their own.
    """
    fillings = {feature.name: _filling(frame[feature.name], feature.type, preparation) for feature in schema.features}
    flagged = [
        feature.name
        for feature in schema.features
        if preparation.missing == "Auto"
        and feature.type is not FeatureType.CATEGORICAL
        and frame[feature.name].isna().any()
    ]
    return Cleaner(fillings, flagged)


class Cleaner:
    """Fills missing values; a transformer in scikit-learn's `Pipeline`, made fitted."""

    def __init__(self, fillings: Mapping[str, float | str], flagged: Sequence[str]) -> None:
        """Keep what was learned: the value to fill per column, and the columns that get a flag."""
        self.fillings = fillings
        self.flagged = flagged

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame without missing values, flags behind the features; shape (n_rows, n_features + n_flags)."""
        columns: dict[str, npt.NDArray[Any]] = {}
        for name, filling in self.fillings.items():
            values = frame[name].to_numpy()
            columns[name] = np.where(pd.isna(values), filling, values)
        for name in self.flagged:
            columns[missing_flag(name)] = np.isnan(frame[name].to_numpy()).astype(np.float64)
        return pd.DataFrame(columns, index=frame.index)

    def save(self, path: Path) -> None:
        """Write to a JSON file."""
        path.write_text(json.dumps({"fillings": self.fillings, "flagged": self.flagged}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))


def _filling(column: "pd.Series[Any]", kind: FeatureType, preparation: PreparationSpec) -> float | str:
    if kind is FeatureType.CATEGORICAL:
        return MISSING_CATEGORY
    present = column.dropna()
    if present.empty:
        return 0.0
    if kind is FeatureType.BOOLEAN or preparation.missing == "MostFrequent":
        return float(present.mode().iloc[0])
    return float(present.mean() if preparation.missing == "Mean" else present.median())
