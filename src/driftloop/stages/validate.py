"""Third stage: finds out what the columns are, drops what no model can learn from, and says so.

From here on a table has only the columns that are used, in one type per kind of column. Nothing is filled or fitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, DataSpec, Feature, FeatureType, Target, Task
from driftloop.stages.records import DroppedColumn, ValidationReport

MOST_CLASSES = 100
FEWEST_ROWS_PER_CLASS = 10
_IDENTIFIER_SHARE = 0.95
"""Texts of which so many are different name rows (or are free text) rather than group them."""
_IDENTIFIER_MIN_ROWS = 50
_TIMESTAMP = pa.timestamp("us", "UTC")


class TargetError(InvalidInputError):
    """The target column does not suit the task."""

    def __init__(self, name: str, task: Task, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The target '{name}' of a {task} {constraint}. Got {got}. {remedy}")


class TimeColumnError(InvalidInputError):
    """The time column holds no times."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"The 'data.timeColumn' '{name}' must hold dates or times (ISO 8601). Got {kind}. "
            "Convert the column, or name another one."
        )


class TooFewRowsError(InvalidInputError):
    """Not enough labelled rows to train on."""

    def __init__(self, rows: int, min_rows: int) -> None:
        super().__init__(
            f"The data must have at least {min_rows} rows with a target ('data.minRows'). Got {rows}. "
            "Collect more rows, or lower 'data.minRows'."
        )


