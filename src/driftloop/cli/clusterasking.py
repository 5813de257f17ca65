"""How a command asks a loop of a cluster for something: an annotation of its ModelLoop, which the operator answers."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from driftloop.cli.asking import RequestRefusedError, ask
from driftloop.cli.clusterloop import Place, find_place
from driftloop.errors import DriftloopError, InvalidInputError

if TYPE_CHECKING:
    from driftloop.loop.requests import Acknowledge, Approve, Mute, Retrain, Rollback, Unmute

    ClusterAction = Retrain | Rollback | Approve | Mute | Unmute | Acknowledge

POLL_SECONDS = 2.0
ANSWER_SECONDS = 120.0
"""Time in which an operator that runs takes up a request."""
PREVIOUS, OFF = "previous", "off"
_LONGEST_MANAGER = 128
_ENDS = (
    *("Promoted", "Rejected", "RolledBack", "FeasibilityJudged", "RunHeld"),
    *("Muted", "Unmuted", "Acknowledged"),
)
"""Entries of the history after which nothing more follows from a request."""


class UnansweredError(DriftloopError):
    """No operator took up a request."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(
            f"The operator must take up the request of the loop '{namespace}/{name}' within {ANSWER_SECONDS:.0f} s to "
            "wait for it. It did not. The request stays; see: driftloop doctor --context CONTEXT"
        )


def ask_loop(
    action: "ClusterAction",
    workspace: Path | None,
    *,
    context: str | None,
    namespace: str | None,
    loop: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask the loop of a cluster where the options name one, else that of a workspace.

    Raises:
        DriftloopError: as `ask_cluster` and `asking.ask` do.
    """
    place = find_place(context, namespace, loop, workspace)
    if place:
        ask_cluster(place, loop, action, wait=wait, as_json=as_json)
    else:
        ask(workspace, action, wait=wait, as_json=as_json)


def ask_cluster(place: Place, name: str | None, action: "ClusterAction", *, wait: bool, as_json: bool) -> None:
    """Ask a loop of a cluster for something, and tell what becomes of it.

    Raises:
        InvalidInputError: it can't be done, as far as is known here or as the loop answered.
        RejectedError: the API server forbids it to this user.
        UnansweredError: the outcome is waited for, and no operator answers.
        DriftloopError: the outcome was waited for, and it is a failure.
    """
    loop = place.loop(name)
    name = str(loop["metadata"]["name"])
    user = place.api.user_name()
    annotation, value = _request(loop, action, user)
    patch = {"metadata": {"annotations": {annotation: value}}}
    place.api.patch("ModelLoop", place.namespace, name, patch, manager=user[:_LONGEST_MANAGER])
    if not as_json:
        typer.echo(f"Asked the loop '{place.namespace}/{name}' as {user}: {annotation}: {value}")
    outcome = _Following(place, loop, annotation, value, is_quiet=as_json).to_the_end() if wait else []
    if as_json:
        request = {"loop": name, "namespace": place.namespace, "by": user, "annotation": annotation, "value": value}
        typer.echo(json.dumps({"request": request, "outcome": outcome}, indent=2))


def _request(loop: dict[str, Any], action: "ClusterAction", user: str) -> tuple[str, str]:
    """Return annotation and value; a time makes what may be asked again another value."""
    from driftloop.loop.requests import Acknowledge, Approve, Mute, Retrain, Rollback, Unmute
    from driftloop.workload import names

    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    match action:
        case Retrain():
            return names.RETRAIN_ANNOTATION, f"{now} {action.reason}".strip()
        case Rollback():
            return names.ROLLBACK_ANNOTATION, f"{action.model or PREVIOUS}@{now}"
        case Mute():
            what = f"{action.until}/{action.kind}" if action.kind else action.until
            return names.MUTE_ANNOTATION, f"{what}@{now} {action.reason}".strip()
        case Unmute():
            what = f"{OFF}/{action.kind}" if action.kind else OFF
            return names.MUTE_ANNOTATION, f"{what}@{now} {action.reason}".strip()
        case Acknowledge():
            return names.ACKNOWLEDGE_ANNOTATION, f"{action.report}@{now} {action.reason}".strip()
        case Approve():
            _refuse_at_the_door(loop, action.run_key)
            return names.APPROVE_ANNOTATION, f"{action.run_key}@{user}"


def _refuse_at_the_door(loop: dict[str, Any], run_key: str) -> None:
    challenger = (loop.get("status") or {}).get("challenger")
    if not challenger:
        raise RequestRefusedError("Approve", "there is no challenger that waits for an approval")
    names = (challenger.get("run", ""), f"sha256:{challenger['digest']}", challenger["digest"])
    if not any(name.startswith(run_key) for name in names):
        raise RequestRefusedError("Approve", f"the challenger that waits is of the run {challenger.get('run')}")


class _Following:
    """Follows a loop's status from a request to what came of it, told line by line."""

    def __init__(self, place: Place, loop: dict[str, Any], annotation: str, value: str, *, is_quiet: bool) -> None:
        self._place = place
        self._name = loop["metadata"]["name"]
        self._annotation, self._value = annotation, value
        self._is_quiet = is_quiet
        self._is_manual = loop["spec"].get("promotion", {}).get("approval") == "Manual"
        self._before = (loop.get("status") or {}).get("history") or []
        self._told: list[dict[str, Any]] = []

    def to_the_end(self) -> list[dict[str, Any]]:
        """Return the history's new lines once nothing more follows without a person."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            status = self._place.loop(self._name).get("status") or {}
            self._tell(status)
            if self._is_answered(status):
                if self._is_over(status):
                    return self._told
            elif time.monotonic() > deadline:
                raise UnansweredError(self._place.namespace, self._name)
            time.sleep(POLL_SECONDS)

    def _is_answered(self, status: dict[str, Any]) -> bool:
        from driftloop.cli.clusterstatus import HANDLED_FIELDS

        handled = status.get("handledRequests") or {}
        return bool(handled.get(HANDLED_FIELDS[self._annotation]) == self._value)

    def _tell(self, status: dict[str, Any]) -> None:
        for line in status.get("history") or ():
            if line in self._before or line in self._told:
                continue
            self._told.append(line)
            if not self._is_quiet:
                typer.echo(line["message"])

    def _is_over(self, status: dict[str, Any]) -> bool:
        entries = [line["entry"] for line in self._told]
        last = self._told[-1] if self._told else None
        if last and last["entry"] == "RequestRefused":
            raise InvalidInputError(last["message"])
        if status.get("run"):
            return False
        if any(entry in _ENDS for entry in entries):
            return True
        if status.get("challenger"):
            waiting = status.get("waitingFor") or []
            if waiting and self._is_manual and "Approved" not in entries:
                typer.echo(waiting[0], err=True)
                return True
            return False
        if last and last["entry"] == "RunFinished":
            raise DriftloopError(last["message"])
        return False
