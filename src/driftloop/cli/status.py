"""`driftloop status` and `driftloop why`: what the loop is doing, and what it waits for."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from driftloop.cli.clusterloop import ContextOption, LoopArgument, NamespaceOption, find_place
from driftloop.controller.workspace import Workspace
from driftloop.errors import InvalidInputError

WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of the loop's state. Default: the only one in .driftloop.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NoLoopHereError(InvalidInputError):
    """No loop ever ran in the folder that was named."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"The --workspace must be the folder of a loop that has run. Got '{folder}', which has no ledger. "
            "Name another, or start the loop with 'driftloop up FILE'."
        )


class NoWorkspaceError(InvalidInputError):
    """It is not clear which loop is meant, or there is none."""

    def __init__(self, found: list[Path]) -> None:
        names = ", ".join(str(path) for path in found) or "none"
        super().__init__(
            f"There must be exactly one workspace in .driftloop to choose it by itself. Found: {names}. "
            "Start a loop with 'driftloop up FILE', or name its folder with --workspace."
        )


class LoopFileMissingError(InvalidInputError):
    """A workspace lacks the ModelLoop that it ran."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            f"The workspace '{workspace.root}' must hold '{workspace.loop_file.name}', the ModelLoop that ran in it. "
            "It is gone. Start the loop again with: driftloop up FILE"
        )


def status(
    name: LoopArgument = None,
    workspace: WorkspaceOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the champion, the newest verdict and the last decisions: of a loop here, or of loops in a cluster."""
    place = find_place(context, namespace, name, workspace)
    if place:
        from driftloop.cli.clusterstatus import show_status

        show_status(place, name, as_json=as_json)
        return
    facts = read_status(workspace)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    conditions = {c["type"]: c["status"] == "True" for c in facts["conditions"]}
    champion, verdict = facts["champion"], facts["lastVerdict"]
    show_table(
        [
            [
                facts["loop"],
                str(conditions["Ready"]) if facts["running"] else "stopped",
                champion["label"] if champion else "none yet",
                f"{champion['metric']} {champion['score']:.3f}" if champion else "",
                verdict["verdict"] if verdict else "no verdict yet",
                str(facts["promotions"]),
                count_words(facts["labelledRows"]),
            ]
        ]
    )
    from driftloop.loop.history import LEDGER_ENTRY
    from driftloop.loop.telling import tell

    for sentence in _alarm_words(facts):
        typer.echo(f"  {sentence}")
    for criterion in facts["successCriteria"]:
        typer.echo(f"  {_tell_criterion(criterion)}")
    for request in facts["requests"]:
        typer.echo(f"  asked by {request['by']}, not answered yet: {request['verb']} ({request['id']})")
    for entry in facts["history"]:
        typer.echo(f"  {day_words(entry['at'])}  {tell(LEDGER_ENTRY.validate_python(entry))}")


