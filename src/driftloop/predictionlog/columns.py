"""The columns of the prediction log, and how plain values become typed ones.

Numbers are float64, booleans and strings keep their type, lists of numbers are lists of float64; a column that mixes
what has no common type is text. No value makes the conversion fail.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from driftloop.predictionlog.records import Label, PredictionBatch

PREDICTION_ID = "prediction_id"
KEY = "key"
TIME = "time"
"""Event time, UTC."""
MODEL_VERSION = "model_version"
FEATURE_PREFIX = "feature."
OUTPUT_PREFIX = "output."
OUTPUT_PREDICTION = "output.prediction"
OUTPUT_PROBABILITY = "output.probability"
"""Probability of the positive class for two classes, a list by class for more, absent for regression."""
OUTPUT_PROPENSITY = "output.propensity"
"""Decision: probability with which the action was drawn."""
LABEL = "label"
LABEL_TIME = "label_time"

TIMESTAMP = pa.timestamp("us", tz="UTC")
_PREDICTION_FIELDS = {PREDICTION_ID: pa.string(), KEY: pa.string(), TIME: TIMESTAMP, MODEL_VERSION: pa.string()}
_LABEL_FIELDS = {PREDICTION_ID: pa.string(), KEY: pa.string(), LABEL: pa.null(), LABEL_TIME: TIMESTAMP}
FIXED_COLUMNS = frozenset({*_PREDICTION_FIELDS, *_LABEL_FIELDS})
"""The columns that do not depend on the model. Names only: the first Arrow array of a process imports pandas."""


def prediction_table(batches: Sequence[PredictionBatch]) -> pa.Table:
    """Return the rows of the batches, in their order; a feature that a batch does not have is null there."""
    rows = [len(batch.prediction_ids) for batch in batches]
    values: dict[str, list[Any]] = {name: [] for name in _PREDICTION_FIELDS}
    for batch, count in zip(batches, rows, strict=True):
        values[PREDICTION_ID] += batch.prediction_ids
        values[KEY] += batch.keys if batch.keys is not None else [None] * count
        values[TIME] += [batch.time] * count
        values[MODEL_VERSION] += [batch.model_version] * count
    columns = {name: pa.array(values[name], type_) for name, type_ in _PREDICTION_FIELDS.items()}
    for prefix, cells in (
        (FEATURE_PREFIX, [b.features for b in batches]),
        (OUTPUT_PREFIX, [b.outputs for b in batches]),
    ):
        for name in dict.fromkeys(name for batch_cells in cells for name in batch_cells):
            column: list[Any] = []
            for batch_cells, count in zip(cells, rows, strict=True):
                column += batch_cells.get(name, [None] * count)
            columns[prefix + name] = typed(column)
    return pa.table(columns)


def label_table(labels: Sequence[Label]) -> pa.Table:
    """Return the labels, in their order."""
    return pa.table(
        {
            PREDICTION_ID: pa.array([label.prediction_id for label in labels], pa.string()),
            KEY: pa.array([label.key for label in labels], pa.string()),
            LABEL: typed([label.label for label in labels]),
            LABEL_TIME: pa.array([label.time for label in labels], TIMESTAMP),
        }
    )


def empty_prediction_table() -> pa.Table:
    """Return the columns that every table of predictions has."""
    return pa.table({name: pa.array([], type_) for name, type_ in _PREDICTION_FIELDS.items()})


def empty_label_table() -> pa.Table:
    """Return the columns that every table of labels has."""
    return pa.table({name: pa.array([], type_) for name, type_ in _LABEL_FIELDS.items()})


def typed(values: Sequence[Any]) -> pa.Array:
    """Return the values as one typed column; all null gives the null type.

    >>> str(typed([1, None, 2.5]).type), str(typed([True, None]).type), typed([1, "a"]).to_pylist()
    ('double', 'bool', ['1', 'a'])
    """
    kinds = set(map(type, values)) - {type(None)}
    try:
        if not kinds:
            return pa.nulls(len(values))
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds == {float}:
            return pa.array(values, pa.float64())
        if kinds <= {bool, int, float}:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        if kinds == {list}:
            rows = [None if value is None else [float(item) for item in value] for value in values]
            return pa.array(rows, pa.list_(pa.float64()))
    except (OverflowError, TypeError, ValueError):
        pass  # An integer beyond all floats, or a list of other things: text.
    return pa.array(map(_text, values), pa.string())


def unite(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables below each other; columns that are missing are null, types meet as in `typed`."""
    types: dict[str, pa.DataType] = {}
    for table in tables:
        for field in table.schema:
            types[field.name] = _common_type(types.get(field.name, field.type), field.type)
    schema = pa.schema(types.items())
    return pa.concat_tables(
        table
        if table.schema.equals(schema)
        else pa.Table.from_arrays([_cast(table, name, type_) for name, type_ in types.items()], schema=schema)
        for table in tables
    )


def in_order(predictions: pa.Table) -> pa.Table:
    """Return the table with its features before its outputs, each by name: whichever record came first."""

    def group(name: str) -> tuple[int, str]:
        return (
            (1, name) if name.startswith(FEATURE_PREFIX) else (2, name) if name.startswith(OUTPUT_PREFIX) else (0, "")
        )

    return predictions.select(sorted(predictions.column_names, key=group))


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    return pa.float64() if {one, other} == {pa.float64(), pa.bool_()} else pa.string()


def _cast(table: pa.Table, name: str, type_: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, type_)
    column = table[name]
    if column.type == type_:
        return column
    if pa.types.is_string(type_) and not pa.types.is_null(column.type):
        return pa.array(map(_text, column.to_pylist()), type_)
    return column.cast(type_)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
