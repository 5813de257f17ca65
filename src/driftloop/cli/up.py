"""`driftloop up`: serve, watch and retrain one loop on this machine."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from driftloop.extras import require_extras

if TYPE_CHECKING:
    from rich.status import Status


def up(  # noqa: PLR0917 - one option for each thing that may be chosen
    file: Annotated[Path, typer.Argument(help="ModelLoop file.")],
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the loop's state. Default: .driftloop/NAME.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port for predictions.")] = 3000,
    labels_port: Annotated[int, typer.Option(help="Port for labels.")] = 3001,
    clock: Annotated[
        Literal["wall", "replay"], typer.Option(help="replay: event times come with the requests.")
    ] = "wall",
    as_json: Annotated[bool, typer.Option("--json", help="Print what happens as JSON, one event a line.")] = False,
) -> None:
    """Train if need be, serve, watch, retrain and promote. Ctrl-C stops; run again to go on."""
    from driftloop.controller.loopfile import load_for_laptop
    from driftloop.controller.workspace import open_workspace

    loop = load_for_laptop(file)
    # Whoever can't take alibi-detect's licence must be able to do without it.
    unused = ("alibi-detect",) if loop.spec.monitoring.engine == "SciPy" else ()
    require_extras("up", "pipeline", "monitor", "controller", unused=unused)
    from driftloop.controller.up import run_up

    voice: JsonVoice | ConsoleVoice = JsonVoice() if as_json else ConsoleVoice(Console())
    state = open_workspace(loop.metadata.name, workspace)
    voice.say(
        f"{loop.metadata.name}: predictions on http://127.0.0.1:{port}/predict, "
        f"labels on http://127.0.0.1:{labels_port}/labels, workspace {state.root}"
    )
    try:
        run_up(loop, state, port=port, labels_port=labels_port, clock=clock, voice=voice)
    finally:
        voice.end()


class JsonVoice:
    """Tells what happens to programs: one JSON object a line, as soon as it happens."""

    def __init__(self) -> None:
        self._shown = ""

    def say(self, sentence: str) -> None:
        """Print an event."""
        self._print("event", sentence)

    def show(self, activity: str, *, idle: bool) -> None:
        """Print what is under way, when that changes."""
        if activity != self._shown and not idle:
            self._print("activity", activity)
        self._shown = activity

    def end(self) -> None:
        """Nothing is left to be removed."""

    @staticmethod
    def _print(kind: str, text: str) -> None:
        typer.echo(json.dumps({"at": datetime.now(UTC).isoformat(), kind: text}, ensure_ascii=False))


class ConsoleVoice:
    """Tells what happens: plain lines, and on a terminal a last line that says what is being waited for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Status | None = None
        self._shown = ""

    def say(self, sentence: str) -> None:
        """Print a sentence; a terminal that is gone does not end the loop."""
        with contextlib.suppress(OSError):
            self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def show(self, activity: str, *, idle: bool) -> None:
        """Show an activity; where lines can't be replaced, print it unless nothing is under way."""
        if activity == self._shown:
            return
        self._shown = activity
        if not self._console.is_terminal:
            if activity and not idle:
                self.say(f"  {activity}")
            return
        from rich.markup import escape

        with contextlib.suppress(OSError):
            if self._live is None:
                self._live = self._console.status(escape(activity))
                self._live.start()
            self._live.update(escape(activity))

    def end(self) -> None:
        """Remove the last line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
