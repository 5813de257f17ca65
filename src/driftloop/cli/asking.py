"""How a command asks a loop for something: refused at once where that is certain, else put in its box."""

import json
import os
import pwd
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftloop.cli.status import find_workspace
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError, InvalidInputError

if TYPE_CHECKING:
    from driftloop.loop.history import LedgerEntry
    from driftloop.loop.requests import Action, Request
    from driftloop.spec import ModelLoopSpec

WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait for the outcome; exit with an error when it is refused or fails.")
]
POLL_SECONDS = 0.2


class RequestRefusedError(InvalidInputError):
    """The loop can't do what was asked."""

    def __init__(self, verb: str, reason: str) -> None:
        super().__init__(f"{verb} was refused: {reason}{'' if reason.endswith(('.', '?')) else '.'}")


class LoopStoppedError(DriftloopError):
    """There is nobody to wait for."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"The loop of '{root}' must be running to wait for it. The request is kept: start the loop with "
            "'driftloop up FILE', and see 'driftloop history' for the answer."
        )


def ask(named: Path | None, action: "Action", *, wait: bool = False, as_json: bool = False) -> None:
    """Ask the loop of a workspace for something, and tell what becomes of it.

    Raises:
        RequestRefusedError: it can't be done, as far as is known here or as the loop answered.
        LoopStoppedError: the outcome is waited for, and the loop does not run.
        DriftloopError: the outcome was waited for, and it is a failure.
    """
    from driftloop.controller.requestbox import RequestBox, build_request

    workspace = Workspace(find_workspace(named))
    request = build_request(action, by=user_name(), at=datetime.now(UTC))
    _refuse_at_the_door(workspace, request)
    RequestBox(workspace.requests).put(request)
    running = workspace.is_in_use()
    outcome: list[LedgerEntry] = []
    if not as_json:
        told = "the running loop will act" if running else "the loop is not running: start it with driftloop up FILE"
        typer.echo(f"{'Asked' if running else 'Noted'} ({request.id}); {told}.")
    if wait:
        outcome = _wait_for_outcome(workspace, request, quiet=as_json)
    if as_json:
        answer: dict[str, Any] = {
            "request": request.to_dict(),
            "running": running,
            "outcome": [entry.to_dict() for entry in outcome],
        }
        typer.echo(json.dumps(answer, indent=2))


def user_name() -> str:
    """Return the operating system's name of who runs this; its number where it has no name, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _refuse_at_the_door(workspace: Workspace, request: "Request") -> None:
    """Decide on the request as the loop would by its ledger, so that a mistake is told at once."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.controller.monitorview import MonitorView
    from driftloop.loop.answer import answer_request
    from driftloop.loop.decisions import Facts, Refuse
    from driftloop.loop.history import replay

    spec = _spec_in_force(workspace)
    if spec is None:
        return
    entries = read_ledger(workspace.ledger)
    facts = Facts(loop_uid=workspace.uid(), verdicts=MonitorView(workspace.monitor).verdicts())
    now = entries[-1].at if entries else request.at  # the loop's clock stands in event time where it replays
    decision = answer_request(spec, replay(entries), facts, request, now)
    if isinstance(decision, Refuse):
        raise RequestRefusedError(request.action.verb, decision.reason)


def _spec_in_force(workspace: Workspace) -> "ModelLoopSpec | None":
    from driftloop.spec import ModelLoop

    if not workspace.loop_file.exists():
        return None
    return ModelLoop.model_validate_json(workspace.loop_file.read_bytes()).spec


def _wait_for_outcome(workspace: Workspace, request: "Request", *, quiet: bool) -> "list[LedgerEntry]":
    """Follow the ledger from the answer to what came of it, told line by line."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.loop.history import RequestRefused, RunFinished
    from driftloop.loop.telling import tell

    told: list[LedgerEntry] = []
    while True:
        running = workspace.is_in_use()  # asked before reading: what a loop that stops wrote last is still seen
        entries = read_ledger(workspace.ledger)
        story = _story_of(entries, request)
        for entry in story[len(told) :]:
            if isinstance(entry, RequestRefused):
                raise RequestRefusedError(entry.verb, entry.reason)
            if isinstance(entry, RunFinished) and entry.result is None:
                raise DriftloopError(tell(entry))
            if not quiet:
                typer.echo(tell(entry))
        told = story
        if told and _is_over(workspace, entries, told):
            return told
        if not running:
            raise LoopStoppedError(workspace.root)
        time.sleep(POLL_SECONDS)


def _story_of(entries: "list[LedgerEntry]", request: "Request") -> "list[LedgerEntry]":
    """Return the answer to a request, and what followed from it."""
    from driftloop.loop.history import Answer, Promoted, Rejected, RunFinished, RunStarted

    answer: Answer | None = next((e for e in entries if isinstance(e, Answer) and e.request_id == request.id), None)
    story: list[Any] = [answer] if answer else []
    if isinstance(answer, RunStarted):
        key = answer.run_key
        story += [e for e in entries if isinstance(e, RunFinished | Rejected) and e.run_key == key]
        story += [e for e in entries if isinstance(e, Promoted) and e.model.result.run_key == key]
    return story


def _is_over(workspace: Workspace, entries: "list[LedgerEntry]", story: "list[LedgerEntry]") -> bool:
    """Whether nothing more follows without a person."""
    from driftloop.loop.candidate import judge_candidate
    from driftloop.loop.decisions import Wait
    from driftloop.loop.history import RunFinished, RunStarted, replay

    last = story[-1]
    if isinstance(last, RunStarted):
        return False
    if not isinstance(last, RunFinished):
        return True
    spec, state = _spec_in_force(workspace), replay(entries)
    if spec is None or state.candidate is None:
        return False
    judgement = judge_candidate(spec, state, state.candidate)
    if isinstance(judgement, Wait):
        typer.echo(judgement.reasons[0], err=True)
        return True
    return False
