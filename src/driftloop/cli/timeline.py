"""`driftloop timeline`: the loop's history as a page to look at."""

from pathlib import Path
from typing import Annotated

import typer

from driftloop.cli.status import WorkspaceOption, find_workspace, read_status
from driftloop.errors import InvalidInputError

PAGE = "timeline.html"


def timeline(
    workspace: WorkspaceOption = None,
    out: Annotated[Path | None, typer.Option(help=f"File to write. Default: {PAGE} in the workspace.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Draw what the loop did: scores, verdicts, runs, promotions, and the evidence behind them."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.controller.monitorview import MonitorView
    from driftloop.controller.workspace import Workspace
    from driftloop.loop.timeline import Story, build_timeline_page

    state = Workspace(find_workspace(workspace).resolve())
    monitor = MonitorView(state.monitor)
    page = (out or state.root / PAGE).resolve()
    story = Story(
        loop=read_status(state.root)["loop"],
        entries=read_ledger(state.ledger),
        verdicts=monitor.verdicts(),
        evidence=monitor.evidence(page.parent),
    )
    try:
        page.write_text(build_timeline_page(story), encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(
            f"The timeline '{page}' can't be written: {error.strerror}. Name another file with --out."
        ) from error
    typer.echo(f"wrote {page}")
    if open_page:
        typer.launch(page.as_uri())
