"""From the columns of a label table to labels: one for each thing the rows are about. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from driftloop.errors import DriftloopError


class WrongLabelsError(DriftloopError):
    """The table holds what no label can be made of."""

    def __init__(self, column: str, row: int, constraint: str, value: object) -> None:
        super().__init__(
            f"The column '{column}' of the label table must {constraint}. Got {value!r} in row {row + 1}. "
            "Correct the table."
        )


@dataclass(frozen=True)
class LabelRows:
    """The rows that have a label, each thing they are about once."""

    keys: list[str]
    labels: list[bool | float | str]
    times: list[str] | None
    """When the truth became known; None where the time of receipt counts."""
    without_label: int

    def to_messages(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return some rows as labels of `POST /labels`."""
        if self.times is None:
            return [{"key": self.keys[n], "label": self.labels[n]} for n in places]
        return [{"key": self.keys[n], "label": self.labels[n], "time": self.times[n]} for n in places]


def read_rows(
    values: dict[str, list[Any]], key_column: str, label_column: str, time_column: str | None, *, replay: bool
) -> LabelRows:
    """Make labels of a table's columns: key, label and, where there is one, time.

    By wall clock the last row of a key holds: by time, or by its place where there is no time. In a replay each time is
    a label of its own.

    Raises:
        WrongLabelsError: a value is of a type that no label can have.
    """
    keys, labels = values[key_column], values[label_column]
    moments = values[time_column] if time_column else [None] * len(keys)
    found: dict[tuple[str, str], tuple[str, bool | float | str]] = {}
    without_label = 0
    for row, (key, label, moment) in enumerate(zip(keys, labels, moments, strict=True)):
        if _is_missing(key) or _is_missing(label) or (replay and _is_missing(moment)):
            without_label += 1
            continue
        time_text = _time(moment, time_column, row) if time_column and not _is_missing(moment) else ""
        key_text = _key(key, key_column, row)
        content = (time_text, _label(label, label_column, row))
        identity = (key_text, time_text if replay else "")
        if identity not in found or found[identity][0] <= time_text:
            found[identity] = content
    return LabelRows(
        keys=[key for key, _ in found],
        labels=[label for _, label in found.values()],
        times=[moment for _, moment in found] if replay else None,
        without_label=without_label,
    )


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _key(value: object, column: str, row: int) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise WrongLabelsError(column, row, "hold text or numbers", value)


def _label(value: Any, column: str, row: int) -> bool | float | str:
    if isinstance(value, bool | str) or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    if hasattr(value, "as_tuple") and math.isfinite(value):  # a database's DECIMAL
        return float(value)
    raise WrongLabelsError(column, row, "hold text, numbers or true and false", value)


def _time(value: object, column: str, row: int) -> str:
    """Return the moment as ISO 8601 in UTC, all of one length; a time without a zone is UTC."""
    moment = value
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError as error:
            raise WrongLabelsError(column, row, "hold times", value) from error
    elif isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if not isinstance(moment, datetime):
        raise WrongLabelsError(column, row, "hold times", value)
    in_utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return in_utc.isoformat(timespec="microseconds")