class NoFeaturesError(InvalidInputError):
    """No column is left to learn from."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"The data must have at least one usable input column. Got none: {'; '.join(reasons)}.")


@dataclass(frozen=True)
class ValidatedData:
    """Rows that can be learned from, and what they are."""

    table: pa.Table
    """Features (numeric float64, boolean bool, categorical string, date timestamp), target, time and key."""
    schema: DataSchema
    report: ValidationReport


def validate(table: pa.Table, *, task: Task, data: DataSpec) -> ValidatedData:
    """Infer the schema and keep the rows and columns that a model can use.

    Raises:
        TargetError, TimeColumnError, TooFewRowsError, NoFeaturesError: see there.
    """
    notes: list[str] = []
    columns = {name: _plain(table.column(name), name, notes) for name in table.column_names}
    target = columns[data.target_column]
    keep = pc.is_valid(target)
    rows_without_target = len(target) - pc.sum(keep).as_py()
    rows_without_time = 0
    if data.time_column:
        times = _read_dates(columns[data.time_column])
        if times is None:
            raise TimeColumnError(data.time_column, str(columns[data.time_column].type))
        columns[data.time_column] = times
        has_time = pc.is_valid(times)
        rows_without_time = pc.sum(pc.and_(keep, pc.invert(has_time))).as_py() or 0
        keep = pc.and_(keep, has_time)
    columns = {name: column.filter(keep).combine_chunks() for name, column in columns.items()}
    rows = len(columns[data.target_column])
    if rows < data.min_rows:
        raise TooFewRowsError(rows, data.min_rows)

    target, classes = _TARGET_READERS[task](columns[data.target_column], data.target_column)
    features: dict[str, tuple[Feature, pa.Array]] = {}
    dropped = []
    for name, column in columns.items():
        if name in (data.target_column, data.time_column, data.key_column):
            continue
        reason = _reason_to_drop(name, column)
        if reason:
            dropped.append(DroppedColumn(name=name, reason=reason))
        else:
            features[name] = _feature(name, column)
    if not features:
        raise NoFeaturesError(
            [f"'{column.name}' {column.reason}" for column in dropped] or ["there is only the target"]
        )

    kept = {name: values for name, (_, values) in features.items()} | {data.target_column: target}
    if data.time_column:
        kept[data.time_column] = columns[data.time_column]
    if data.key_column:
        kept[data.key_column] = columns[data.key_column].cast(pa.string())
    return ValidatedData(
        table=pa.table(kept),
        schema=DataSchema(
            task=task,
            target=Target(name=data.target_column, classes=classes),
            features=tuple(feature for feature, _ in features.values()),
            key_column=data.key_column,
            time_column=data.time_column,
        ),
        report=ValidationReport(
            rows=rows,
            rows_without_target=rows_without_target,
            rows_without_time=rows_without_time,
            dropped_columns=tuple(dropped),
            notes=tuple(notes),
        ),
    )


def _plain(column: pa.ChunkedArray, name: str, notes: list[str]) -> pa.ChunkedArray:
    """Undo encodings, and read NaN, infinities and empty texts as missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_text(column.type):
        column = column.cast(pa.string())
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)
    if pa.types.is_decimal(column.type) or pa.types.is_float16(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        infinite = pc.sum(pc.is_inf(column)).as_py() or 0
        if infinite:
            notes.append(f"'{name}': {infinite} infinite numbers were read as missing")
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    return column


def _is_text(arrow_type: pa.DataType) -> bool:
    return any(check(arrow_type) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _read_dates(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return the column as times in UTC, or None when it holds something else."""
    if pa.types.is_timestamp(column.type):
        return column.cast(_TIMESTAMP, safe=False)
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(_TIMESTAMP)
    if _is_text(column.type) and column.null_count < len(column):
        for with_zone in (False, True):
            try:
                return column.cast(_TIMESTAMP if with_zone else pa.timestamp("us")).cast(_TIMESTAMP)
            except pa.ArrowInvalid:
                continue
    return None


def _reason_to_drop(name: str, column: pa.Array) -> str:
    """Return why no model can learn from a column, as the rest of a sentence; empty if one can."""
    if not name.strip():
        return "has no name"
    if not _is_readable(column.type):
        return f"has values that are no numbers, texts or dates ({column.type})"
    values = column.drop_null()
    distinct = pc.count_distinct(values).as_py() if len(values) else 0
    reason = ""
    if not len(values):
        reason = "has no values"
    elif distinct == 1 and not column.null_count:
        reason = f"has the same value in every row ({values[0].as_py()})"
    elif len(values) >= _IDENTIFIER_MIN_ROWS:
        if _is_text(column.type) and distinct > _IDENTIFIER_SHARE * len(values) and _read_dates(values) is None:
            reason = f"looks like an identifier or free text ({distinct} different values in {len(values)} rows)"
        elif pa.types.is_integer(column.type) and distinct == len(column) and _span(values) == distinct:
            reason = "numbers the rows one by one"
    return reason


def _is_readable(arrow_type: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_integer, types.is_floating, types.is_boolean, types.is_timestamp, types.is_date, types.is_null)
    return _is_text(arrow_type) or any(check(arrow_type) for check in checks)


def _span(values: pa.Array) -> int:
    limits = pc.min_max(values).as_py()
    return int(limits["max"] - limits["min"] + 1)


def _feature(name: str, column: pa.Array) -> tuple[Feature, pa.Array]:
    nullable = column.null_count > 0
    if pa.types.is_boolean(column.type):
        return Feature(name=name, type=FeatureType.BOOLEAN, nullable=nullable), column
    dates = _read_dates(column)
    if dates is not None:
        seconds = pc.divide(dates.cast(pa.int64()).cast(pa.float64()), 1e6)
        return _ranged(name, FeatureType.DATE, nullable, seconds), dates
    if _is_text(column.type):
        counts = pc.value_counts(column.drop_null()).to_pylist()
        counts.sort(key=lambda count: (-count["counts"], count["values"]))
        categories = tuple(count["values"] for count in counts)
        return Feature(name=name, type=FeatureType.CATEGORICAL, nullable=nullable, categories=categories), column
    numbers = column.cast(pa.float64(), safe=False)
    return _ranged(name, FeatureType.NUMERIC, nullable, numbers), numbers


def _ranged(name: str, kind: FeatureType, nullable: bool, numbers: pa.Array) -> Feature:
    limits = pc.min_max(numbers).as_py()
    return Feature(name=name, type=kind, nullable=nullable, minimum=limits["min"], maximum=limits["max"])


def _read_classes(column: pa.Array, name: str) -> tuple[pa.Array, tuple[str | bool | int, ...]]:
    task = Task.CLASSIFICATION
    if pa.types.is_floating(column.type):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            remedy = "Use the task Regression, or turn the numbers into classes."
            raise TargetError(name, task, "must hold classes", "numbers with fractions", remedy) from error
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    elif not (pa.types.is_boolean(column.type) or _is_text(column.type)):
        remedy = "Turn it into texts, whole numbers or booleans."
        raise TargetError(name, task, "must hold classes", str(column.type), remedy)
    counts = {count["values"]: count["counts"] for count in pc.value_counts(column).to_pylist()}
    if len(counts) < 2:  # noqa: PLR2004 - a classification needs two classes
        remedy = "Collect rows of the other classes."
        raise TargetError(name, task, "must have at least two classes", f"only {next(iter(counts))!r}", remedy)
    if len(counts) > MOST_CLASSES:
        remedy = "Use the task Regression for numbers, or group the classes."
        raise TargetError(name, task, f"must have at most {MOST_CLASSES} classes", f"{len(counts)}", remedy)
    rarest = min(counts, key=lambda label: (counts[label], label))
    if counts[rarest] < FEWEST_ROWS_PER_CLASS:
        remedy = "Collect more rows of it, or merge it with another class."
        constraint = f"must have at least {FEWEST_ROWS_PER_CLASS} rows of each class"
        raise TargetError(name, task, constraint, f"{counts[rarest]} of {rarest!r}", remedy)
    return column, tuple(sorted(counts))


def _read_numbers(column: pa.Array, name: str) -> tuple[pa.Array, tuple[str | bool | int, ...]]:
    task = Task.REGRESSION
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        remedy = "Use the task Classification, or convert the column."
        raise TargetError(name, task, "must hold numbers", str(column.type), remedy)
    column = column.cast(pa.float64(), safe=False)
    if pc.count_distinct(column).as_py() == 1:
        remedy = "There is nothing to learn; check the column."
        raise TargetError(name, task, "must vary", f"{column[0].as_py()} in every row", remedy)
    return column, ()


_TARGET_READERS: dict[Task, Callable[[pa.Array, str], tuple[pa.Array, tuple[str | bool | int, ...]]]] = {
    Task.CLASSIFICATION: _read_classes,
    Task.REGRESSION: _read_numbers,
}
