"""`driftloop run`: run the pipeline that a loop would run first, once; nothing is promoted."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from driftloop.cli.status import JsonOption
from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.controller.localrun import LocalRun
    from driftloop.spec import FeasibilityResult

_REFRESH_SECONDS = 0.2


def run(
    file: Annotated[Path, typer.Argument(help="ModelLoop file.")],
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the loop's state. Default: .driftloop/NAME.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, package and verify a candidate from the loop's data, and print its result.

    With `spec.model` the model is adopted instead; a ProofOfConcept is judged: go or no-go.
    """
    require_extras("run", "pipeline")
    from driftloop.adapters.kfp_local import FEASIBILITY, report_page
    from driftloop.controller.localrun import LocalRun
    from driftloop.controller.loopfile import load_for_laptop
    from driftloop.controller.workspace import open_workspace
    from driftloop.loop.decide import first_pipeline
    from driftloop.spec import FeasibilityResult

    console = Console(highlight=False, markup=False, soft_wrap=True, stderr=as_json)
    loop = load_for_laptop(file)
    state = open_workspace(loop.metadata.name, workspace)
    key, began = f"manual-{time.time_ns():x}", time.monotonic()
    training = LocalRun(
        loop,
        state,
        run_key=key,
        data_uri=loop.spec.data.uri,
        time_column=loop.spec.data.time_column,
        champion_uri="",
        pipeline=first_pipeline(loop.spec),
        say=lambda progress: console.print(f"{time.monotonic() - began:5.1f} s  {progress}"),
    )
    try:
        _wait(training, console)
    except KeyboardInterrupt:
        training.cancel()
        raise
    result = training.wait()
    if as_json:
        typer.echo(result.model_dump_json(by_alias=True, indent=2))
        return
    if isinstance(result, FeasibilityResult):
        _tell_feasibility(console, result, report_page(state.runs / key, FEASIBILITY))
        return
    where = "all given rows" if result.origin else "the test rows"
    console.print(f"{result.verdict}: {result.algorithm}, {result.metric} {result.test_score:.3f} on {where}")
    for reason in result.reasons:
        console.print(f"  {reason}")
    console.print(f"Bento {result.bento_tag}, in {result.bento_uri}")
    console.print(f"Serve it: BENTOML_HOME={state.bentoml_home} bentoml serve {result.bento_tag}")
    console.print(f"Log and reports: {state.runs / key}")


def _wait(training: "LocalRun", console: Console) -> None:
    """Wait for the run's end; on a terminal, name what is waited for and for how long."""
    began, progress, since = time.monotonic(), "", time.monotonic()
    with console.status("") as status:
        while not training.is_done:
            if training.progress != progress:
                progress, since = training.progress, time.monotonic()
            now = time.monotonic()
            status.update(f"waiting for {progress}: {now - since:.0f} s, {now - began:.0f} s in all")
            time.sleep(_REFRESH_SECONDS)


def _tell_feasibility(console: Console, result: "FeasibilityResult", report: Path) -> None:
    console.print(f"{result.verdict}: {result.algorithm}, {result.metric} {result.test_score:.3f} on the test rows")
    for sentence in (*result.reasons, *result.advice):
        console.print(f"  {sentence}")
    console.print(f"Report: {report}")
