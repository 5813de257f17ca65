"""Raw columns as they were collected: which words mean nothing, which texts are dates. Part of the stage `validate`."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TIMESTAMP = pa.timestamp("us", "UTC")
_HEAD_VALUES = 100


def plain_values(column: pa.ChunkedArray, name: str, notes: list[str]) -> pa.ChunkedArray:
    """Undo encodings, and read NaN, infinities and empty texts as missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column.type):
        column = column.cast(pa.string())
        is_empty = pc.equal(pc.utf8_trim_whitespace(column), "")
        return pc.if_else(is_empty, pa.scalar(None, pa.string()), column) if pc.any(is_empty).as_py() else column
    if pa.types.is_decimal(column.type) or pa.types.is_float16(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        infinite = pc.sum(pc.is_inf(column)).as_py() or 0
        if infinite:
            notes.append(f"'{name}': {infinite} infinite numbers were read as missing")
        is_finite = pc.is_finite(column)
        if not pc.all(is_finite).as_py():  # what is as it should be is not copied
            return pc.if_else(is_finite, column, pa.scalar(None, column.type))
    return column


def is_text(arrow_type: pa.DataType) -> bool:
    """Return whether a column holds texts, however they are stored."""
    return any(check(arrow_type) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def read_dates(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return the column as times in UTC, or None when it holds something else."""
    if pa.types.is_timestamp(column.type):
        return column.cast(TIMESTAMP, safe=False)
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(TIMESTAMP)
    if is_text(column.type) and column.null_count < len(column):
        head = column.drop_null()[:_HEAD_VALUES]  # a cast that fails does so only after all rows, and slowly
        for with_zone in (False, True):
            try:
                head.cast(TIMESTAMP if with_zone else pa.timestamp("us"))
                return column.cast(TIMESTAMP if with_zone else pa.timestamp("us")).cast(TIMESTAMP)
            except pa.ArrowInvalid:
                continue
    return None
