"""`driftloop status` and `driftloop why`: what the loop is doing, and what it waits for."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from driftloop.controller.workspace import Workspace
from driftloop.errors import InvalidInputError

WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of the loop's state. Default: the only one in .driftloop.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NoWorkspaceError(InvalidInputError):
    """It is not clear which loop is meant, or there is none."""

    def __init__(self, found: list[Path]) -> None:
        names = ", ".join(str(path) for path in found) or "none"
        super().__init__(
            f"There must be exactly one workspace in .driftloop to choose it by itself. Found: {names}. "
            "Start a loop with 'driftloop up FILE', or name its folder with --workspace."
        )


def status(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show the champion, the newest verdict and the last decisions."""
    facts = read_status(workspace)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    console = Console()
    conditions = {c["type"]: c["status"] == "True" for c in facts["conditions"]}
    champion, verdict = facts["champion"], facts["lastVerdict"]
    table = Table(show_header=True, box=None)
    for column in ("LOOP", "READY", "CHAMPION", "SCORE", "DRIFT", "PROMOTIONS", "LABELLED"):
        table.add_column(column)
    table.add_row(
        facts["loop"],
        str(conditions["Ready"]) if facts["running"] else "stopped",
        champion["label"] if champion else "none yet",
        f"{champion['metric']} {champion['score']:.3f}" if champion else "",
        verdict["verdict"] if verdict else "no verdict yet",
        str(facts["promotions"]),
        f"{facts['labelledRows']:,}",
    )
    console.print(table)
    for entry in facts["history"]:
        console.print(f"  {_day(entry['at'])}  {_describe(entry)}", highlight=False, markup=False)


def why(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show what the loop waits for: rows and labels so far, the next evaluation, what blocks."""
    facts = read_status(workspace)
    keys = ("running", "waitingFor", "run", "log", "labelledRows", "minRows", "nextWindowEnd", "lastFailure")
    if as_json:
        typer.echo(json.dumps({key: facts[key] for key in keys}, indent=2))
        return
    console = Console(highlight=False, markup=False)
    if not facts["running"]:
        console.print("• nobody runs this loop; start it with: driftloop up FILE")
    for reason in facts["waitingFor"] or ["nothing: a decision is being carried out"]:
        console.print(f"• {reason}")
    if facts["run"]:
        console.print(f"• the run is at: {facts['run']['stage'] or 'its start'}")
    log = facts["log"]
    console.print(f"so far: {log['rows']:,} predictions logged, {log['labels']:,} labels, {log['dropped']:,} dropped")
    if log.get("late"):
        console.print(f"too late for a verdict: {log['late']:,} predictions; they are used for training")
    console.print(f"labelled rows to train on: {facts['labelledRows']:,} (at least {facts['minRows']:,} are needed)")
    delay = facts["expectedLabelDelay"]
    console.print(f"next window ends: {_day(facts['nextWindowEnd'])}; its performance is judged {delay} later")
    if facts["lastFailure"]:
        console.print(f"last failure: {facts['lastFailure']}")


def find_workspace(named: Path | None) -> Path:
    """Return the folder of the loop that is meant: the one named, or the only one there is.

    Raises:
        NoWorkspaceError: none was named and there is not exactly one, or nothing was published in it yet.
    """
    if named:
        if not (named / "status.json").exists():
            raise NoWorkspaceError([])
        return named
    found = sorted(path.parent for path in Path(".driftloop").glob("*/status.json"))
    if len(found) != 1:
        raise NoWorkspaceError(found)
    return found[0]


def read_status(workspace: Path | None) -> dict[str, Any]:
    """Return the status a loop has published."""
    root = find_workspace(workspace)
    facts: dict[str, Any] = json.loads((root / "status.json").read_text())
    return facts | {"running": Workspace(root).is_in_use()}


def _day(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"


def _describe(entry: dict[str, Any]) -> str:
    """One line of history, in plain words."""
    match entry["entry"]:
        case "RunStarted":
            return f"training v{entry['number']}: {entry['reason']}"
        case "RunFinished":
            return f"run {entry['runKey']} {'finished' if entry.get('result') else 'failed: ' + entry['error']}"
        case "Promoted":
            return f"{_label(entry)} promoted: {entry['reason']}"
        case "RolledBack":
            return f"rolled back to {_label(entry)}: {entry['reason']}"
        case "Started":
            return "controller started"
        case kind:
            return f"{kind}: {entry['reason']}"


def _label(entry: dict[str, Any]) -> str:
    return f"v{entry['model']['number']}"
