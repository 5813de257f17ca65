"""Third stage: finds out what the columns are, drops what no model can learn from, and says so.

From here on a table has only the columns that are used, in one type per kind of column. Nothing is filled or fitted.
With a champion, the inputs are the champion's: a challenger must not turn away who the champion answers.
Sensitive columns are no inputs; they stay in the rows for the stage `assess`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, DataSpec, Feature, FeatureType, Target, Task
from driftloop.spec.problem import NEEDS_TARGET
from driftloop.spec.words import encode_vocabulary
from driftloop.stages.collect import ColumnNotFoundError
from driftloop.stages.decisions import doubts, read_actions, read_propensities
from driftloop.stages.freetext import is_free_text
from driftloop.stages.personalpolicy import as_pseudonyms, protect
from driftloop.stages.rawcolumn import TIMESTAMP, is_text, plain_values, read_dates
from driftloop.stages.records import DroppedColumn, ValidationReport
from driftloop.stages.tablenotes import reading_notes
from driftloop.stages.targetcolumn import read_target_column

_IDENTIFIER_SHARE = 0.95
"""Texts of which so many are different name rows rather than group them, unless they are free text."""
_IDENTIFIER_MIN_ROWS = 50
_ARROW_TYPES = {
    FeatureType.NUMERIC: pa.float64(),
    FeatureType.CATEGORICAL: pa.string(),
    FeatureType.TEXT: pa.string(),
    FeatureType.BOOLEAN: pa.bool_(),
    FeatureType.DATE: TIMESTAMP,
}
_Features: TypeAlias = dict[str, tuple[Feature, pa.Array]]


class TimeColumnError(InvalidInputError):
    """The time column holds no times."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"The 'data.timeColumn' '{name}' must hold dates or times (ISO 8601). Got {kind}. "
            "Convert the column, or name another one."
        )


class TooFewRowsError(InvalidInputError):
    """Not enough rows to train on."""

    def __init__(self, rows: int, min_rows: int, task: Task) -> None:
        wanted = f"{min_rows} rows{' with a target' if task in NEEDS_TARGET else ''}"
        super().__init__(
            f"The data must have at least {wanted} ('data.minRows'). Got {rows}. "
            "Collect more rows, or lower 'data.minRows'."
        )


class NoFeaturesError(InvalidInputError):
    """No column is left to learn from."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"The data must have at least one usable input column. Got none: {'; '.join(reasons)}.")


class ChampionInputsMissingError(InvalidInputError):
    """The data lack inputs of the champion."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            "The data must have every input of the champion, because requests carry them. "
            f"Missing: {', '.join(map(repr, names))}. Add them; a model with other inputs is another ModelLoop."
        )


class ChampionTypeError(InvalidInputError):
    """An input of the champion holds something else than it did."""

    def __init__(self, name: str, kind: FeatureType, got: str) -> None:
        super().__init__(
            f"The column '{name}' must be {kind}, as it is for the champion. Got {got}. "
            "Convert the column; a model with other inputs is another ModelLoop."
        )


class InputTypeError(InvalidInputError):
    """An input of a model that exists already holds something else than the model takes."""

    def __init__(self, name: str, kind: FeatureType, got: str) -> None:
        super().__init__(
            f"The column '{name}' must be {kind}, as the model takes it. Got {got}. Convert the column, or "
            "leave it out of the model."
        )


@dataclass(frozen=True)
class ValidatedData:
    """Rows that can be learned from, and what they are."""

    table: pa.Table
    """Features (numeric float64, boolean bool, categorical string, date timestamp), target, time and key."""
    schema: DataSchema
    report: ValidationReport


