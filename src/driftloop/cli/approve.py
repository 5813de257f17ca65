"""`driftloop approve`: let an accepted challenger serve, where the loop asks a person."""

from typing import Annotated

import typer

from driftloop.cli.status import WorkspaceOption, find_workspace, read_status
from driftloop.controller.workspace import Workspace
from driftloop.errors import InvalidInputError


def approve(
    run_key: Annotated[str, typer.Argument(help="Key of the run whose model shall serve; `driftloop why` names it.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Approve the challenger that waits (spec.promotion.approval: Manual)."""
    state = Workspace(find_workspace(workspace))
    candidate = read_status(state.root)["candidate"]
    if candidate is None or candidate["run"] != run_key:
        waiting = candidate["run"] if candidate else "none"
        raise InvalidInputError(
            f"The run key must be that of the challenger that waits. Got '{run_key}'; waiting: {waiting}."
        )
    (state.approvals / run_key).touch()
    typer.echo(f"Approved {candidate['label']} ({run_key}).")
