"""The wire protocol of requests: from the bytes of a body to columns that fit the schema, or an error naming the field.

Pure. Values are checked, never repaired: a number sent as text is refused. NaN literals count as null.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import NoneType
from typing import Any

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, Feature, FeatureType
from driftloop.spec.pseudonyms import pseudonym

_ACCEPTED: Mapping[FeatureType, tuple[frozenset[type], str]] = {
    FeatureType.NUMERIC: (frozenset({int, float, NoneType}), "a number"),
    FeatureType.CATEGORICAL: (frozenset({str, int, float, NoneType}), "a text"),
    FeatureType.TEXT: (frozenset({str, NoneType}), "a text"),
    FeatureType.BOOLEAN: (frozenset({bool, NoneType}), "true or false"),
    FeatureType.DATE: (frozenset({str, NoneType}), "a date in ISO 8601, such as '2013-07-01T06:00:00Z'"),
}
_KEY_TYPES = frozenset({str, int, NoneType})
_CONSTANTS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
_LONGEST_ECHO = 60


class RequestError(InvalidInputError):
    """A request that can't be answered as it is.

    Args:
        status: HTTP status.
        message: what, constraint, value, remedy.
        field: the field at fault, if it is one.
    """

    def __init__(self, status: HTTPStatus, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field

    def to_json(self) -> bytes:
        """Return the body of the answer."""
        return json.dumps({"error": {"message": str(self), "field": self.field}}).encode()


class FieldError(RequestError):
    """A field of a request is wrong."""

    def __init__(self, field: str, constraint: str, remedy: str, *, row: int | None = None, got: Any = ...) -> None:
        place = f" of row {row}" if row is not None else ""
        value = "" if got is ... else f" Got {_echo(got)}."
        message = f"The field '{field}'{place} must {constraint}.{value} {remedy}"
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, message, field)


@dataclass(frozen=True)
class PredictRequest:
    """The rows of a request."""

    columns: dict[str, list[Any]]
    """A list a feature, in the schema's order, None where missing."""
    keys: list[str | None] | None
    """Business keys, None where the request has no key column."""
    rows: int


def read_predict(body: bytes, schema: DataSchema, max_rows: int) -> PredictRequest:
    """Read and check the body of `POST /predict`.

    Raises:
        RequestError: 400 no JSON; 413 too many rows; 422 with the field that is wrong.
    """
    payload = _read_object(body)
    if len(payload) != 1 or not payload.keys() <= {"rows", "columns"}:
        got = ", ".join(sorted(payload)) or "nothing"
        raise FieldError("rows", "be the only field, or 'columns' instead", f"Got {got}. Send one of the two.")
    columns = _from_rows(payload["rows"], schema) if "rows" in payload else _from_columns(payload["columns"], schema)
    rows = len(next(iter(columns.values())))
    if rows > max_rows:
        message = f"A request must have at most {max_rows} rows. Got {rows}. Send several requests."
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, "rows" if "rows" in payload else "columns")
    keys = columns.get(schema.key_column) if schema.key_column else None
    return PredictRequest(
        columns={feature.name: _seal(feature, _check(feature, columns[feature.name])) for feature in schema.features},
        keys=_check_keys(schema.key_column, keys) if schema.key_column and keys is not None else None,
        rows=rows,
    )


def _seal(feature: Feature, values: list[Any]) -> list[Any]:
    """Replace personal values by hashes where the model was trained on hashes; the log gets no others either."""
    if not feature.is_hashed:
        return values
    return [None if value is None else pseudonym(value) for value in values]


