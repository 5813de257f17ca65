"""How the stages after `validate` read its tables: the model's frame of the features, and the target as an array."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from driftloop.algorithms.offpolicy import REWARD
from driftloop.spec import DataSchema, Task
from driftloop.stages.frame import frame_to_model_frame


def read_features(table: pa.Table, schema: DataSchema) -> pd.DataFrame:
    """Return the model's frame, shape (n_rows, n_features)."""
    # A block a column: numbers are taken over instead of copied together.
    return frame_to_model_frame(table.select(schema.feature_names).to_pandas(split_blocks=True), schema)


def read_frame(path: Path | str) -> pd.DataFrame:
    """Read a cleaned table with its index, without a second copy of it in memory."""
    frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas(self_destruct=True)
    pa.default_memory_pool().release_unused()  # Arrow keeps what it was given for a table that is gone
    return frame


def target_columns(schema: DataSchema) -> list[str]:
    """Return the columns that `read_target` reads; none where there is no target."""
    columns = [schema.target.name]
    if schema.task is Task.DECISION:
        columns += [name for name in (schema.action_column, schema.propensity_column) if name]
    return [name for name in columns if name]


def read_target(table: pa.Table, schema: DataSchema) -> npt.NDArray[Any]:
    """Return the target, shape (n_rows,): for classification the classes as bool, int64 or text, else float64.

    Anomalies are 1, other rows 0; known groups are numbered. NaN where the rows say nothing of it. Of a Decision index
    of the action, reward and propensity, shape (n_rows, 3); see `algorithms.offpolicy`.
    """
    if not schema.target.name:
        return np.full(table.num_rows, np.nan)
    column = table.column(schema.target.name)
    if schema.task is Task.DECISION:
        actions = np.array(schema.target.classes)
        codes_of = np.searchsorted(actions, table.column(schema.action_column).to_numpy().astype(actions.dtype))
        propensities = table.column(schema.propensity_column).to_numpy()
        return np.column_stack([codes_of, column.to_numpy(), propensities]).astype(np.float64)
    if schema.task is Task.CLUSTERING:
        codes: npt.NDArray[np.float64] = (
            column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        )
        return codes.astype(np.float64)
    if schema.task is Task.ANOMALY_DETECTION:
        return np.array([np.nan if value is None else float(value) for value in column.to_pylist()])
    values: npt.NDArray[Any] = column.to_numpy()
    return values.astype(np.array(schema.target.classes).dtype if schema.task is Task.CLASSIFICATION else np.float64)


def encode_target(labels: npt.NDArray[Any], schema: DataSchema) -> npt.NDArray[np.float64]:
    """Return labels as the metrics take them: index of the class (classes are sorted), the number, or the decision."""
    if schema.task is not Task.CLASSIFICATION:
        return labels.astype(np.float64)
    return np.searchsorted(np.array(schema.target.classes), labels).astype(np.float64)


def outcome(target: npt.NDArray[Any], schema: DataSchema) -> npt.NDArray[Any]:
    """Return what inputs can tell something of, shape (n_rows,): the target itself, or the reward of a decision."""
    return target[:, REWARD] if schema.task is Task.DECISION else target
