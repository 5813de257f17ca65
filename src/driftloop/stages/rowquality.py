"""Rows and values that look wrong: doubles, contradictions, values far outside, numbers that stand for "missing".

Part of the checks of `validate`; constant and empty columns it leaves out itself, and the page tells missing values.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.reports.markup import figure, percent
from driftloop.spec import DataSchema, FeatureType
from driftloop.spec.datachecks import CheckKind, DataFinding
from driftloop.stages.codedrows import Numbers, as_numbers
from driftloop.stages.rowcodes import encode_values

_MOST_ROWS = 200_000
_FAR = 3.0
"""Interquartile ranges beyond the quartiles: "far out" by Tukey, "Exploratory Data Analysis", 1977."""
_FEW_OUTLIERS = 0.01
"""Columns with more values far outside are merely skewed."""
_SENTINELS = (-1.0, 999.0, 9999.0, 99999.0, 999999.0)
_SENTINEL_SHARE = 0.005
_CONTRADICTIONS = 0.01
_FEWEST_ROWS = 50
_MIX = np.uint64(0x9E3779B97F4A7C15)


def find_flaws(table: pa.Table, schema: DataSchema) -> Iterator[DataFinding]:
    """Yield what looks wrong in validated rows."""
    if table.num_rows < _FEWEST_ROWS:
        return
    yield from _doubles(table.slice(0, _MOST_ROWS), schema)
    step = max(table.num_rows // _MOST_ROWS, 1)
    for feature in schema.features:
        if feature.type is FeatureType.NUMERIC:
            values = as_numbers(table.column(feature.name).combine_chunks())[::step]
            yield from _odd_numbers(feature.name, values[np.isfinite(values)])


def _doubles(table: pa.Table, schema: DataSchema) -> Iterator[DataFinding]:
    inputs = _hash(table, schema.feature_names)
    others = [name for name in table.column_names if name not in schema.feature_names]
    whole = _hash(table, others, inputs)
    doubles = len(whole) - len(np.unique(whole))
    if doubles:
        text = f"rows that repeat another one in every column: {doubles:,} ({percent(doubles / len(whole))})"
        yield DataFinding(kind=CheckKind.QUALITY, text=text)
    if not (schema.target.name and schema.target.classes):
        return
    labels = encode_values(table.column(schema.target.name))
    _, group = np.unique(inputs, return_inverse=True)
    pairs = np.unique(group * (labels.max() + 2) + labels + 1, return_counts=True)
    best = np.zeros(group.max() + 1, dtype=np.int64)
    np.maximum.at(best, pairs[0] // (labels.max() + 2), pairs[1])
    share = 1 - best.sum() / len(labels)
    if share >= _CONTRADICTIONS:
        text = (
            f"rows that are equal in every input have different targets: no model can get {percent(share)} of the "
            "rows right"
        )
        yield DataFinding(kind=CheckKind.QUALITY, text=text)


def _hash(table: pa.Table, names: list[str], onto: npt.NDArray[np.uint64] | None = None) -> npt.NDArray[np.uint64]:
    """Return one number a row; rows with equal values in these columns have equal ones, others by chance alone."""
    mixed = np.zeros(table.num_rows, dtype=np.uint64) if onto is None else onto.copy()
    with np.errstate(over="ignore"):
        for name in names:
            codes = (encode_values(table.column(name)) + 2).astype(np.uint64)
            mixed = (mixed ^ (codes * _MIX)) * np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(29)
    return mixed


def _odd_numbers(name: str, values: Numbers) -> Iterator[DataFinding]:
    if len(values) < _FEWEST_ROWS:
        return
    low, high = np.quantile(values, (0.25, 0.75))
    reach = _FAR * (high - low)
    outside = (values < low - reach) | (values > high + reach)
    for sentinel in _SENTINELS:
        share = float((values == sentinel).mean())
        if share >= _SENTINEL_SHARE and outside[values == sentinel].any() and sentinel in (values.min(), values.max()):
            text = f"is {figure(sentinel)} in {percent(share)} of the rows, far from all others: does it mean missing?"
            yield DataFinding(kind=CheckKind.QUALITY, column=name, text=text)
            return
    for end in (values.min(), values.max()):
        share = float((values == end).mean())
        if -end in _SENTINELS and share >= _SENTINEL_SHARE and outside[values == end].any():
            text = f"is {figure(end)} in {percent(share)} of the rows, far from all others: does it mean missing?"
            yield DataFinding(kind=CheckKind.QUALITY, column=name, text=text)
            return
    share = float(outside.mean())
    if reach > 0 and 0 < share <= _FEW_OUTLIERS:
        text = (
            f"has values far outside: {outside.sum():,} ({percent(share)}) beyond {figure(low - reach)} to "
            f"{figure(high + reach)}: preparation.outliers says what to do with them"
        )
        yield DataFinding(kind=CheckKind.QUALITY, column=name, text=text, is_warning=False)
