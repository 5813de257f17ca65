"""`driftloop approve`: let an accepted challenger serve, where the loop asks a person."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption, ask
from driftloop.cli.clusterasking import ask_cluster
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption, find_place
from driftloop.cli.status import JsonOption, WorkspaceOption


def approve(
    run_key: Annotated[str, typer.Argument(help="Key of the run whose model shall serve; `driftloop why` names it.")],
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Approve the challenger that waits (spec.promotion.approval: Manual)."""
    from driftloop.loop.requests import Approve

    action = Approve(run_key=run_key)
    place = find_place(context, namespace, loop, workspace)
    if place:
        ask_cluster(place, loop, action, wait=wait, as_json=as_json)
    else:
        ask(workspace, action, wait=wait, as_json=as_json)
