"""Further tables joined to the rows: by key, or by what was known before each row's time. Part of the stage `collect`.

The rows stay as many as they are, in their order; where nothing fits, the columns taken are missing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec.data import JoinSpec
from driftloop.stages.rawcolumn import is_text, read_dates
from driftloop.stages.rowcodes import Codes, encode_rows

_MICROSECONDS = 1_000_000
_NEVER = np.iinfo(np.int64).min
_SHOWN = 3


class JoinError(InvalidInputError):
    """A further table can't be joined."""

    def __init__(self, uri: str, problem: str, remedy: str) -> None:
        super().__init__(f"The table '{uri}' of 'data.joins' {problem}. {remedy}")


def join(rows: pa.Table, further: pa.Table, spec: JoinSpec, time_column: str | None) -> pa.Table:
    """Return the rows with the columns of one more table.

    With a time column, each row gets the newest values that became known before its own time, and never later ones;
    values of the same moment count as later, because nobody can tell which came first.

    Args:
        rows: the table so far.
        further: the table to join.
        spec: how.
        time_column: of the rows.

    Raises:
        JoinError: a column is missing, of another type, or there already; keys are not unique; times are no times.
    """
    taken = _columns_to_take(rows, further, spec)
    left, right = _keys(rows, further, spec)
    if spec.time_column is None:
        places = _match(left, right, further, spec)
    else:
        ours = _times(rows, time_column or "", "the rows", spec)
        theirs = _times(further, spec.time_column, "the further table", spec)
        places = _match_before((left, right, ours, theirs), further, spec)
    indices = pa.array(places, mask=places < 0)
    for name in taken:
        rows = rows.append_column(spec.prefix + name, further.column(name).combine_chunks().take(indices))
    return rows


def _columns_to_take(rows: pa.Table, further: pa.Table, spec: JoinSpec) -> list[str]:
    joined_by = [*spec.by, *([spec.time_column] if spec.time_column else [])]
    for table, names, who in ((further, [*joined_by, *spec.columns], ""), (rows, spec.by, ", and so must the rows")):
        for name in names:
            if name not in table.column_names:
                remedy = f"{'There' if table is further else 'In the rows'} are: {', '.join(table.column_names)}."
                raise JoinError(spec.uri, f"must have the column '{name}'{who}", f"{remedy} Correct the name.")
    taken = list(spec.columns) or [name for name in further.column_names if name not in joined_by]
    for name in taken:
        if spec.prefix + name in rows.column_names:
            remedy = "Set a 'prefix', or list only the 'columns' to take."
            raise JoinError(
                spec.uri, f"must bring columns of other names. There is '{spec.prefix + name}' already", remedy
            )
    if not taken:
        raise JoinError(spec.uri, "must have a column to take beside those it is joined by", "Correct 'by'.")
    return taken


def _keys(rows: pa.Table, further: pa.Table, spec: JoinSpec) -> tuple[Codes, Codes]:
    """Return numbers for the combinations of keys, the same for equal ones in both tables; -1 where one is missing."""
    if not spec.by:
        return np.zeros(rows.num_rows, dtype=np.int64), np.zeros(further.num_rows, dtype=np.int64)
    both = []
    for name in spec.by:
        ours, theirs = (_as_key(table.column(name)) for table in (rows, further))
        if not ours.type.equals(theirs.type):
            empty = next(
                (key.type for key, other in ((theirs, ours), (ours, theirs)) if pa.types.is_null(other.type)), None
            )
            if empty is None:
                got = f"Got {ours.type} in the rows and {theirs.type} there"
                raise JoinError(
                    spec.uri, f"must have '{name}' in the same type as the rows. {got}", "Convert one of them."
                )
            ours, theirs = ours.cast(empty), theirs.cast(empty)
        both.append(pa.chunked_array([*ours.chunks, *theirs.chunks], ours.type))
    codes = encode_rows(both)
    return codes[: rows.num_rows], codes[rows.num_rows :]


