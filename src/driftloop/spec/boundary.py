"""What every typed boundary shares: frozen, unknown fields refused, camelCase outside and snake_case inside."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

# The Prometheus Operator's pattern for durations, without years and milliseconds.
DURATION_PATTERN = r"^(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$"
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


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


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `90s`, `1h30m` or `30d`.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)

    Raises:
        ValueError: the text is no duration, or is empty or zero.
    """
    match = re.match(DURATION_PATTERN, text)
    parts = {unit: int(value) for unit, value in zip(_UNITS, match.groups(), strict=True) if value} if match else {}
    if not parts or not any(parts.values()):
        raise ValueError("must be a duration such as '90s', '10m', '12h', '30d' or '1h30m'")
    return timedelta(**parts)


def format_duration(duration: timedelta) -> str:
    """Write a duration the way it is written in a file.

    >>> format_duration(timedelta(days=30)), format_duration(timedelta(minutes=90))
    ('30d', '1h30m')
    """
    seconds = int(duration.total_seconds())
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
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
