"""Requests as annotations of the ModelLoop: verbs that anybody with kubectl, Argo CD or Git can say.

An annotation stays after it was answered. Its value is what is asked, so that the same value is never answered twice:
who wants the same again changes the value, by an `@time` behind it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from driftloop.loop.history import LoopState
from driftloop.loop.requests import Approve, Request, Retrain, Rollback
from driftloop.spec.loopstatus import HandledRequests
from driftloop.workload.names import APPROVE_ANNOTATION, RETRAIN_ANNOTATION, ROLLBACK_ANNOTATION

PREVIOUS = "previous"
_VERBS = {RETRAIN_ANNOTATION: "retrain", ROLLBACK_ANNOTATION: "rollback", APPROVE_ANNOTATION: "approve"}


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
        retrain_requested_at=handled.get(RETRAIN_ANNOTATION, ""),
        approve=handled.get(APPROVE_ANNOTATION, ""),
        rollback=handled.get(ROLLBACK_ANNOTATION, ""),
    )


def request_id(annotation: str, value: str) -> str:
    """Return the identity of a request.

    >>> request_id(RETRAIN_ANNOTATION, "2026-11-25T12:00:00Z")
    'retrain-7f2ad0eb56c32893'
    """
    return f"{_VERBS[annotation]}-{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _asked(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, annotations[name]) for name in _VERBS if annotations.get(name))


def _request(loop: Mapping[str, Any], annotation: str, value: str, state: LoopState) -> Request:
    manager, at = _writer(loop, annotation)
    what, _, behind = value.partition("@")
    if annotation == RETRAIN_ANNOTATION:
        action: Retrain | Rollback | Approve = Retrain(reason=value.partition(" ")[2])
    elif annotation == ROLLBACK_ANNOTATION:
        action = Rollback(model="" if what == PREVIOUS else what)
    else:  # who approves stands in the value: the admission policy lets nobody write another's name
        action, manager = Approve(run_key=_run_named(what, state)), behind or manager
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
