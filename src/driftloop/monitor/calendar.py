"""The calendar of expected changes: which verdicts people knew of beforehand. Pure; days are counted by UTC offsets.

An expected change explains why traffic moves. It never explains a broken feed, or a model that does worse.
"""

import calendar
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from driftloop.spec import ExpectedChange, Harm, Verdict, VerdictKind, Window

MOVES = (VerdictKind.COVARIATE_DRIFT, VerdictKind.PRIOR_SHIFT)
"""What an expected change explains, where it does no harm."""
_MONTHS = {"Monthly": 1, "Yearly": 12}


def mark_expected(verdict: Verdict, changes: Sequence[ExpectedChange]) -> Verdict:
    """Return the verdict with the name of the expected change that explains it, the first of the calendar's."""
    if verdict.verdict not in MOVES or verdict.harm is Harm.HARMFUL:
        return verdict
    name = next((change.name for change in changes if covers(change, verdict.window)), "")
    return verdict.model_copy(update={"expected": name})


def covers(change: ExpectedChange, window: Window) -> bool:
    """Whether any occurrence of the change overlaps the window; what only touches it does not."""
    return any(end > window.start for _, end in _occurrences(change, window))


def _occurrences(change: ExpectedChange, window: Window) -> Iterator[tuple[datetime, datetime]]:
    """Yield the occurrences that begin before the window's end, from the last that can reach into it."""
    number = 0
    if change.repeat == "Weekly":
        number = (window.start - change.start) // timedelta(days=7)
    elif change.repeat:
        start = window.start.astimezone(change.start.tzinfo)
        months = (start.year - change.start.year) * 12 + start.month - change.start.month
        number = months // _MONTHS[change.repeat]
    number = max(number - 1, 0)  # an occurrence is shorter than its period
    while (occurrence := occurrence_of(change, number))[0] < window.end:
        yield occurrence
        if change.repeat is None:
            return
        number += 1


def occurrence_of(change: ExpectedChange, number: int) -> tuple[datetime, datetime]:
    """Return start and end of an occurrence, counted from 0.

    >>> new_year = ExpectedChange(name="x", start="2024-02-29T00:00:00Z", end="2024-03-02T00:00:00Z", repeat="Yearly")
    >>> [f"{moment:%Y-%m-%d}" for moment in occurrence_of(new_year, 1)]
    ['2025-02-28', '2025-03-02']
    """
    if change.repeat not in _MONTHS:
        shift = number * timedelta(days=7)
        return change.start + shift, change.end + shift
    months = number * _MONTHS[change.repeat]
    start = _add_months(change.start, months)
    end = _add_months(change.end.astimezone(change.start.tzinfo), months)
    # In a short month both may fall on its last day.
    return start, end if end > start else start + (change.end - change.start)


def _add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
