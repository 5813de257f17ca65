"""`driftloop run`: run the pipeline that a loop would run first, once; nothing is promoted."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.spec import FeasibilityResult


def run(
    file: Annotated[Path, typer.Argument(help="ModelLoop file.")],
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the loop's state. Default: .driftloop/NAME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train, package and verify a candidate from the loop's data, and print its result.

    With `spec.model` the model is adopted instead; a ProofOfConcept is judged: go or no-go.
    """
    require_extras("run", "pipeline")
    from driftloop.adapters.kfp_local import FEASIBILITY
    from driftloop.controller.localrun import LocalRun, keep_page
    from driftloop.controller.loopfile import load_for_laptop
    from driftloop.controller.workspace import open_workspace
    from driftloop.loop.decide import first_pipeline
    from driftloop.spec import FeasibilityResult

    console = Console(highlight=False, markup=False, soft_wrap=True, stderr=as_json)
    loop = load_for_laptop(file)
    state = open_workspace(loop.metadata.name, workspace)
    key = f"manual-{time.time_ns():x}"
    result = LocalRun(
        loop,
        state,
        run_key=key,
        data_uri=loop.spec.data.uri,
        time_column=loop.spec.data.time_column,
        champion_uri="",
        pipeline=first_pipeline(loop.spec),
        say=console.print,
    ).wait()
    if as_json:
        typer.echo(result.model_dump_json(by_alias=True, indent=2))
        return
    if isinstance(result, FeasibilityResult):
        _tell_feasibility(console, result, keep_page(state.runs / key, FEASIBILITY))
        return
    where = "all given rows" if result.origin else "the test rows"
    console.print(f"{result.verdict}: {result.algorithm}, {result.metric} {result.test_score:.3f} on {where}")
    for reason in result.reasons:
        console.print(f"  {reason}")
    console.print(f"Bento {result.bento_tag}, in {result.bento_uri}")
    console.print(f"Serve it: BENTOML_HOME={state.bentoml_home} bentoml serve {result.bento_tag}")
    console.print(f"Log and reports: {state.runs / key}")


def _tell_feasibility(console: Console, result: "FeasibilityResult", report: Path) -> None:
    console.print(f"{result.verdict}: {result.algorithm}, {result.metric} {result.test_score:.3f} on the test rows")
    for sentence in (*result.reasons, *result.advice):
        console.print(f"  {sentence}")
    console.print(f"Report: {report}")
