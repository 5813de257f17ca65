"""`driftloop served-at`: what was champion at a moment, trained on what, approved by whom; from the ledger alone."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from driftloop.cli.moments import parse_moment, show_moment
from driftloop.cli.status import JsonOption, WorkspaceOption, find_workspace
from driftloop.controller.workspace import Workspace

if TYPE_CHECKING:
    from driftloop.loop.tenure import Tenure


def served_at(
    time: Annotated[str, typer.Argument(help="ISO 8601 date or time; UTC unless it says otherwise.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what served at a moment: model, Bento, data, run, why it was promoted and by whose approval."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.loop.tenure import served_at as find_served

    moment = parse_moment(time, "TIME")
    tenure = find_served(read_ledger(Workspace(find_workspace(workspace)).ledger), moment)
    if as_json:
        typer.echo(json.dumps({"time": moment.isoformat(), "served": tenure.to_dict() if tenure else None}, indent=2))
        return
    if tenure is None:
        typer.echo(f"Nothing served at {show_moment(moment)} UTC: no model had been promoted.")
        return
    typer.echo(f"At {show_moment(moment)} UTC {tenure.model} served, model version {tenure.version}.")
    for name, value in _describe(tenure).items():
        typer.echo(f"  {name:<13}{value}")


def _describe(tenure: "Tenure") -> dict[str, str]:
    through = f", through {show_moment(tenure.trained_through)} UTC" if tenure.trained_through else ""
    until = f"{show_moment(tenure.until)} UTC" if tenure.until else "now"
    facts = {
        "from": f"{show_moment(tenure.since)} UTC",
        "until": until,
        "because": tenure.why,
        "asked by": tenure.asked_by,
        "approved by": tenure.approved_by or "nobody was asked",
        "model": f"{tenure.algorithm}, {tenure.metric} {tenure.test_score:.3f} on its test rows",
        "Bento": f"{tenure.bento_tag}, sha256 {tenure.bento_digest}",
        "trained on": f"{tenure.rows:,} rows of {tenure.data_uri}{through}",
        "data": f"sha256 {tenure.data_digest}",
        "run": f"{tenure.run_key}: {tenure.run_reason}",
        "image": tenure.runtime_image,
    }
    return {name: value for name, value in facts.items() if value}
