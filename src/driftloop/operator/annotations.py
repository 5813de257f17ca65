"""Requests as annotations of the ModelLoop: verbs that anybody with kubectl, Argo CD or Git can say.

An annotation stays after it was answered. Its value is what is asked, so that the same value is never answered twice:
who wants the same again changes the value, by an `@time` behind it. Where a reason is given it follows the first space.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from driftloop.loop.history import LoopState
from driftloop.loop.requests import Acknowledge, Action, Approve, Mute, Request, Retrain, Rollback, Unmute
from driftloop.spec.loopstatus import HandledRequests
from driftloop.workload import names

PREVIOUS = "previous"
OFF = "off"
"""Ends mutes, in place of a time."""
_VERBS = {
    names.RETRAIN_ANNOTATION: "retrain",
    names.ROLLBACK_ANNOTATION: "rollback",
    names.APPROVE_ANNOTATION: "approve",
    names.MUTE_ANNOTATION: "mute",
    names.ACKNOWLEDGE_ANNOTATION: "acknowledge",
}


def requests_of(loop: Mapping[str, Any], state: LoopState) -> tuple[Request, ...]:
    """Return what the annotations of a ModelLoop ask for, oldest first.

    Args:
        loop: the object as the API server keeps it.
        state: an approval may name the challenger's digest instead of its run.
    """
    annotations = loop["metadata"].get("annotations") or {}
    found = [_request(loop, name, value, state) for name, value in _asked(annotations)]
    return tuple(sorted(found, key=lambda request: (request.at, request.id)))


def handled_requests(loop: Mapping[str, Any], state: LoopState) -> HandledRequests:
    """Return the values of the annotations whose request is answered."""
    annotations = loop["metadata"].get("annotations") or {}
    handled = {name: value for name, value in _asked(annotations) if request_id(name, value) in state.handled}
    return HandledRequests(
        retrain_requested_at=handled.get(names.RETRAIN_ANNOTATION, ""),
        approve=handled.get(names.APPROVE_ANNOTATION, ""),
        rollback=handled.get(names.ROLLBACK_ANNOTATION, ""),
        mute=handled.get(names.MUTE_ANNOTATION, ""),
        acknowledge=handled.get(names.ACKNOWLEDGE_ANNOTATION, ""),
    )


def request_id(annotation: str, value: str) -> str:
    """Return the identity of a request.

    >>> request_id(names.RETRAIN_ANNOTATION, "2026-11-25T12:00:00Z")
    'retrain-7f2ad0eb56c32893'
    """
    return f"{_VERBS[annotation]}-{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _asked(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, annotations[name]) for name in _VERBS if annotations.get(name))


def _request(loop: Mapping[str, Any], annotation: str, value: str, state: LoopState) -> Request:
    manager, at = _writer(loop, annotation)
    asked, _, reason = value.partition(" ")
    action: Action
    match annotation:
        case names.RETRAIN_ANNOTATION:
            action = Retrain(reason=reason)
        case names.MUTE_ANNOTATION:
            until, _, kind = asked.partition("@")[0].partition("/")
            action = Unmute(kind=kind, reason=reason) if until == OFF else Mute(until=until, kind=kind, reason=reason)
        case names.ACKNOWLEDGE_ANNOTATION:
            action = Acknowledge(report=asked.partition("@")[0], reason=reason)
        case names.ROLLBACK_ANNOTATION:
            what = value.partition("@")[0]
            action = Rollback(model="" if what == PREVIOUS else what)
        case _:  # who approves stands in the value: the admission policy lets nobody write another's name
            what, _, person = value.partition("@")
            action, manager = Approve(run_key=_run_named(what, state)), person or manager
    return Request(id=request_id(annotation, value), at=at, by=manager, action=action)


def _run_named(name: str, state: LoopState) -> str:
    """Return the run of the challenger that a digest, or the beginning of one, names; else the name as it is."""
    challenger = state.candidate
    digest = name.removeprefix("sha256:")
    is_it = challenger and len(digest) >= len(challenger.version) and challenger.result.bento_digest.startswith(digest)
    return challenger.result.run_key if challenger and is_it else name


def _writer(loop: Mapping[str, Any], annotation: str) -> tuple[str, datetime]:
    """Return which program wrote an annotation, and when, as far as the API server noted it."""
    created = loop["metadata"].get("creationTimestamp", "1970-01-01T00:00:00Z")
    for entry in loop["metadata"].get("managedFields") or ():
        written = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
        if f"f:{annotation}" in written:
            return entry.get("manager", "an annotation"), _time(entry.get("time", created))
    return "an annotation", _time(created)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