def validate(
    table: pa.Table,
    *,
    task: Task,
    data: DataSpec,
    champion: DataSchema | None = None,
    inputs: Mapping[str, FeatureType | None] | None = None,
) -> ValidatedData:
    """Infer the schema and keep the rows and columns that a model can use.

    With a champion, its inputs are kept, all of them and no others, each of its type and nullable where it was, be a
    column constant or empty by now: what the champion answers, the challenger answers too once it is promoted. That
    holds for a sensitive column that the champion takes, too.

    A sensitive column must be there for a first model. Later rows may be logged requests, which don't carry it: its
    absence is noted, and `assess` says what can't be assessed.

    Args:
        table: the rows as they were collected.
        task: what to learn.
        data: names the target, time, key and sensitive columns.
        champion: schema of the model that serves now; None for a first model.
        inputs: columns of a model that exists already, in its order, with their types where known; they are kept and
            no others, be they constant or empty here. None: what a model can learn from.

    Raises:
        ColumnNotFoundError, TargetError, ActionError, PropensityError, TimeColumnError, TooFewRowsError,
        NoFeaturesError, ChampionInputsMissingError, ChampionTypeError, InputTypeError, PersonalDataError: see there.
    """
    notes = reading_notes(table)
    sensitive = _present_sensitive_columns(table, data, champion, notes)
    columns = {name: plain_values(table.column(name), name, notes) for name in table.column_names}
    keep = pc.is_valid(columns[data.target_column]) if task in NEEDS_TARGET else pa.array([True] * table.num_rows)
    rows_without_target = table.num_rows - pc.sum(keep).as_py()
    rows_without_time = 0
    if data.time_column:
        times = read_dates(columns[data.time_column])
        if times is None:
            raise TimeColumnError(data.time_column, str(columns[data.time_column].type))
        columns[data.time_column] = times
        has_time = pc.is_valid(times)
        rows_without_time = pc.sum(pc.and_(keep, pc.invert(has_time))).as_py() or 0
        keep = pc.and_(keep, has_time)
    columns = _kept_rows(columns, keep)
    rows = len(next(iter(columns.values())))
    if rows < data.min_rows:
        raise TooFewRowsError(rows, data.min_rows, task)

    target, classes = read_target_column(columns.get(data.target_column), data.target_column, task)
    decided, actions = _read_decisions(columns, data, champion, notes)
    roles = [name for name in (data.target_column, data.time_column, data.key_column, *decided) if name]
    wanted = champion.feature_names if champion else inputs or ()
    set_aside = [name for name in sensitive if name not in wanted]
    offered = {name: column for name, column in columns.items() if name not in (*roles, *set_aside)}
    withheld = protect(columns, offered, data, kept=frozenset(wanted), notes=notes)
    if champion:
        missing = [name for name in champion.feature_names if name not in columns]
        if missing:
            raise ChampionInputsMissingError(missing)
        features, dropped = _champion_features(offered, champion, notes)
    elif inputs:
        features, dropped = _given_features(columns, inputs)
    else:
        features, dropped = _usable_features(offered, withheld.hashed)
    dropped += withheld.dropped
    if not features:
        raise NoFeaturesError(
            [f"'{column.name}' {column.reason}" for column in dropped] or ["there is no other column"]
        )

    kept = {name: values for name, (_, values) in features.items()}
    kept |= ({} if target is None else {data.target_column: target}) | decided
    if data.time_column:
        kept[data.time_column] = columns[data.time_column]
    if data.key_column:
        kept[data.key_column] = columns[data.key_column].cast(pa.string())
    kept |= {name: withheld.hashed.get(name, columns[name]) for name in set_aside}
    return ValidatedData(
        table=pa.table(kept),
        schema=DataSchema(
            task=task,
            target=Target(name=data.target_column, classes=actions or classes),
            features=tuple(feature for feature, _ in features.values()),
            key_column=data.key_column,
            time_column=data.time_column,
            action_column=data.action_column,
            propensity_column=data.propensity_column,
        ),
        report=ValidationReport(
            rows=rows,
            rows_without_target=rows_without_target,
            rows_without_time=rows_without_time,
            dropped_columns=tuple(dropped),
            notes=tuple(notes),
        ),
    )


def _read_decisions(
    columns: Mapping[str, pa.Array], data: DataSpec, champion: DataSchema | None, notes: list[str]
) -> tuple[dict[str, pa.Array], tuple[str | bool | int, ...]]:
    """Return the columns of actions and propensities, and the actions; nothing for other tasks."""
    if not (data.action_column and data.propensity_column):
        return {}, ()
    known = champion.target.classes if champion else ()
    taken, actions = read_actions(columns[data.action_column], data.action_column, known)
    propensities = read_propensities(columns[data.propensity_column], data.propensity_column)
    notes += doubts(taken, propensities)
    return {data.action_column: taken, data.propensity_column: propensities}, actions


def _kept_rows(columns: Mapping[str, pa.ChunkedArray], keep: pa.ChunkedArray) -> dict[str, pa.Array]:
    if pc.all(keep).as_py():  # the usual case takes no second table's memory
        return {name: column.combine_chunks() for name, column in columns.items()}
    return {name: column.filter(keep).combine_chunks() for name, column in columns.items()}


def _present_sensitive_columns(
    table: pa.Table, data: DataSpec, champion: DataSchema | None, notes: list[str]
) -> list[str]:
    present = []
    for name in data.sensitive_columns:
        if name in table.column_names:
            present.append(name)
        elif champion:
            notes.append(f"there is no sensitive column '{name}' in these rows; its groups can't be assessed")
        else:
            raise ColumnNotFoundError("data.sensitiveColumns", name, table.column_names)
        if champion and name in champion.feature_names:
            notes.append(f"'{name}' is sensitive; it stays an input because the champion has it")
    return present


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
        if is_text(column.type) and distinct > _IDENTIFIER_SHARE * len(values) and read_dates(values) is None:
            if not is_free_text(values):
                reason = f"looks like an identifier ({distinct} different values in {len(values)} rows)"
        elif pa.types.is_integer(column.type) and distinct == len(column) and _span(values) == distinct:
            reason = "numbers the rows one by one"
    return reason


def _is_readable(arrow_type: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_integer, types.is_floating, types.is_boolean, types.is_timestamp, types.is_date, types.is_null)
    return is_text(arrow_type) or any(check(arrow_type) for check in checks)


def _span(values: pa.Array) -> int:
    limits = pc.min_max(values).as_py()
    return int(limits["max"] - limits["min"] + 1)


