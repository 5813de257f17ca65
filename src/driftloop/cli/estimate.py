"""`driftloop estimate`: how many rows are needed before any are collected, and what a window of traffic can show."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftloop.cli.status import JsonOption
from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.cli.estimation import Estimate


def estimate(  # noqa: PLR0917 - one option for each thing that a person may know
    file: Annotated[Path, typer.Argument(help="ModelLoop file; its data need not exist yet.")],
    effect: Annotated[
        float, typer.Option(min=1e-4, max=0.5, help="How much better a challenger must be to be noticed.")
    ] = 0.02,
    score: Annotated[
        float | None, typer.Option(min=0.0, max=0.999, help="The metric you expect; .75, or .3 for r2.")
    ] = None,
    positive_rate: Annotated[
        float | None, typer.Option(min=1e-4, max=0.5, help="Share of the rarest class; from the data, or even shares.")
    ] = None,
    features: Annotated[int | None, typer.Option(min=1, help="Input columns; from the data, or 10.")] = None,
    rows_per_day: Annotated[float | None, typer.Option(min=0.01, help="Predictions a day.")] = None,
    width: Annotated[
        float, typer.Option(min=1e-3, max=0.5, help="Half width of the metric's 95 % interval you can live with.")
    ] = 0.05,
    curve: Annotated[
        bool, typer.Option("--curve", help="Train a linear model on ever more of the data: would more rows help?")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell how many rows a loop needs: to learn, to judge, to compare, to see drift.

    Before collecting. What the file and the data do not say is assumed, and named.
    """
    require_extras("estimate", "pipeline")
    from driftloop.cli.estimation import Given, estimate_rows
    from driftloop.controller.loopfile import load_for_laptop

    loop = load_for_laptop(file)
    given = Given(
        effect=effect,
        score=score,
        rate=positive_rate,
        features=features,
        rows_per_day=rows_per_day,
        width=width,
        curve=curve,
    )
    found = estimate_rows(loop, given)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    _show(found, loop.metadata.name)


def _show(found: "Estimate", loop: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"ModelLoop '{loop}': rows needed\n", markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("FOR", overflow="fold")
    for title in ("ROWS", "YOU HAVE", "ENOUGH"):
        table.add_column(title, justify="right")
    table.add_column("BY", overflow="fold")
    for need in found.needs:
        table.add_row(
            need.purpose, _count(need.rows, "no number"), _count(need.have, ""), _enough(need.is_enough), need.source
        )
    console.print(table)
    if found.per_class:
        console.print("\nRows per class to learn from:", markup=False)
        for label, (needed, have) in found.per_class.items():
            there = "" if have is None else f", {have:,} there"
            console.print(f"  {label}: {needed:,}{there}", markup=False)
    if found.curve:
        console.print("\nLearning curve (linear model, mean over subsets ± standard deviation):", markup=False)
        for point in found.curve:
            console.print(f"  {point.rows:>7,} rows  {point.score:.3f} ± {point.spread:.3f}", markup=False)
    console.print("\nIn short:", markup=False)
    for sentence in found.conclusions:
        console.print(f"• {sentence}", markup=False)
    console.print("\nAssumed:", markup=False)
    for sentence in found.assumptions:
        console.print(f"• {sentence}", markup=False)


def _count(rows: int | None, otherwise: str) -> str:
    return otherwise if rows is None else f"{rows:,}"


def _enough(is_enough: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[is_enough]
