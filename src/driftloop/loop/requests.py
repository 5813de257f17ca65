"""What people ask of a running loop: the typed requests, the same as files on a laptop and as annotations in a cluster.

A request is made once and never changed. The ledger entry that answers it carries its id, so that it is handled exactly
once, whatever dies in between.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from driftloop.spec.boundary import Boundary

NEWEST = "newest"
"""Stands for the drift report of the newest open episode."""


class Retrain(Boundary):
    """Start one run now."""

    verb: Literal["Retrain"] = "Retrain"
    reason: str = ""
    """Why, in the words of who asks."""


class Rollback(Boundary):
    """Let an earlier champion serve again."""

    verb: Literal["Rollback"] = "Rollback"
    model: str = ""
    """`v2`, or the first characters of a model version; empty for the champion before this one."""


class Approve(Boundary):
    """Let the challenger serve that waits for a person."""

    verb: Literal["Approve"] = "Approve"
    run_key: str


class Record(Boundary):
    """Note the measured value of a success criterion."""

    verb: Literal["Record"] = "Record"
    name: str
    """One of `problem.successCriteria`."""
    value: Annotated[float, Field(allow_inf_nan=False)]
    measured_at: datetime
    note: str = ""


class Mute(Boundary):
    """Let drift alarms start no run and page nobody for a while."""

    verb: Literal["Mute"] = "Mute"
    until: str
    """ISO 8601 date or time, in UTC unless it says otherwise."""
    kind: str = ""
    """The verdict that is muted; empty for every drift alarm."""
    reason: str = ""
    """Why, in the words of who asks."""


class Unmute(Boundary):
    """Let drift alarms count again."""

    verb: Literal["Unmute"] = "Unmute"
    kind: str = ""
    """The verdict whose own mute ends; empty for every mute."""
    reason: str = ""
    """Why, in the words of who asks."""


class Acknowledge(Boundary):
    """Note that people know of a drift episode: it starts no run and pages nobody any more."""

    verb: Literal["Acknowledge"] = "Acknowledge"
    report: str
    """Name of a drift report of the episode; `newest` for the newest open episode."""
    reason: str = ""
    """Why, in the words of who asks."""


Action = Retrain | Rollback | Approve | Record | Mute | Unmute | Acknowledge
"""What can be asked."""


def _has_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("must have a time zone")
    return time


class Request(Boundary):
    """One person asks for one thing."""

    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]
    at: Annotated[datetime, AfterValidator(_has_zone)]
    """When it was asked, by the wall clock."""
    by: str
    """Who asks: the operating system's user on a laptop."""
    action: Annotated[Action, Field(discriminator="verb")]
