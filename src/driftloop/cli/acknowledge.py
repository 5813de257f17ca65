"""`driftloop acknowledge`: say that people know of a drift episode."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption
from driftloop.cli.clusterasking import ask_loop
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption
from driftloop.cli.status import JsonOption, WorkspaceOption


def acknowledge(
    report: Annotated[str, typer.Argument(help="Name of a drift report of the episode, or: newest.")],
    reason: Annotated[str, typer.Option(help="What is known; whoever comes next will ask.")],
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say that an open drift episode is known: it starts no run and pages nobody any more; the next one does."""
    from driftloop.loop.requests import Acknowledge

    action = Acknowledge(report=report, reason=reason)
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)
