"""What every typed boundary shares: frozen, unknown fields refused, camelCase outside and snake_case inside."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

# The Prometheus Operator's pattern for durations, without years.
DURATION_PATTERN = r"^(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$"
_UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds")

# Marks a field that is accepted and checked, but changes nothing in this version. `driftloop validate` says so.
PLANNED = Field(json_schema_extra={"planned": True})
# Marks a field that a cluster uses and a laptop ignores. `driftloop validate` says so.
CLUSTER_ONLY = Field(json_schema_extra={"clusterOnly": True})


class Boundary(BaseModel):
    """Base of every object that crosses a boundary: a file, a custom resource, a wire payload."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the object as plain JSON values with the names used in files."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class RuleError(ValueError):
    """A field breaks a rule that types and bounds can't express.

    Raised by validators; the words come out in the house grammar (`spec.messages`).
    """

    def __init__(self, constraint: str, *, field: str = "", remedy: str = "") -> None:
        """Keep the facts: `constraint` starts with 'must', `field` names a field below the validated one."""
        super().__init__(constraint)
        self.constraint = constraint
        self.field = field
        self.remedy = remedy


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `50ms`, `90s`, `1h30m` or `30d`.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)

    Raises:
        ValueError: the text is no duration, or is empty, zero or longer than Python can count.
    """
    match = re.fullmatch(DURATION_PATTERN, text)
    parts = {unit: int(value) for unit, value in zip(_UNITS, match.groups(), strict=True) if value} if match else {}
    if not parts:
        raise ValueError("must be a duration such as '90s', '10m', '12h', '30d' or '1h30m'")
    if not any(parts.values()):
        raise ValueError("must be a duration longer than 0")
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError("must be a duration that can be counted, such as '30d'") from error


def format_duration(duration: timedelta) -> str:
    """Write a duration the way it is written in a file, to the millisecond.

    >>> format_duration(timedelta(days=30)), format_duration(timedelta(minutes=90))
    ('30d', '1h30m')
    """
    rest = duration // timedelta(milliseconds=1)
    parts = []
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read_duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


def parse_moment(text: str) -> datetime:
    """Read a point in time with its offset from UTC, as RFC 3339 writes it.

    >>> parse_moment("2026-12-24T00:00:00Z").isoformat()
    '2026-12-24T00:00:00+00:00'

    Raises:
        ValueError: the text is no time, or has no offset.
    """
    constraint = "must be a time with its offset from UTC, such as '2026-12-24T00:00:00Z'"
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[-+]\d\d:\d\d)", text):
        raise ValueError(constraint)
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(constraint) from error


def _read_moment(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    return parse_moment(str(value))


Moment = Annotated[
    datetime,
    BeforeValidator(_read_moment),
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
