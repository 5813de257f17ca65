"""`driftloop demo`: the whole loop on real flights, in about five minutes."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.demo.run import DemoOutcome

TABLE_WIDTH = 132
"""Columns of the timeline's table where the output is no terminal, or a narrow one."""


def demo(
    full: Annotated[bool, typer.Option("--full", help="Replay the whole year, not only March to August.")] = False,
    workspace: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        ".driftloop/flight-delays-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the sample of flights.")] = 0,
) -> None:
    """Train on January and February 2013, replay the months after as live traffic, retrain on drift."""
    require_extras("demo", "pipeline", "monitor", "controller", "demo")
    from driftloop.demo.run import DemoPlan, run_demo

    console = Console(highlight=False)
    began = time.monotonic()

    def say(sentence: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {sentence}", markup=False, soft_wrap=True)

    until = datetime(2014, 1, 1, tzinfo=UTC) if full else datetime(2013, 9, 1, tzinfo=UTC)
    plan = DemoPlan(workspace, until=until, seed=seed, judged_month=12 if full else 8)
    outcome = run_demo(plan, say)
    _show(console, outcome)
    console.print(f"\nThe timeline to look at: {outcome.page}", soft_wrap=True)


def _show(console: Console, outcome: "DemoOutcome") -> None:
    from driftloop.demo.timeline import COLUMNS

    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column.upper(), justify="right" if column in ("flights", "AUC", "first model") else "left")
    for row in outcome.rows:
        table.add_row(*row.cells())
    console.print()
    Console(width=max(console.width, TABLE_WIDTH)).print(table)
    final = outcome.final
    gain = (
        f"\nAll {final.rows:,} flights of {final.month}: champion {final.champion} has AUC {final.champion_auc:.3f}, "
        f"the first model {final.first_auc:.3f}: {final.difference:+.3f} "
        f"(95 % interval {final.lower:+.3f} to {final.upper:+.3f})."
    )
    fitted = f"It was fitted on flights until {final.fitted_through:%d %B}." if final.fitted_through else ""
    service = f"A client asked {outcome.requests:,} times all the while: {len(outcome.failures)} requests failed."
    times = (
        f"First prediction after {outcome.first_prediction_seconds:.0f} s, first verdict after "
        f"{outcome.first_verdict_seconds:.0f} s, everything in {outcome.total_seconds:.0f} s."
    )
    for sentence in (f"{gain} {fitted}", service, *outcome.failures[:3], times):
        console.print(sentence, markup=False, soft_wrap=True)
