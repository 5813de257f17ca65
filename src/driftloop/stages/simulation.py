"""Rows made up for a declared schema, to try a loop before there are data. Part of the stage `collect`.

The target follows from a score: the effects of the columns, and noise. Equal declarations make equal rows.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.errors import InvalidInputError
from driftloop.spec.data import DataSpec, SimulatedColumn, SimulationSpec
from driftloop.spec.problem import Task

_ANOMALOUS_SHARE = 0.05
_DAY = 86_400_000_000
_LONGEST_TEXT = 8
_Random = np.random.Generator
_Scores = npt.NDArray[np.float64]


class SimulationError(InvalidInputError):
    """The declaration lacks what the task needs."""

    def __init__(self, constraint: str, remedy: str) -> None:
        super().__init__(f"The 'data.simulation' {constraint}. {remedy}")


def simulate(data: DataSpec, spec: SimulationSpec, task: Task) -> pa.Table:
    """Make the rows.

    Classification: the target is true where the score is above 0. AnomalyDetection: in the 5 % of rows with the
    greatest score. Otherwise it is the score. A Decision's action is a declared column; where the propensity is none,
    all actions were equally likely. Each row is made of the seed and its column's place alone.

    Raises:
        SimulationError: the target is declared, too, or a Decision's action is not.
    """
    declared = {column.name: column for column in spec.columns}
    if data.target_column in declared:
        remedy = f"Leave '{data.target_column}' out: it follows from the columns with an effect."
        raise SimulationError("must declare the columns beside the target", remedy)
    columns: dict[str, pa.Array] = {}
    score = np.zeros(spec.rows)
    for place, column in enumerate(spec.columns):
        random = np.random.default_rng([spec.random_state, place])
        values, effect = _MAKERS[column.kind](column, spec.rows, random)
        score += column.effect * effect
        missing = random.random(spec.rows) < column.missing
        columns[column.name] = pa.array(values.to_numpy(zero_copy_only=False), values.type, mask=missing)
    score += spec.noise * np.random.default_rng([spec.random_state, len(spec.columns)]).normal(size=spec.rows)
    if task is Task.DECISION:
        _add_propensity(columns, data, declared)
    if data.target_column:
        columns[data.target_column] = pa.array(_target(score, task))
    return pa.table(columns)


def _target(score: _Scores, task: Task) -> npt.NDArray[np.bool_] | _Scores:
    if task is Task.CLASSIFICATION:
        return score > 0
    if task is Task.ANOMALY_DETECTION:
        return score > np.quantile(score, 1 - _ANOMALOUS_SHARE)
    return score


def _add_propensity(columns: dict[str, pa.Array], data: DataSpec, declared: Mapping[str, SimulatedColumn]) -> None:
    action = declared.get(data.action_column or "")
    if action is None or action.kind != "Category":
        raise SimulationError(
            f"must declare the action '{data.action_column}' as a Category",
            "Add it to 'columns' with the actions as 'categories'.",
        )
    if data.propensity_column and data.propensity_column not in columns:
        rows = len(columns[action.name])
        columns[data.propensity_column] = pa.array(np.full(rows, 1 / len(action.categories)))


def _normal(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    standard = random.normal(size=rows)
    return pa.array(column.minimum + column.maximum * standard), standard


def _uniform(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    share = random.random(rows)
    return pa.array(column.minimum + (column.maximum - column.minimum) * share), (share - 0.5) * np.sqrt(12)


def _integer(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    low, high = sorted((int(column.minimum), int(column.maximum)))
    numbers = random.integers(low, high + 1, rows)
    deviation = np.sqrt(((high - low + 1) ** 2 - 1) / 12) or 1.0
    return pa.array(numbers), (numbers - (low + high) / 2) / deviation


def _category(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    steps = random.integers(0, len(column.categories), rows)
    return pa.array(np.array(column.categories, dtype=object)[steps]), steps - (len(column.categories) - 1) / 2


def _boolean(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    values = random.random(rows) < column.maximum
    return pa.array(values), values - column.maximum


def _time(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:  # noqa: ARG001 - one shape for all
    share = np.arange(rows) / rows
    times = ((column.minimum + share * column.maximum) * _DAY).astype(np.int64)
    return pa.array(times).cast(pa.timestamp("us", "UTC")), (share - 0.5) * np.sqrt(12)


def _text(column: SimulatedColumn, rows: int, random: _Random) -> tuple[pa.Array, _Scores]:
    words = np.array(column.categories, dtype=object)
    lengths = random.integers(1, _LONGEST_TEXT + 1, rows)
    drawn = random.integers(0, len(words), lengths.sum())
    starts = np.cumsum(lengths) - lengths
    texts = [" ".join(part) for part in np.split(words[drawn], starts[1:])]
    return pa.array(texts), np.add.reduceat(drawn, starts) / lengths - (len(words) - 1) / 2


_MAKERS: Mapping[str, Callable[[SimulatedColumn, int, _Random], tuple[pa.Array, _Scores]]] = {
    "Normal": _normal,
    "Uniform": _uniform,
    "Integer": _integer,
    "Category": _category,
    "Boolean": _boolean,
    "Time": _time,
    "Text": _text,
}