def _as_key(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers as int64, texts as strings, times as UTC: what is equal shall be of one type."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_integer(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_floating(kind):
        finite = pc.if_else(pc.is_finite(column), column, None)
        try:
            column = finite.cast(pa.int64())
        except pa.ArrowInvalid:
            column = finite.cast(pa.float64())
    elif is_text(kind):
        column = column.cast(pa.string())
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = read_dates(column)
    return column


def _times(table: pa.Table, name: str, owner: str, spec: JoinSpec) -> npt.NDArray[np.int64]:
    """Return microseconds since the epoch; `_NEVER` where there is no time."""
    if name not in table.column_names:
        raise JoinError(spec.uri, f"is joined by time: {owner} must have '{name}'", "Correct 'data.timeColumn'.")
    column = table.column(name)
    times = column if pa.types.is_null(column.type) else read_dates(column)
    if times is None:
        remedy = "Convert the column to ISO 8601, or name another one."
        raise JoinError(spec.uri, f"is joined by time: '{name}' of {owner} must hold times. Got {column.type}", remedy)
    microseconds: npt.NDArray[np.int64] = times.cast(pa.int64()).fill_null(_NEVER).to_numpy()
    return microseconds


def _match(left: Codes, right: Codes, further: pa.Table, spec: JoinSpec) -> Codes:
    """Return for each row the place of its key in the further table; -1 where it has none."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    _refuse_twins(ordered[1:] == ordered[:-1], ordered, order, further, spec)
    return _look_up(ordered, order, left, np.searchsorted(ordered, left))


def _look_up(ordered: Codes, order: Codes, left: Codes, places: Codes) -> Codes:
    if not len(ordered):
        return np.full(len(left), -1, dtype=np.int64)
    inside = np.clip(places, 0, len(ordered) - 1)
    found = (places >= 0) & (places < len(ordered)) & (ordered[inside] == left) & (left >= 0)
    return np.where(found, order[inside], -1)


def _match_before(keys_and_times: tuple[Codes, Codes, Codes, Codes], further: pa.Table, spec: JoinSpec) -> Codes:
    """Return for each row the place of the newest values known before its time; -1 where there are none."""
    left, right, ours, theirs = keys_and_times
    order = np.lexsort((theirs, right))
    keys, times = right[order], theirs[order]
    _refuse_twins(
        (keys[1:] == keys[:-1]) & (times[1:] == times[:-1]) & (times[1:] != _NEVER), keys, order, further, spec
    )
    # Sort both together, rows before values of the same moment: the last value before a row's place is its own.
    is_row = np.concatenate([np.zeros(len(keys), dtype=np.int8), np.ones(len(left), dtype=np.int8)])
    together = np.lexsort((-is_row, np.concatenate([times, ours]), np.concatenate([keys, left])))
    newest = np.maximum.accumulate(np.where(together < len(keys), together, -1))
    places = np.full(len(left), -1, dtype=np.int64)
    rows = together >= len(keys)
    places[together[rows] - len(keys)] = newest[rows]
    found = _look_up(keys, order, left, places)
    known = np.where(found >= 0, theirs[np.maximum(found, 0)], _NEVER) if len(theirs) else np.full(len(left), _NEVER)
    is_known = (known != _NEVER) & (ours != _NEVER)
    if spec.within is not None:
        is_known &= known >= ours - int(spec.within.total_seconds() * _MICROSECONDS)
    return np.where(is_known, found, -1)


def _refuse_twins(
    equals_next: npt.NDArray[np.bool_], keys: Codes, order: Codes, further: pa.Table, spec: JoinSpec
) -> None:
    twins = np.flatnonzero(equals_next & (keys[1:] >= 0))
    if not len(twins):
        return
    names = [*spec.by, *([spec.time_column] if spec.time_column else [])]
    shown = further.select(names).take(pa.array(order[twins[:_SHOWN]])).to_pylist()
    examples = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in shown)
    raise JoinError(
        spec.uri,
        f"must have each combination of {_listed(names)} only once. {len(twins):,} are there again, such as {examples}",
        "Remove the duplicates, add a column to 'by', or set 'timeColumn' if they are of different times.",
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
