"""Inputs made of the earlier rows' values of one column: lags and rolling means. Part of the stage `collect`.

What a row gets depends on earlier rows alone, never on rows of its own moment or later ones: so they are plain columns
that may be made before the rows are parted.
"""

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec.data import HistorySpec
from driftloop.stages.rawcolumn import read_dates
from driftloop.stages.rowcodes import encode_rows

_MICROSECONDS = 1_000_000
_Numbers = npt.NDArray[np.float64]


class HistoryError(InvalidInputError):
    """A history can't be made."""

    def __init__(self, column: str, constraint: str, remedy: str) -> None:
        super().__init__(f"The 'data.history' of '{column}' {constraint}. {remedy}")


def lag_name(column: str, lag: int) -> str:
    """Return the name of the input that holds the value so many rows back."""
    return f"{column}_lag_{lag}"


def mean_name(column: str, window: int) -> str:
    """Return the name of the input that holds the mean over so many rows."""
    return f"{column}_mean_{window}"


def add_history(rows: pa.Table, spec: HistorySpec, time_column: str) -> pa.Table:
    """Return the rows with lags and rolling means of one column, float64, missing where there are no earlier rows.

    Rows without a time or without a value in one of the columns `by` have no history and are in nobody's.

    Raises:
        HistoryError: a column is missing, holds no numbers or times, or a name is taken.
    """
    values, times = _values(rows, spec), _times(rows, spec, time_column)
    groups = encode_rows([rows.column(name) for name in spec.by]) if spec.by else np.zeros(len(times), dtype=np.int64)
    has_history = (groups >= 0) & ~np.isnat(times)
    places = np.flatnonzero(has_history)
    order = places[np.lexsort((times[places], groups[places]))]
    made = {lag_name(spec.column, lag): np.full(len(times), np.nan) for lag in spec.lags}
    made |= {mean_name(spec.column, window): np.full(len(times), np.nan) for window in spec.windows}
    for name in made:
        if name in rows.column_names:
            raise HistoryError(
                spec.column, f"must make columns of other names. There is '{name}' already", "Rename it."
            )
    bounds = np.flatnonzero(np.diff(groups[order])) + 1
    delay = np.timedelta64(int((spec.known_after or timedelta(0)).total_seconds() * _MICROSECONDS), "us")
    for members in np.split(order, bounds) if len(order) else ():
        for name, column in _history(values[members], times[members], spec, delay).items():
            made[name][members] = column
    for name, column in made.items():
        rows = rows.append_column(name, pa.array(column, mask=np.isnan(column)))
    return rows


def _history(
    values: _Numbers, times: npt.NDArray[np.datetime64], spec: HistorySpec, delay: np.timedelta64
) -> dict[str, _Numbers]:
    """Return the columns of one group, whose rows come in order of time."""
    # How many rows were known at each row's time: those of earlier moments, and at least `delay` old.
    known = np.minimum(np.searchsorted(times, times), np.searchsorted(times, times - delay, side="right"))
    found = {}
    for lag in spec.lags:
        before = known - lag
        found[lag_name(spec.column, lag)] = np.where(before >= 0, values[np.maximum(before, 0)], np.nan)
    if spec.windows:
        is_known = np.isfinite(values)
        level = values[is_known][0] if is_known.any() else 0.0  # keeps sums of large numbers exact
        sums = np.concatenate([[0.0], np.cumsum(np.where(is_known, values - level, 0.0))])
        counts = np.concatenate([[0], np.cumsum(is_known)])
    for window in spec.windows:
        start = np.maximum(known - window, 0)
        count = counts[known] - counts[start]
        mean = level + (sums[known] - sums[start]) / np.maximum(count, 1)
        found[mean_name(spec.column, window)] = np.where(count > 0, mean, np.nan)
    return found


def _values(rows: pa.Table, spec: HistorySpec) -> _Numbers:
    for name in (spec.column, *spec.by):
        if name not in rows.column_names:
            remedy = f"The columns are: {', '.join(rows.column_names)}. Correct the name."
            raise HistoryError(spec.column, f"must be made of columns of the data. There is no '{name}'", remedy)
    column = rows.column(spec.column)
    types = pa.types
    checks = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    if not any(check(column.type) for check in checks):
        remedy = "Name another column, or turn it into numbers."
        raise HistoryError(spec.column, f"must look back at numbers. Got {column.type}", remedy)
    if types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: _Numbers = column.cast(pa.float64(), safe=False).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _times(rows: pa.Table, spec: HistorySpec, time_column: str) -> npt.NDArray[np.datetime64]:
    if time_column not in rows.column_names:
        raise HistoryError(spec.column, f"needs the time column '{time_column}'. There is none", "Correct its name.")
    column = rows.column(time_column)
    times = read_dates(column)
    if times is None:
        remedy = "Convert the column to ISO 8601, or name another one."
        raise HistoryError(spec.column, f"needs times in '{time_column}'. Got {column.type}", remedy)
    plain: npt.NDArray[np.datetime64] = pc.cast(times, pa.timestamp("us")).to_numpy()
    return plain
