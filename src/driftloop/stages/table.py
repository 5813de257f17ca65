"""How the stages after `validate` read its tables: the model's frame of the features, and the target as an array."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from driftloop.spec import DataSchema, Task
from driftloop.stages.frame import frame_to_model_frame


def read_features(table: pa.Table, schema: DataSchema) -> pd.DataFrame:
    """Return the model's frame, shape (n_rows, n_features)."""
    return frame_to_model_frame(table.select(schema.feature_names).to_pandas(), schema)


def read_target(table: pa.Table, schema: DataSchema) -> npt.NDArray[Any]:
    """Return the target, shape (n_rows,): float64 for regression, else the classes as bool, int64 or text."""
    values: npt.NDArray[Any] = table.column(schema.target.name).to_numpy()
    return values.astype(np.float64 if schema.task is Task.REGRESSION else np.array(schema.target.classes).dtype)


def encode_target(labels: npt.NDArray[Any], schema: DataSchema) -> npt.NDArray[np.float64]:
    """Return labels as the metrics take them: index of the class (classes are sorted), or the number."""
    if schema.task is Task.REGRESSION:
        return labels.astype(np.float64)
    return np.searchsorted(np.array(schema.target.classes), labels).astype(np.float64)
