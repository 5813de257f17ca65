"""The first link of an adopted model's chain: gives a model made elsewhere the columns in the types it was fitted with.

The counterpart of `clean` and `transform` in a chain of ours. It fills nothing. It must not import scikit-learn.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from driftloop.spec import FeatureType


class ForeignInputs:
    """Turns the model's frame (`stages.frame`) back into what pandas reads from a file; made fitted."""

    def __init__(self, kinds: Mapping[str, str], *, as_array: bool) -> None:
        """Keep the type of each column, in the model's order, and whether the model was fitted on an array."""
        self.kinds = kinds
        self.as_array = as_array

    def transform(self, frame: pd.DataFrame) -> Any:
        """Return texts with NaN where missing, booleans as bool where none is missing, dates as UTC times."""
        columns = {name: _restore(frame[name], FeatureType(kind)) for name, kind in self.kinds.items()}
        restored = pd.DataFrame(columns, index=frame.index)
        return restored.to_numpy() if self.as_array else restored


def _restore(column: "pd.Series[Any]", kind: FeatureType) -> "pd.Series[Any]":
    if kind is FeatureType.TEXT:
        return column
    if kind is FeatureType.CATEGORICAL:
        return column.where(column.notna(), np.nan)
    if kind is FeatureType.BOOLEAN and not column.isna().any():
        return column.astype(bool)
    return pd.to_datetime(column, unit="s", utc=True) if kind is FeatureType.DATE else column
