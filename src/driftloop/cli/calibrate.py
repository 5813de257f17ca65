"""`driftloop calibrate`: which false-alarm budget the reference carries, and which shifts a window of traffic shows."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftloop.cli.status import JsonOption, WorkspaceOption, find_workspace
from driftloop.extras import require_extras

if TYPE_CHECKING:
    from rich.table import Table

    from driftloop.cli.calibration import Calibrated, Reference
    from driftloop.spec import ModelLoop, Power


def calibrate(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="ModelLoop file whose data are the reference. Default: a loop's champion."
        ),
    ] = None,
    rows_per_hour: Annotated[
        list[float] | None, typer.Option(min=0.01, help="Predictions an hour to look at; may be repeated.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which false-alarm budget the reference carries, and which shifts a window of traffic shows.

    Before a model is trained from its data, afterwards from the champion's baseline. Before there are data, plan with
    'driftloop estimate'.
    """
    require_extras("calibrate", "pipeline")
    from driftloop.cli.calibration import calibrate as measure
    from driftloop.cli.calibration import reference_of_file
    from driftloop.controller.loopfile import load_for_laptop

    if file is not None:
        loop = load_for_laptop(file)
        reference = reference_of_file(loop)
    else:
        loop, reference = _champion(workspace)
    found = measure(reference, loop.spec.monitoring, tuple(rows_per_hour or ()))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    _show(found, loop.metadata.name)


def _champion(named: Path | None) -> "tuple[ModelLoop, Reference]":
    """Return the loop of a workspace and the baseline of its champion.

    Raises:
        NoBaselineError: no champion serves, or its baseline can't be read.
    """
    from driftloop.cli.calibration import NoBaselineError, reference_of_baseline
    from driftloop.controller.ledger import read_ledger
    from driftloop.controller.workspace import Workspace
    from driftloop.loop.history import replay
    from driftloop.monitor.baseline import Baseline
    from driftloop.spec import ModelLoop

    workspace = Workspace(find_workspace(named))
    champion = replay(read_ledger(workspace.ledger)).champion
    if champion is None:
        raise NoBaselineError(workspace.root, "no model serves yet")
    path = workspace.baselines / champion.version / "baseline.json"
    try:
        loop = ModelLoop.model_validate_json(workspace.loop_file.read_bytes())
        baseline = Baseline.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NoBaselineError(workspace.root, str(error)) from error
    return loop, reference_of_baseline(baseline, f"{champion.label} ({champion.version})")


def _show(found: "Calibrated", loop: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from driftloop.cli.calibration import is_blind, shift_words
    from driftloop.spec.boundary import format_duration

    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False)

    say(f"ModelLoop '{loop}': {found.reference}\n")
    say(f"False-alarm budget: {found.budget.asked:.3g} per 30 days asked, {found.budget.carried:.3g} carried")
    for reason in found.budget.reasons:
        say(f"• {reason}")
    say("")
    thresholds = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    thresholds.add_column("WATCHED")
    for title in ("COLUMNS", "ALARM AT P BELOW", "ROWS WORTH ONE", "SEASONAL"):
        thresholds.add_column(title, justify="right")
    for one in found.thresholds:
        thresholds.add_row(
            one.kind, str(one.columns), f"{one.p_value:.2g}", f"{one.design_effect:.2f}", str(one.seasonal)
        )
    console.print(thresholds)
    say("\nSmallest shift of a typical column that one window shows with probability 0.9:")
    console.print(_what_if(found))
    for length, budget in found.budgets.items():
        for reason in budget.reasons if budget.reasons != found.budget.reasons else ():
            say(f"• windows of {format_duration(length)}: {reason}")
    say(f"No shift of less than {found.least_share:.0%} of traffic is called drift (spec.monitoring.minEffectSize).")
    blind = [name for name, power in found.columns.items() if is_blind(power)]
    seen = [f"{name} {shift_words(power)}" for name, power in found.columns.items() if name not in blind]
    told = "; ".join(seen).replace(" of traffic", "") or "none"
    say(f"\nColumn by column, in a window of {found.rows:,} rows: {told}")
    if blind:
        say(f"No shift is seen for certain of: {', '.join(blind)}")
    say("\nIn short:")
    for sentence in found.conclusions:
        say(f"• {sentence}")


def _what_if(found: "Calibrated") -> "Table":
    """Return rates by lengths of windows."""
    from rich.table import Table

    from driftloop.cli.calibration import number_words
    from driftloop.spec.boundary import format_duration

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("ROWS AN HOUR", justify="right")
    lengths = list(found.budgets)
    for length in lengths:
        table.add_column(f"WINDOW {format_duration(length)}", justify="right")
    cells = {(reach.rows_per_hour, reach.window): reach.power for reach in found.reaches}
    for rate in dict.fromkeys(reach.rows_per_hour for reach in found.reaches):
        table.add_row(number_words(rate), *(_cell(cells[rate, length]) for length in lengths))
    table.add_row("budget carried", *(number_words(budget.carried) for budget in found.budgets.values()))
    return table


def _cell(power: "Power | None") -> str:
    from driftloop.cli.calibration import is_blind, shift_words

    if power is None:
        return "too few rows"
    return "none" if is_blind(power) else shift_words(power).replace(" of traffic", "")
