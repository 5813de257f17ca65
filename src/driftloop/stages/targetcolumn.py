"""The target column of raw rows, read as the task needs it, or refused in words. Part of the stage `validate`."""

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec import Task
from driftloop.stages.rawcolumn import is_text

MOST_CLASSES = 100
FEWEST_ROWS_PER_CLASS = 10
ANOMALY_CLASSES = (False, True)
_Classes: TypeAlias = tuple[str | bool | int, ...]


class TargetError(InvalidInputError):
    """The target column does not suit the task."""

    def __init__(self, name: str, task: Task, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The target '{name}' of a {task} {constraint}. Got {got}. {remedy}")


def read_target_column(column: pa.Array | None, name: str, task: Task) -> tuple[pa.Array | None, _Classes]:
    """Return the values in one type, and the classes in sorted order; none for numbers and for clusters.

    A task that can do without has no values where there is no such column.

    Raises:
        TargetError: the values do not suit the task.
    """
    if column is None:
        return None, ANOMALY_CLASSES if task is Task.ANOMALY_DETECTION else ()
    return _READERS[task](column, name)


def _read_classes(column: pa.Array, name: str) -> tuple[pa.Array, _Classes]:
    task = Task.CLASSIFICATION
    if pa.types.is_floating(column.type):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            remedy = "Use the task Regression, or turn the numbers into classes."
            raise TargetError(name, task, "must hold classes", "numbers with fractions", remedy) from error
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    elif not (pa.types.is_boolean(column.type) or is_text(column.type)):
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


def _read_numbers(column: pa.Array, name: str, task: Task = Task.REGRESSION) -> tuple[pa.Array, _Classes]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        other = "Use the task Classification, or convert" if task is Task.REGRESSION else "Convert"
        remedy = f"{other} the column."
        raise TargetError(name, task, "must hold numbers", str(column.type), remedy)
    column = column.cast(pa.float64(), safe=False)
    if pc.count_distinct(column).as_py() == 1:
        remedy = "There is nothing to learn; check the column."
        raise TargetError(name, task, "must vary", f"{column[0].as_py()} in every row", remedy)
    return column, ()


def _read_rewards(column: pa.Array, name: str) -> tuple[pa.Array, _Classes]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    return _read_numbers(column, name, Task.DECISION)


def _read_groups(column: pa.Array, name: str) -> tuple[pa.Array, _Classes]:
    """Known groups to compare clusters with; some or all rows may have none."""
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string()), ()
    if not (is_text(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        remedy = "Name a column of known groups, or leave 'data.targetColumn' out."
        raise TargetError(name, Task.CLUSTERING, "must hold texts, whole numbers or booleans", str(column.type), remedy)
    return column.cast(pa.string()), ()


def _read_anomalies(column: pa.Array, name: str) -> tuple[pa.Array, _Classes]:
    """True where a row is known to be anomalous, false where it is known not to be, missing where that is unknown."""
    known = {str(value).lower() for value in pc.unique(column.drop_null()).to_pylist()}
    if not known <= _TRUTHS.keys():
        got = ", ".join(map(repr, sorted(known - _TRUTHS.keys())[:3]))
        remedy = "Convert the column, or leave 'data.targetColumn' out."
        raise TargetError(name, Task.ANOMALY_DETECTION, "must be true or false, or missing", got, remedy)
    if not pa.types.is_boolean(column.type):
        texts = [None if value is None else _TRUTHS[str(value).lower()] for value in column.to_pylist()]
        column = pa.array(texts, pa.bool_())
    return column, ANOMALY_CLASSES


_TRUTHS = dict.fromkeys(("true", "1", "1.0"), True) | dict.fromkeys(("false", "0", "0.0"), False)
_READERS: dict[Task, Callable[[pa.Array, str], tuple[pa.Array, _Classes]]] = {
    Task.CLASSIFICATION: _read_classes,
    Task.REGRESSION: _read_numbers,
    Task.DECISION: _read_rewards,
    Task.CLUSTERING: _read_groups,
    Task.ANOMALY_DETECTION: _read_anomalies,
}
