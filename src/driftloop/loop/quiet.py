"""Why an alarm starts no run and pages nobody: people expected it, know of it, or asked for silence. In words. Pure."""

from datetime import datetime

from driftloop.loop.history import LoopState, Muted
from driftloop.spec import Verdict, VerdictKind

MUTABLE = tuple(kind for kind in VerdictKind if kind.is_alarm and kind is not VerdictKind.DATA_FAULT)
"""Alarms that people may mute. Faulty data are kept out of training whatever they ask."""


def why_quiet(verdict: Verdict, key: str, state: LoopState, now: datetime) -> str:
    """Return why an alarm is nobody's business; empty where it is somebody's.

    Args:
        verdict: the alarm.
        key: of the run that would answer its episode.
        state: who muted and acknowledged what.
        now: the loop's clock.
    """
    if verdict.verdict not in MUTABLE:
        return ""
    if verdict.expected:
        return f"{verdict.verdict} is expected: '{verdict.expected}' (spec.monitoring.expectedChanges)"
    known = state.acknowledged.get(key)
    if known:
        return f"{verdict.verdict} is known to {known.by}: {known.reason}"
    mute = next((mute for mute in active_mutes(state, now) if mute.kind in (None, verdict.verdict)), None)
    return f"{verdict.verdict} is muted by {mute.by} until {tell_moment(mute.until)}: {mute.reason}" if mute else ""


def active_mutes(state: LoopState, now: datetime) -> list[Muted]:
    """Return the mutes in force, the one that lasts longest first."""
    return sorted(
        (mute for mute in state.mutes.values() if now < mute.until), key=lambda mute: mute.until, reverse=True
    )


def tell_mute(mute: Muted) -> str:
    """Return a mute in force as a clause."""
    what = "all drift alarms are" if mute.kind is None else f"{mute.kind} is"
    return f"{what} muted by {mute.by} until {tell_moment(mute.until)}: {mute.reason}"


def tell_moment(moment: datetime) -> str:
    """Return a moment for people, the time of day only where there is one.

    >>> tell_moment(datetime(2026, 12, 1)), tell_moment(datetime(2026, 12, 1, 8, 30))
    ('1 December 2026', '1 December 2026 08:30')
    """
    clock = "" if (moment.hour, moment.minute) == (0, 0) else f" {moment:%H:%M}"
    return f"{moment.day} {moment:%B %Y}{clock}"
