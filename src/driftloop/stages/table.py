"""How the stages after `validate` read its tables: the model's frame of the features, and the target as an array."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from driftloop.algorithms.offpolicy import REWARD
from driftloop.spec import DataSchema, Task
from driftloop.stages.frame import frame_to_model_frame


def read_features(table: pa.Table, schema: DataSchema) -> pd.DataFrame:
    """Return the model's frame, shape (n_rows, n_features)."""
    return frame_to_model_frame(table.select(schema.feature_names).to_pandas(), schema)


def read_target(table: pa.Table, schema: DataSchema) -> npt.NDArray[Any]:
    """Return the target, shape (n_rows,): float64 for regression, else the classes as bool, int64 or text.

    Of a Decision index of the action, reward and propensity, shape (n_rows, 3); see `algorithms.offpolicy`.
    """
    if schema.task is Task.DECISION:
        actions = table.column(schema.action_column).to_numpy()
        codes = np.searchsorted(np.array(schema.target.classes), actions.astype(np.array(schema.target.classes).dtype))
        columns = [table.column(name).to_numpy() for name in (schema.target.name, schema.propensity_column)]
        return np.column_stack([codes, *columns]).astype(np.float64)
    values: npt.NDArray[Any] = table.column(schema.target.name).to_numpy()
    return values.astype(np.float64 if schema.task is Task.REGRESSION else np.array(schema.target.classes).dtype)


def encode_target(labels: npt.NDArray[Any], schema: DataSchema) -> npt.NDArray[np.float64]:
    """Return labels as the metrics take them: index of the class (classes are sorted), the number, or the decision."""
    if schema.task in (Task.REGRESSION, Task.DECISION):
        return labels.astype(np.float64)
    return np.searchsorted(np.array(schema.target.classes), labels).astype(np.float64)


def outcome(target: npt.NDArray[Any], schema: DataSchema) -> npt.NDArray[Any]:
    """Return what inputs can tell something of, shape (n_rows,): the target itself, or the reward of a decision."""
    return target[:, REWARD] if schema.task is Task.DECISION else target
