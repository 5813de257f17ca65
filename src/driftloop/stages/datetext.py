"""Dates as people write them: which order the numbers stand in, found from all values of a column together.

ISO 8601 needs no finding. `31/01/2013` is sure, `01/02/2013` is not: it is read only when other values of the column
prove the order, and otherwise refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_TIME = (
    r"(?:(?:T| +|, *)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2}))?)?"
)
_LAST_YEAR_OF_2000S = 68
"""Of years of two digits, as POSIX and Python's `%y` read them."""
_LARGEST_MONTH = 12


class DateStyle(StrEnum):
    """The order of a date's parts, as people call it."""

    YEAR_FIRST = "year first"
    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"
    NAMED_MONTH = "month by name"


_YEAR = r"(?P<year>\d{4}|\d{2})"
_FORMS = {
    "year": r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})",
    "numbers": rf"(?P<first>\d{{1,2}})(?P<sep>[-/.])(?P<other>\d{{1,2}})(?P=sep){_YEAR}",
    "day name": rf"(?P<day>\d{{1,2}})[- ./](?P<name>{_MONTH_NAMES})\.?,?[- ./]{_YEAR}",
    "name day": rf"(?P<name>{_MONTH_NAMES})\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})",
}
_PATTERNS = {kind: re.compile(form + _TIME, re.IGNORECASE) for kind, form in _FORMS.items()}


class AmbiguousDatesError(ValueError):
    """Dates whose order nothing proves."""

    def __init__(self, example: str, readings: tuple[datetime, datetime]) -> None:
        day_first, month_first = (f"{reading.day} {reading:%B %Y}" for reading in readings)
        super().__init__(f"'{example}', which may be {day_first} or {month_first}")


@dataclass(frozen=True)
class DateReading:
    """A column's dates."""

    times: list[datetime]
    """One per text; with a zone where the text has one."""
    styles: dict[DateStyle, str]
    """The styles found, each with the first text written so."""


def is_date(text: str) -> bool:
    """Whether a text has the form of a date, be there such a day or not.

    >>> is_date("31/01/2013 10:15 pm"), is_date("3 Feb 2013"), is_date("12.5.1"), is_date("2013")
    (True, True, False, False)
    """
    return any(pattern.fullmatch(text) for pattern in _PATTERNS.values())


def read_dates(texts: Sequence[str]) -> DateReading:
    """Read texts that all have the form of a date.

    Raises:
        AmbiguousDatesError: day and month may be either way round.
        ValueError: there is no such day, or values prove different orders; the message continues "Got".
    """
    parsed = [_parse(text) for text in texts]
    style = _order_of([(text, match) for text, (kind, match) in zip(texts, parsed, strict=True) if kind == "numbers"])
    times: list[datetime] = []
    styles: dict[DateStyle, str] = {}
    for text, (kind, match) in zip(texts, parsed, strict=True):
        found = {"year": DateStyle.YEAR_FIRST, "numbers": style}.get(kind, DateStyle.NAMED_MONTH)
        try:
            times.append(_build(match, found or DateStyle.DAY_FIRST))
        except ValueError as error:
            raise ValueError(f"'{text}', which is no date of the calendar") from error
        styles.setdefault(found or DateStyle.DAY_FIRST, text)
    return DateReading(times, styles)


def _parse(text: str) -> tuple[str, re.Match[str]]:
    for kind, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(text):
            return kind, match
    raise ValueError(f"'{text}' has no form of a date")


def _order_of(dates: Sequence[tuple[str, re.Match[str]]]) -> DateStyle | None:
    """Return the order that dates such as 31/01/2013 prove; with dots it is always the day that comes first."""
    day_first = next((text for text, match in dates if int(match["first"]) > _LARGEST_MONTH), "")
    month_first = next((text for text, match in dates if int(match["other"]) > _LARGEST_MONTH), "")
    if day_first and month_first:
        raise ValueError(f"'{day_first}' with the day first and '{month_first}' with the month")
    if not dates or day_first:
        return DateStyle.DAY_FIRST if dates else None
    if month_first:
        return DateStyle.MONTH_FIRST
    if all(match["sep"] == "." for _, match in dates):
        return DateStyle.DAY_FIRST
    text, match = next(((text, match) for text, match in dates if match["first"] != match["other"]), dates[0])
    raise AmbiguousDatesError(text, (_build(match, DateStyle.DAY_FIRST), _build(match, DateStyle.MONTH_FIRST)))


def _build(match: re.Match[str], style: DateStyle) -> datetime:
    parts = match.groupdict()
    year = int(parts["year"])
    if len(parts["year"]) == 2:  # noqa: PLR2004 - a year of two digits
        year += 2000 if year <= _LAST_YEAR_OF_2000S else 1900
    if style is DateStyle.NAMED_MONTH:
        month, day = _MONTHS.index(parts["name"][:3].lower()) + 1, int(parts["day"])
    elif style is DateStyle.YEAR_FIRST:
        month, day = int(parts["month"]), int(parts["day"])
    else:
        first, second = int(parts["first"]), int(parts["other"])
        day, month = (first, second) if style is DateStyle.DAY_FIRST else (second, first)
    return datetime(year, month, day, _hour(parts), *_rest_of_time(parts), tzinfo=_zone(parts["zone"]))


def _hour(parts: dict[str, str | None]) -> int:
    hour = int(parts["hour"] or 0)
    if parts["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock face
            raise ValueError(f"{hour} is no hour of half a day")
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    return hour


def _rest_of_time(parts: dict[str, str | None]) -> tuple[int, int, int]:
    microseconds = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    return int(parts["minute"] or 0), int(parts["second"] or 0), microseconds


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text.upper() in ("Z", "UTC"):
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