def why(
    name: LoopArgument = None,
    workspace: WorkspaceOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the loop waits for: rows and labels so far, the next evaluation, what blocks."""
    place = find_place(context, namespace, name, workspace)
    if place:
        from driftloop.cli.clusterstatus import show_reasons

        show_reasons(place, name, as_json=as_json)
        return
    facts = read_status(workspace)
    keys = (
        "running",
        "waitingFor",
        "run",
        "log",
        "labels",
        "labelledRows",
        "minRows",
        "nextWindowEnd",
        "requests",
        "mutes",
        "episodes",
        "lastFailure",
    )
    if as_json:
        typer.echo(json.dumps({key: facts[key] for key in keys if key in facts}, indent=2))
        return
    _show_reasons(facts)


def _show_reasons(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    for reason in _reasons(facts):
        console.print(f"• {reason}")
    log = facts["log"]
    if log:
        told = f"{log['rows']:,} predictions logged, {log['labels']:,} labels, {log['dropped']:,} dropped"
        console.print(f"so far: {told}")
        if log.get("late"):
            console.print(f"too late for a verdict: {log['late']:,} predictions; they are used for training")
    rows = count_words(facts["labelledRows"])
    console.print(f"labelled rows to train on: {rows} (at least {facts['minRows']:,} are needed)")
    if facts["labels"].get("predictions"):
        console.print(label_words(facts["labels"]))
    if facts["labels"].get("arrival"):
        console.print(f"labels: {facts['labels']['arrival']}")
    delay = facts["expectedLabelDelay"]
    console.print(f"next window ends: {day_words(facts['nextWindowEnd'])}; its performance is judged {delay} later")
    if facts["lastFailure"]:
        console.print(f"last failure: {facts['lastFailure']}")


def _reasons(facts: dict[str, Any]) -> list[str]:
    """Return what is waited for, and what bears on it."""
    told = [] if facts["running"] else ["nobody runs this loop; start it with: driftloop up FILE"]
    told += facts["waitingFor"] or (["nothing: a decision is being carried out"] if facts["running"] else [])
    for request in facts["requests"]:
        told.append(f"{request['verb']} was asked by {request['by']} and is not answered yet ({request['id']})")
    told += _alarm_words(facts)
    if facts["run"]:
        told.append(f"the run is at: {facts['run']['stage'] or 'its start'}")
    return told


def _alarm_words(facts: dict[str, Any]) -> list[str]:
    """Return what bears on the alarms: a budget that can't be kept, silences in force, open episodes."""
    episodes = [episode_words(episode) for episode in facts.get("episodes", ())]
    return [*watch_words(facts["conditions"]), *facts.get("mutes", ()), *episodes]


def show_table(rows: list[list[str]]) -> None:
    """Print loops, one a row."""
    table = Table(show_header=True, box=None)
    for column in ("LOOP", "READY", "CHAMPION", "SCORE", "DRIFT", "PROMOTIONS", "LABELLED"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def find_workspace(named: Path | None) -> Path:
    """Return the folder of the loop that is meant: the one named, or the only one there is.

    Raises:
        NoWorkspaceError: none was named and there is not exactly one.
        NoLoopHereError: no loop ever ran in the folder named.
    """
    if named:
        if not Workspace(named).ledger.exists():
            raise NoLoopHereError(named)
        return named
    found = sorted(path.parent for path in Path(".driftloop").glob("*/ledger.jsonl"))
    if len(found) != 1:
        raise NoWorkspaceError(found)
    return found[0]


def read_status(named: Path | None) -> dict[str, Any]:
    """Return the status a loop has published; where that is gone, what its ledger tells."""
    workspace = Workspace(find_workspace(named))
    running = workspace.is_in_use()
    published = _read_published(workspace)
    if running and published:
        return published | {"running": True}
    # Nobody keeps the published status up to date: people may have asked for something since.
    rebuilt = _project_from_ledger(workspace)
    kept = published or rebuilt
    return kept | {"requests": rebuilt["requests"], "running": running}


def _read_published(workspace: Workspace) -> dict[str, Any]:
    """Return the published status; nothing where it is wiped or damaged."""
    try:
        status: dict[str, Any] = json.loads(workspace.status.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return status


def _project_from_ledger(workspace: Workspace) -> dict[str, Any]:
    """Return the status that follows from the files of a loop that nobody runs."""
    from driftloop.controller.ledger import read_ledger
    from driftloop.controller.monitorview import MonitorView
    from driftloop.controller.requestbox import RequestBox
    from driftloop.loop.decisions import Facts, Wait
    from driftloop.loop.history import replay
    from driftloop.loop.status import project_status
    from driftloop.predictionlog import PredictionLogReader
    from driftloop.spec import ModelLoop

    try:
        loop = ModelLoop.model_validate_json(workspace.loop_file.read_bytes())
    except FileNotFoundError as error:
        raise LoopFileMissingError(workspace) from error
    entries = read_ledger(workspace.ledger)
    state = replay(entries)
    return project_status(
        loop,
        state,
        Facts(
            loop_uid=workspace.uid(),
            verdicts=MonitorView(workspace.monitor).verdicts(),
            requests=RequestBox(workspace.requests).open_requests(state.handled),
        ),
        Wait(()),
        now=entries[-1].at,
        settled_through=None,
        serving=False,
        watching=False,
        recent=entries,
        log=asdict(PredictionLogReader(workspace.log).counts()),
        labels={},
        run_stage="",
        addresses={},
    ) | {"labelledRows": None}


def watch_words(conditions: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the watch though it goes on: the false-alarm budget is not the one asked for."""
    return [
        condition["message"]
        for condition in conditions
        if condition["type"] == "Monitored" and condition["status"] == "True" and condition.get("message")
    ]


def episode_words(episode: dict[str, str]) -> str:
    """Return one line about an open drift episode, and how to say that it is known."""
    told = f"drift episode since {day_words(episode['since'])} ({episode['kind']}): {episode['verdict']}"
    if episode["quiet"]:
        return f"{told}; {episode['quiet']}"
    return f"{told}; if you know of it: driftloop acknowledge {episode['report']} --reason TEXT"


def label_words(labels: dict[str, Any]) -> str:
    """Return one line on how far the truth about the newest complete window is known."""
    told = f"{labels['labelled']:,} of {labels['predictions']:,} labelled"
    if labels["waiting"]:
        told += f"; {labels['waiting']:,} still expected"
    if labels["overdue"]:
        told += f"; {labels['overdue']:,} overdue"
    return f"window of {day_words(labels['windowStart'])} to {day_words(labels['windowEnd'])}: {told}"


def count_words(rows: int | None) -> str:
    """Return a count of rows in words."""
    return "not counted" if rows is None else f"{rows:,}"


def day_words(text: str) -> str:
    """Return an ISO 8601 time to the minute."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"


def _tell_criterion(criterion: dict[str, Any]) -> str:
    """One line about a success criterion: where it was, is and shall be."""
    baseline = "" if criterion["baseline"] is None else f", from {criterion['baseline']:g}"
    goal = f"goal {criterion['goal']:g}{baseline}"
    if criterion["value"] is None:
        return f"{criterion['name']}: not measured yet ({goal}); driftloop record NAME VALUE"
    verdict = {True: ", reached", False: ", not reached", None: ""}[criterion["reached"]]
    note = f"; {criterion['note']}" if criterion["note"] else ""
    measured = f"measured {day_words(criterion['measuredAt'])} by {criterion['by']}{note}"
    return f"{criterion['name']}: {criterion['value']:g} ({goal}{verdict}; {measured})"
