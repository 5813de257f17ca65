"""`driftloop logs`: server, monitor, controller and runs as one log, or all that is known about one prediction."""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftloop.cli.logmerge import Source
from driftloop.cli.status import JsonOption, NoWorkspaceError, WorkspaceOption
from driftloop.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.console import Console

    from driftloop.cli.logmerge import LogLine
    from driftloop.cli.predictiontrail import Trail

_POLL_SECONDS = 0.3
_COLOURS = {"server": "cyan", "monitor": "magenta", "controller": "green", "run": "yellow"}


def logs(  # noqa: PLR0917 - one option for each way to narrow it
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    since: Annotated[str, typer.Option(help="Only lines of the last while, such as 10m or 2h.")] = "",
    source: Annotated[
        list[Source] | None,
        typer.Option(help="Only lines of this program; may be given several times."),
    ] = None,
    prediction: Annotated[str, typer.Option(metavar="ID", help="All that is known about one prediction.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the loop's logs merged by time, or follow one prediction."""
    root = _find(workspace)
    if prediction:
        from driftloop.cli.predictiontrail import follow_prediction

        trail = follow_prediction(root, prediction)
        if as_json:
            typer.echo(json.dumps(trail.to_dict(), indent=2, default=str))
        else:
            _tell(trail)
        return
    from rich.console import Console

    from driftloop.cli.logmerge import LogFolder

    earliest = _earliest(since)
    folder, console = LogFolder(root, source or ()), Console(highlight=False, soft_wrap=True)
    while True:
        lines = [line for line in folder.read() if earliest is None or line.at >= earliest]
        _print(console, lines, as_json=as_json)
        if not follow:
            return
        time.sleep(_POLL_SECONDS)


def _find(named: Path | None) -> Path:
    if named:
        if not (named / "logs").is_dir():
            raise InvalidInputError(
                f"The workspace '{named}' must be a folder of a loop. It has no logs. Name one that 'driftloop up' or "
                "'driftloop run' has made."
            )
        return named
    found = sorted(path.parent for path in Path(".driftloop").glob("*/logs"))
    if len(found) != 1:
        raise NoWorkspaceError(found)
    return found[0]


def _earliest(since: str) -> datetime | None:
    if not since:
        return None
    from driftloop.spec.boundary import parse_duration

    try:
        age: timedelta = parse_duration(since)
    except ValueError as error:
        raise InvalidInputError(f"The option '--since' {error}. Got '{since}'.") from error
    return datetime.now() - age  # noqa: DTZ005 - logs tell local times


def _print(console: "Console", lines: Sequence["LogLine"], *, as_json: bool) -> None:
    from rich.text import Text

    for line in lines:
        if as_json:
            facts = {"at": line.at.isoformat(), "source": line.source, "origin": line.origin, "text": line.text}
            typer.echo(json.dumps(facts, ensure_ascii=False))
        else:
            mark = Text(f"{line.source:<10} ", style=_COLOURS[line.source])
            console.print(Text(f"{line.at:%H:%M:%S} ", style="dim"), mark, line.message, sep="", markup=False)


def _tell(trail: "Trail") -> None:
    def say(name: str, value: object) -> None:
        typer.echo(f"{name:<12}{value}")

    def pairs(values: dict[str, object]) -> str:
        return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())

    say("prediction", trail.prediction_id)
    say("answered", f"{trail.time:%Y-%m-%d %H:%M:%S.%f} UTC")
    if trail.key is not None:
        say("key", trail.key)
    say("features", pairs(trail.features))
    say("answer", pairs(trail.answer))
    standing = "the champion now" if trail.is_champion else "not the champion any more"
    say("model", f"{trail.model or 'unknown to the ledger'} ({trail.model_version}), {standing}")
    if trail.label_time:
        say("label", f"{json.dumps(trail.label)}, arrived {trail.label_time:%Y-%m-%d %H:%M:%S} UTC")
    else:
        say("label", "none so far")
    for verdict in trail.verdicts:
        window = verdict.window
        say(
            "window", f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M}, {verdict.kind}: {verdict.verdict}"
        )
        say("", verdict.summary)
    if not trail.verdicts:
        say("window", "no verdict so far: its window is open, or waits for labels")
