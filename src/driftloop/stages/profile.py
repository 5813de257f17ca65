"""A look at a table as it came in, for the page of the stage `validate`: one profile per column, and what is odd.

It decides nothing: what is left out, `validate` says. Loads neither pandas nor scikit-learn.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.reports.dataquality import ColumnProfile, Spread, TableProfile
from driftloop.reports.markup import figure, percent
from driftloop.spec import DataSpec, FeatureType
from driftloop.spec.problem import NUMBERS
from driftloop.stages.personalpolicy import POLICY, as_pseudonyms
from driftloop.stages.rawcolumn import is_text, plain_values, read_dates
from driftloop.stages.validate import ValidatedData

_BINS, _COVERAGE_BINS = 24, 48
_MOST_CATEGORIES = 12
_NAMED_CATEGORIES = 3
_CATEGORY_LETTERS = 24
_MOST_LOOKED_AT = 20_000
"""Rows, evenly chosen, in which a column that gives the target away is looked for."""
_NEARLY_CONSTANT = 0.99
_GIVEN_AWAY = 0.98
"""Area under the ROC curve, share of rows or rank correlation from which one column tells the target alone."""
_MUCH_MISSING = 0.5
_FEWEST_ROWS_TO_SUSPECT = 50
_TWO = 2
_FIRST_VALUES, _MOSTLY_DIFFERENT = 10_000, 0.9
"""Numbers of which so many are different need no counting."""


def profile(table: pa.Table, validated: ValidatedData, data: DataSpec) -> TableProfile:
    """Describe a table and what `validate` made of it.

    Args:
        table: the rows as they were collected.
        validated: outcome of `validate` on them.
        data: names target, time and key column.
    """
    report, schema = validated.report, validated.schema
    dates = {feature.name for feature in schema.features if feature.type is FeatureType.DATE} | {data.time_column}
    reasons = {dropped.name: dropped.reason for dropped in report.dropped_columns}
    roles = dict.fromkeys(schema.feature_names, "input")
    roles |= {name: "sensitive" for name in data.sensitive_columns if name not in roles}
    by_role = (
        (data.target_column, "target"),
        (data.action_column, "action"),
        (data.propensity_column, "propensity"),
        (data.time_column, "time"),
        (data.key_column, "key"),
    )
    roles |= {name: role for name, role in by_role if name}
    withheld = {feature.name for feature in schema.features if feature.is_hashed}
    withheld |= {name for name, reason in reasons.items() if reason.endswith(POLICY)}
    known_target = _plain(table, data.target_column, dates) if data.target_column else None
    twins: dict[bytes, str] = {}
    profiles = []
    for name in table.column_names:  # one after another: all of them at once would be the table a second time
        column = _plain(table, name, dates)
        column = as_pseudonyms(column) if name in withheld else column
        role = roles.get(name, "left out")
        remarks = [f"is left out: it {reasons[name]}"] if name in reasons else []
        if role == "input":
            remarks += _suspicions(column, known_target)
            twin = twins.setdefault(_partition(name, column), name)
            remarks += [f"parts the rows exactly as '{twin}' does: one of them is enough"] if twin != name else []
        remarks += report.checks.about(name) if report.checks else []
        profiles.append(_describe(name, column, role, tuple(remarks)))
    target = validated.table.column(data.target_column).combine_chunks() if data.target_column else None
    is_number = schema.task in NUMBERS
    times = validated.table.column(data.time_column).combine_chunks() if data.time_column else None
    return TableProfile(
        source=data.uri,
        rows=table.num_rows,
        rows_used=report.rows,
        columns=tuple(profiles),
        left_out=(
            (f"have no target ('{data.target_column}') and are left out", report.rows_without_target),
            (f"have no time ('{data.time_column}') and are left out", report.rows_without_time),
        ),
        notes=report.notes,
        checks=report.checks,
        target=data.target_column,
        target_counts=() if target is None or is_number else tuple(_counts(target.drop_null())),
        target_spread=_spread(_numbers(target), _COVERAGE_BINS) if target is not None and is_number else None,
        period=None if times is None else _period(times),
        time_spread=None if times is None else _spread(_numbers(times), _COVERAGE_BINS),
    )


def _plain(table: pa.Table, name: str, dates: Collection[str | None]) -> pa.Array:
    column = plain_values(table.column(name), name, []).combine_chunks()
    times = read_dates(column) if name in dates else None
    return column if times is None else times


def _describe(name: str, column: pa.Array, role: str, remarks: tuple[str, ...]) -> ColumnProfile:
    kind, known = _kind(column.type), column.drop_null()
    distinct = pc.count_distinct(known).as_py() if len(known) and kind in _KINDS else 0
    values = "" if len(known) else "no values"
    heights: tuple[float, ...] = ()
    if len(known) and kind in ("number", "date"):
        numbers = _numbers(known)
        low, middle, high = np.quantile(numbers, (0, 0.5, 1))
        as_text = _date if kind == "date" else figure
        values = f"{as_text(low)} to {as_text(high)}, half below {as_text(middle)}"
        heights = tuple(np.histogram(numbers, _BINS)[0].tolist())
    elif len(known) and kind in _KINDS:
        counts = _counts(known)
        named = [f"{_short(value)} {percent(count / len(known))}" for value, count in counts[:_NAMED_CATEGORIES]]
        values = ", ".join(named) + (f" and {distinct - len(named):,} more" if distinct > len(named) else "")
        heights = tuple(float(count) for _, count in counts[:_MOST_CATEGORIES])
    missing = column.null_count / max(len(column), 1)
    return ColumnProfile(name, kind, role, missing, distinct, values, heights, remarks)


def _suspicions(column: pa.Array, target: pa.Array | None) -> list[str]:
    """Return what is odd about an input, each as the rest of a sentence."""
    found = []
    known = column.drop_null()
    missing = column.null_count / max(len(column), 1)
    if missing > _MUCH_MISSING:
        found.append(f"has no value in {percent(missing)} of the rows")
    if len(known) < _FEWEST_ROWS_TO_SUSPECT:
        return found
    head = known[:_FIRST_VALUES]
    if pc.count_distinct(head).as_py() <= _NEARLY_CONSTANT * len(head):
        most_frequent, count = _counts(known)[0]
        if count / len(known) >= _NEARLY_CONSTANT:
            found.append(f"is '{_short(most_frequent)}' in {percent(count / len(known))} of the rows that have a value")
    if target is None:
        return found
    both = pc.and_(pc.is_valid(column), pc.is_valid(target)).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(both)
    rows = rows[:: max(len(rows) // _MOST_LOOKED_AT, 1)]
    if len(rows) >= _FEWEST_ROWS_TO_SUSPECT and _gives_away(column.take(pa.array(rows)), target.take(pa.array(rows))):
        found.append("tells the target almost alone: is it known before the answer is asked for?")
    return found


def _gives_away(column: pa.Array, target: pa.Array) -> bool:
    """Whether one column alone tells the target: by its order for numbers, by its values for categories."""
    is_measured = _kind(column.type) in ("number", "date")
    classes = _codes(target)
    if pc.count_distinct(target).as_py() == _TWO and is_measured:
        ranks = _ranks(_numbers(column))
        ones = classes == 1
        pairs = ones.sum() * (~ones).sum()
        area = (ranks[ones].sum() - ones.sum() * (ones.sum() - 1) / 2) / pairs if pairs else 0.5
        return bool(max(area, 1 - area) >= _GIVEN_AWAY)
    if is_measured and _kind(target.type) == "number":
        pair = np.corrcoef(_ranks(_numbers(column)), _ranks(_numbers(target)))
        return bool(abs(pair[0, 1]) >= _GIVEN_AWAY)
    codes = _codes(column)
    categories, base = codes.max() + 1, np.bincount(classes).max() / len(classes)
    if is_measured or _kind(target.type) == "date" or categories > len(codes) / 10 or base >= _GIVEN_AWAY:
        return False
    table = np.zeros((categories, classes.max() + 1)) if categories * (classes.max() + 1) < 1e6 else None  # noqa: PLR2004
    if table is None:
        return False
    np.add.at(table, (codes, classes), 1)
    return bool(table.max(axis=1).sum() / len(codes) >= _GIVEN_AWAY)


def _partition(name: str, column: pa.Array) -> bytes:
    """Return a digest that two columns share if they part the rows alike.

    Columns in which nearly every value is different part any rows alike: they share it only if equal.
    """
    if _kind(column.type) not in _KINDS or len(column) < _FEWEST_ROWS_TO_SUSPECT:
        return name.encode()
    is_measured = _kind(column.type) in ("number", "date")
    few = column[:_FIRST_VALUES]
    content = None
    if not (is_measured and pc.count_distinct(few).as_py() > _MOSTLY_DIFFERENT * len(few)):
        encoded = column.dictionary_encode()
        if len(encoded.dictionary) <= len(column) / _TWO:
            content = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if content is None:
        if not is_measured:
            return name.encode()
        content = _numbers(column)
    return blake2b(content.tobytes(), digest_size=16).digest()


_KINDS = ("number", "text", "boolean", "date")


def _kind(arrow_type: pa.DataType) -> str:
    types = pa.types
    if types.is_integer(arrow_type) or types.is_floating(arrow_type):
        return "number"
    if types.is_boolean(arrow_type):
        return "boolean"
    if types.is_timestamp(arrow_type):
        return "date"
    return "text" if is_text(arrow_type) else str(arrow_type)


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return float64, NaN where missing; times as seconds since the epoch."""
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).cast(pa.float64()), 1e6)
    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _counts(known: pa.Array) -> list[tuple[str, int]]:
    counts = pc.value_counts(known)
    order = pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])[:100]
    top = counts.take(order)
    return [(str(entry["values"]), int(entry["counts"])) for entry in top.to_pylist()]


def _codes(column: pa.Array) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = column.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ranks from 0, the same for equal values."""
    _, level, size = np.unique(values, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(size) - (size + 1) / 2)[level]
    return ranks


def _spread(values: npt.NDArray[np.float64], bins: int) -> Spread:
    counts, edges = np.histogram(values, bins)
    return Spread(tuple(edges.tolist()), tuple(counts.astype(float).tolist()))


def _period(times: pa.Array) -> tuple[datetime, datetime]:
    seconds = _numbers(times)
    return _moment(float(seconds.min())), _moment(float(seconds.max()))


def _moment(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _date(seconds: float) -> str:
    return f"{_moment(seconds):%Y-%m-%d}"


def _short(value: str) -> str:
    return value if len(value) <= _CATEGORY_LETTERS else value[: _CATEGORY_LETTERS - 1] + "…"