def read_time(text: Any, field: str) -> datetime:
    """Read an ISO 8601 time; UTC where it names no zone.

    Raises:
        FieldError: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        remedy = "Send one such as '2013-07-01T06:00:00Z'."
        raise FieldError(field, "be a time in ISO 8601", remedy, got=text) from error
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def read_watermark(body: bytes) -> datetime:
    """Read the body of `POST /watermark`.

    Raises:
        RequestError: 400 no JSON; 422 no time.
    """
    payload = _read_object(body)
    if payload.keys() != {"time"}:
        raise FieldError("time", "be the only field", 'Send {"time": "<ISO 8601>"}.')
    return read_time(payload["time"], "time")


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body, parse_constant=_CONSTANTS.__getitem__)
    except (ValueError, RecursionError) as error:
        message = f'The body must be JSON. It can\'t be read: {error}. Send an object such as {{"rows": [...]}}.'
        raise RequestError(HTTPStatus.BAD_REQUEST, message) from error
    if not isinstance(payload, dict):
        message = f'The body must be a JSON object. Got {_echo(payload)}. Send {{"rows": [...]}}.'
        raise RequestError(HTTPStatus.BAD_REQUEST, message)
    return payload


def _from_rows(rows: Any, schema: DataSchema) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise FieldError("rows", "be a list of at least one row", "Send one object a row.", got=rows)
    optional = _optional_columns(schema)
    known = {*schema.feature_names, *optional}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise FieldError("rows", "hold objects", "Send one object a row.", row=index, got=row)
        if not row.keys() <= known:
            raise _unknown_field(row.keys() - known, schema, index)
    columns: dict[str, list[Any]] = {}
    for name in schema.feature_names:
        try:
            columns[name] = [row[name] for row in rows]
        except KeyError:
            index = next(index for index, row in enumerate(rows) if name not in row)
            raise _missing_field(name, index) from None
    for name in optional:
        if any(name in row for row in rows):
            columns[name] = [row.get(name) for row in rows]
    return columns


def _from_columns(columns: Any, schema: DataSchema) -> dict[str, list[Any]]:
    if not isinstance(columns, dict):
        raise FieldError("columns", "be an object with a list a field", "Send one list a field.", got=columns)
    known = {*schema.feature_names, *_optional_columns(schema)}
    if not columns.keys() <= known:
        raise _unknown_field(columns.keys() - known, schema)
    for name in schema.feature_names:
        if name not in columns:
            raise _missing_field(name)
    rows = None
    for name, values in columns.items():
        if not isinstance(values, list) or not values:
            raise FieldError(name, "be a list of at least one value", "Send a value a row.", got=values)
        rows = rows or len(values)
        if len(values) != rows:
            constraint = f"have as many values as the first field ({rows})"
            raise FieldError(name, constraint, "Send a value a row.", got=len(values))
    return columns


def _optional_columns(schema: DataSchema) -> list[str]:
    return [name for name in (schema.key_column, schema.time_column) if name]


def _missing_field(name: str, row: int | None = None) -> FieldError:
    return FieldError(name, "be there", "Send it, with null where the value is unknown.", row=row)


def _unknown_field(names: set[str], schema: DataSchema, row: int | None = None) -> FieldError:
    return FieldError(min(names), f"be one of the model's: {', '.join(schema.feature_names)}", "Leave it out.", row=row)


def _check(feature: Feature, values: list[Any]) -> list[Any]:
    accepted, wanted = _ACCEPTED[feature.type]
    kinds = set(map(type, values))
    if not kinds <= accepted:
        index = next(index for index, value in enumerate(values) if type(value) not in accepted)
        raise FieldError(feature.name, f"be {wanted}", f"Send {wanted}.", row=index, got=values[index])
    if NoneType in kinds and not feature.nullable:
        remedy = "It had a value in every training row: send one."
        raise FieldError(feature.name, "not be null", remedy, row=values.index(None))
    if feature.type is FeatureType.DATE:
        _check_each(feature, values, _is_date, f"be {wanted}")
    elif float in kinds or int in kinds:
        _check_each(feature, values, _is_finite, "be a finite number")
    return values


def _check_each(feature: Feature, values: Sequence[Any], is_right: Any, constraint: str) -> None:
    for index, value in enumerate(values):
        if value is not None and not is_right(value):
            raise FieldError(feature.name, constraint, "Correct the value.", row=index, got=value)


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _check_keys(name: str, keys: list[Any]) -> list[str | None]:
    for index, key in enumerate(keys):
        if type(key) not in _KEY_TYPES:
            raise FieldError(name, "be a text or a whole number", "Send the row's business key.", row=index, got=key)
    return [None if key is None else str(key) for key in keys]


def _echo(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}..."