def _usable_features(
    inputs: Mapping[str, pa.Array], hashed: Mapping[str, pa.Array]
) -> tuple[_Features, list[DroppedColumn]]:
    features, dropped = {}, []
    for name, column in inputs.items():
        values = hashed.get(name, column)
        reason = _reason_to_drop(name, values)
        if reason:
            dropped.append(DroppedColumn(name=name, reason=reason))
            continue
        kind = FeatureType.CATEGORICAL if name in hashed else _recognise(values)
        read = _read(values, kind)
        feature = _describe(name, kind, read)
        features[name] = (feature.model_copy(update={"is_hashed": name in hashed}), read)
    return features, dropped


def _champion_features(
    inputs: Mapping[str, pa.Array], champion: DataSchema, notes: list[str]
) -> tuple[_Features, list[DroppedColumn]]:
    features = {}
    for known in champion.features:
        if known.name not in inputs:  # it is the target, time or key column by now
            continue
        column = as_pseudonyms(inputs[known.name]) if known.is_hashed else inputs[known.name]
        values = _read(column, known.type)
        if values is None:
            raise ChampionTypeError(known.name, known.type, str(column.type))
        # Without a value there is nothing to describe; what the champion knows still holds when values come back.
        empty = values.null_count == len(values)
        feature = known if empty else _describe(known.name, known.type, values)
        nullable = known.nullable or values.null_count > 0
        kept = {"nullable": nullable, "is_hashed": known.is_hashed}
        features[known.name] = (feature.model_copy(update=kept), values)
        reason = _reason_to_drop(known.name, column)
        if reason:
            notes.append(f"'{known.name}' {reason}; it stays an input because the champion has it")
    others = [name for name in inputs if name not in features]
    return features, [DroppedColumn(name=name, reason="is no input of the champion") for name in others]


def _given_features(
    columns: Mapping[str, pa.Array], inputs: Mapping[str, FeatureType | None]
) -> tuple[_Features, list[DroppedColumn]]:
    features = {}
    for name, known in inputs.items():
        kind = known or _recognise(columns[name])
        values = _read(columns[name], kind)
        if values is None:
            raise InputTypeError(name, kind, str(columns[name].type))
        features[name] = (_describe(name, kind, values), values)
    others = [name for name in columns if name not in features]
    return features, [DroppedColumn(name=name, reason="is no input of the model") for name in others]


def _recognise(column: pa.Array) -> FeatureType:
    if pa.types.is_boolean(column.type):
        return FeatureType.BOOLEAN
    if read_dates(column) is not None:
        return FeatureType.DATE
    if not is_text(column.type):
        return FeatureType.NUMERIC
    return FeatureType.TEXT if is_free_text(column.drop_null()) else FeatureType.CATEGORICAL


def _read(column: pa.Array, kind: FeatureType) -> Any:
    """Return the values in the one type of their kind, or None when they are of another kind."""
    if column.null_count == len(column):
        return pa.nulls(len(column), _ARROW_TYPES[kind])
    types = pa.types
    match kind:
        case FeatureType.BOOLEAN:
            return column if types.is_boolean(column.type) else None
        case FeatureType.NUMERIC:
            is_number = types.is_integer(column.type) or types.is_floating(column.type)
            return column.cast(pa.float64(), safe=False) if is_number else None
        case FeatureType.CATEGORICAL:
            return column.cast(pa.string()) if _is_readable(column.type) else None
        case FeatureType.TEXT:
            return column if is_text(column.type) else None
        case FeatureType.DATE:
            dates = read_dates(column)
            return _read_each_date(column) if dates is None and is_text(column.type) else dates


def _read_each_date(column: pa.Array) -> Any:
    """Return texts as times in UTC, each written in its own way as requests may do, or None when one is no date."""
    try:
        times = [None if text is None else datetime.fromisoformat(text) for text in column.to_pylist()]
    except ValueError:
        return None
    return pa.array([time if time is None or time.tzinfo else time.replace(tzinfo=UTC) for time in times], TIMESTAMP)


def _describe(name: str, kind: FeatureType, values: pa.Array) -> Feature:
    nullable = values.null_count > 0
    match kind:
        case FeatureType.BOOLEAN:
            return Feature(name=name, type=kind, nullable=nullable)
        case FeatureType.CATEGORICAL:
            counts = pc.value_counts(values.drop_null()).to_pylist()
            counts.sort(key=lambda count: (-count["counts"], count["values"]))
            categories = tuple(count["values"] for count in counts)
            return Feature(name=name, type=kind, nullable=nullable, categories=categories)
        case FeatureType.TEXT:
            vocabulary = encode_vocabulary(values.drop_null().to_pylist())
            return Feature(name=name, type=kind, nullable=nullable, vocabulary=vocabulary)
        case FeatureType.DATE:
            values = pc.divide(values.cast(pa.int64()).cast(pa.float64()), 1e6)
    limits = pc.min_max(values).as_py()
    return Feature(name=name, type=kind, nullable=nullable, minimum=limits["min"], maximum=limits["max"])
