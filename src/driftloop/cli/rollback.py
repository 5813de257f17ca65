"""`driftloop rollback`: let an earlier champion serve again."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption
from driftloop.cli.clusterasking import ask_loop
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption
from driftloop.cli.status import JsonOption, WorkspaceOption


def rollback(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[VERSION]", help="v2, or the first characters of a version. Default: the previous champion."
        ),
    ] = "",
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier champion; the one that is left is not promoted again by the same data."""
    from driftloop.loop.requests import Rollback

    action = Rollback(model=model)
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)
