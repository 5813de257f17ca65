"""`driftloop up`: serve, watch and retrain one loop on this machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from driftloop.extras import require_extras


def up(
    file: Annotated[Path, typer.Argument(help="ModelLoop file.")],
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the loop's state. Default: .driftloop/NAME.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port for predictions.")] = 3000,
    labels_port: Annotated[int, typer.Option(help="Port for labels.")] = 3001,
    clock: Annotated[
        Literal["wall", "replay"], typer.Option(help="replay: event times come with the requests.")
    ] = "wall",
) -> None:
    """Train if need be, serve, watch, retrain and promote. Ctrl-C stops; run again to go on."""
    from driftloop.controller.loopfile import load_for_laptop
    from driftloop.controller.workspace import open_workspace

    loop = load_for_laptop(file)
    # Whoever can't take alibi-detect's licence must be able to do without it.
    unused = ("alibi-detect",) if loop.spec.monitoring.engine == "SciPy" else ()
    require_extras("up", "pipeline", "monitor", "controller", unused=unused)
    from driftloop.controller.up import run_up

    console = Console()
    state = open_workspace(loop.metadata.name, workspace)
    console.print(f"{loop.metadata.name}: predictions on http://127.0.0.1:{port}/predict, ", end="")
    console.print(f"labels on http://127.0.0.1:{labels_port}/labels, workspace {state.root}")
    run_up(
        loop,
        state,
        port=port,
        labels_port=labels_port,
        clock=clock,
        say=lambda sentence: console.print(sentence, highlight=False, markup=False, soft_wrap=True),
    )
