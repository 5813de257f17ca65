"""Points in time as people type them."""

from datetime import UTC, datetime

from driftloop.errors import InvalidInputError


def parse_moment(text: str, what: str) -> datetime:
    """Read an ISO 8601 date or time; UTC where no zone is given, midnight where no time is.

    >>> parse_moment("2026-03-01", "TIME").isoformat()
    '2026-03-01T00:00:00+00:00'

    Raises:
        InvalidInputError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"The {what} must be an ISO 8601 date or time, such as '2026-03-01' or '2026-03-01T12:30+01:00'. "
            f"Got '{text}'."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def show_moment(moment: datetime) -> str:
    """Write a point in time to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
