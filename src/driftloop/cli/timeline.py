"""`driftloop timeline`: the loop's history as a page to look at."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from driftloop.cli.status import WorkspaceOption, find_workspace, read_status
from driftloop.errors import InvalidInputError

if TYPE_CHECKING:
    from driftloop.loop.timeline import EvidenceKey

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
    verdicts = MonitorView(state.monitor).verdicts()
    page = (out or state.root / PAGE).resolve()
    story = Story(
        loop=read_status(state.root)["loop"],
        entries=read_ledger(state.ledger),
        verdicts=verdicts,
        evidence=find_evidence(state.monitor / "reports", page.parent),
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


def find_evidence(reports: Path, seen_from: Path) -> "dict[EvidenceKey, str]":
    """Return the pages behind the drift reports in a folder, as addresses relative to another folder."""
    from driftloop.spec import DriftReport

    found = {}
    for file in reports.glob("*.json"):
        page = file.with_suffix(".html")
        if page.exists():
            verdict = DriftReport.model_validate_json(file.read_bytes()).verdict
            address = quote(os.path.relpath(page, seen_from).replace(os.sep, "/"))
            found[verdict.kind, verdict.model_version, verdict.window.start] = address
    return found
