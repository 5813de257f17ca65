"""`driftloop approve`: let an accepted challenger serve, where the loop asks a person."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption
from driftloop.cli.clusterasking import ask_loop
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption
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
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)
