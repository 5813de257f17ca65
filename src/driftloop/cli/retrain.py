"""`driftloop retrain`: start one run now, whatever drift and cooldown say."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption
from driftloop.cli.clusterasking import ask_loop
from driftloop.cli.clusterloop import ContextOption, LoopOption, NamespaceOption
from driftloop.cli.status import JsonOption, WorkspaceOption


def retrain(
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    workspace: WorkspaceOption = None,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    loop: LoopOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the loop for one run now: on labelled traffic, or on the file's data while there is none.

    Drift, cooldown and limit are passed over; spec.suspend, mode DryRun and spec.data.minRows hold. A challenger that
    waits for approval is set aside.
    """
    from driftloop.loop.requests import Retrain

    action = Retrain(reason=reason)
    ask_loop(action, workspace, context=context, namespace=namespace, loop=loop, wait=wait, as_json=as_json)
