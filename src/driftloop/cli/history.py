"""`driftloop history`: everything that happened to a loop, from its ledger alone."""

import json
from typing import Annotated

import typer

from driftloop.cli.moments import show_moment
from driftloop.cli.status import JsonOption, WorkspaceOption, find_workspace
from driftloop.controller.workspace import Workspace


def history(
    limit: Annotated[int | None, typer.Option(min=1, help="Show the newest N entries only.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the whole history: runs, promotions, rollbacks, requests and records, with when, why and who."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.loop.telling import links, tell

    entries = read_ledger(Workspace(find_workspace(workspace)).ledger)[-(limit or 0) :]
    if as_json:
        told = [entry.to_dict() | {"text": tell(entry), "links": links(entry)} for entry in entries]
        typer.echo(json.dumps(told, indent=2))
        return
    for entry in entries:
        typer.echo(f"{show_moment(entry.at)}  {tell(entry)}")
        for name, link in links(entry).items():
            typer.echo(f"{'':18}{name}: {link}")
