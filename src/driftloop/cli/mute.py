"""`driftloop mute` and `driftloop unmute`: let drift alarms start no run and page nobody until a time."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption
from driftloop.cli.clusterasking import ask_loop
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption
from driftloop.cli.moments import parse_moment
from driftloop.cli.status import JsonOption, WorkspaceOption

KindOption = Annotated[str, typer.Option(help="One verdict, such as CovariateDrift. Default: every drift alarm.")]


def mute(
    until: Annotated[str, typer.Option(help="ISO 8601 date or time, UTC unless it says otherwise.")],
    reason: Annotated[str, typer.Option(help="Why; whoever misses the alarm will ask.")],
    kind: KindOption = "",
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let drift alarms start no run and page nobody until then.

    They are judged and recorded as ever. A data fault can't be muted.
    """
    from driftloop.loop.requests import Mute

    moment = parse_moment(until, "--until")
    action = Mute(until=f"{moment:%Y-%m-%dT%H:%M:%SZ}", kind=kind, reason=reason)
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)


def unmute(
    kind: Annotated[str, typer.Option(help="The verdict whose own mute ends. Default: every mute.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let drift alarms count again; one that still stands is answered."""
    from driftloop.loop.requests import Unmute

    action = Unmute(kind=kind, reason=reason)
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)
