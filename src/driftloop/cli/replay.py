"""`driftloop replay`: traffic through the real monitor and decisions, in event time, much faster than real time."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from driftloop.cli.status import JsonOption
from driftloop.errors import InvalidInputError
from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.replay.findings import Detection, ReplayReport

_LETTERS = 110
_TABLE_WIDTH = 150
_ROOM_BYTES = 2 * 2**30
"""Room in memory that a replay is given; a log takes some 50 bytes a value."""
_MOST = 12
"""Alarms and retrainings that are printed; the page and the JSON have all."""


def replay(  # noqa: PLR0917 - one option for each thing that may be chosen
    where: Annotated[
        Path,
        typer.Argument(metavar="LOG|DATA", help="Workspace or prediction log of a loop, or a table (CSV, Parquet)."),
    ],
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="ModelLoop file. Default: the one in the workspace.")
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder of the loop's state, whose champion answers the rows. Default: a model is trained."),
    ] = None,
    injections: Annotated[
        list[str] | None,
        typer.Option("--inject", metavar="SPEC", help="'KIND column=NAME size=N start=WHEN end=WHEN', or a YAML file."),
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Draw unchanged traffic from the rows instead.")] = False,
    months: Annotated[float | None, typer.Option(help="With --generate: months of 30 days. Default: 1.")] = None,
    rows_per_hour: Annotated[
        float | None, typer.Option(help="With --generate: rows an hour on average. Default: as in the table.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.")] = 0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay traffic in event time: verdicts, detection delay, false alarms a month, what would be retrained, cost.

    A KIND is one of mean_shift, scale_shift, null_burst, unit_change, new_category, column_swap, stuck_sensor,
    feature_permutation, label_swap, class_prior, duplicated_feed, concept. WHEN is a date, a time, or a share of the
    replayed time (0 to 1). ramp=14d makes a change gradual, period=7d makes it come and go.
    """
    require_extras("replay", "pipeline", "monitor", "controller")
    if not generate and (months is not None or rows_per_hour is not None):
        raise InvalidInputError("The options --months and --rows-per-hour must come with --generate. Add it.")
    for name, value in (("--months", months), ("--rows-per-hour", rows_per_hour)):
        if value is not None and value <= 0:
            raise InvalidInputError(f"The {name} must be greater than 0. Got {value:g}.")
    if html and not html.absolute().parent.is_dir():
        raise InvalidInputError(f"The folder of '{html}' must exist. Make it, or name another file with --html.")
    from driftloop.replay.injectionspec import read_injections
    from driftloop.replay.lab import replay as run_replay
    from driftloop.replay.lab import with_injections
    from driftloop.replay.page import build_page
    from driftloop.replay.report import build_report
    from driftloop.replay.sources import Generation, Question, find

    asked = read_injections(injections or [])
    generation = Generation(months or 1.0, rows_per_hour) if generate else None
    console = Console(highlight=False, markup=False, stderr=as_json)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the folder below is removed
    with (
        tempfile.TemporaryDirectory(prefix="driftloop-replay-", dir=_memory()) as spare,
        console.status("reading") as status,
    ):
        folder = Path(spare)
        found = find(Question(where, file, workspace, generation, seed), folder / "model", status.update)
        plan = with_injections(found.plan, asked)
        replayed = run_replay(plan, folder / "replay", status.update)
        report = build_report(plan, replayed, source=found.source, training_seconds=found.training_seconds)
    if html:
        _write(html, build_page(report, replayed.verdicts, replayed.entries))
    if as_json:
        typer.echo(report.model_dump_json(by_alias=True, indent=2))
        return
    _show(console, report)
    if html:
        console.print(f"Page: {html}", soft_wrap=True)


def _memory() -> str | None:
    """Return a folder in memory, where nothing waits for a disk; None, the usual place, where there is none."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it has a name of its own
    has_room = "TMPDIR" not in os.environ and memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    return str(memory) if has_room and os.access(memory, os.W_OK) else None


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(
            f"The page '{path}' can't be written: {error.strerror}. Name another file with --html."
        ) from error


def _show(console: Console, report: "ReplayReport") -> None:
    from driftloop.replay.words import counts_words, duration_words, false_alarm_words, speed_words

    def say(sentence: str) -> None:
        console.print(sentence, soft_wrap=True)

    cost = report.cost
    say(
        f"Replayed {report.source}: {cost.rows:,} rows, {report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, in "
        f"{cost.seconds:.1f} s ({cost.times_real_time:,.0f} times real time, {speed_words(report)}; "
        f"{cost.cpu_seconds:.1f} s of one core)."
    )
    if cost.refused_rows:
        say(
            f"The model's server would have refused {cost.refused_rows:,} more rows: gaps or texts where it takes none."
        )
    say(f"Verdicts, {counts_words(report)}.")
    if report.injections:
        console.print()
        Console(highlight=False, markup=False, width=max(console.width, _TABLE_WIDTH)).print(_injections(report))
        console.print()
    say(false_alarm_words(report))
    for alarm in report.other_alarms[:_MOST]:
        say(f"  {alarm.start:%Y-%m-%d %H:%M}  {alarm.verdict} of {alarm.kind}, {_cut(alarm.summary)}")
    _tell_more(say, len(report.other_alarms))
    started = [run for run in report.retrainings if run.started]
    say(f"Would be retrained: {len(started)} times; {len(report.retrainings) - len(started)} held back.")
    for run in report.retrainings[:_MOST]:
        rows = "" if run.labelled_rows is None else f" from {run.labelled_rows:,} labelled rows"
        say(f"  {run.at:%Y-%m-%d %H:%M}  {f'retrain{rows}' if run.started else 'held back'}: {_cut(run.reason)}")
    _tell_more(say, len(report.retrainings))
    if report.quarantined:
        first = report.quarantined[0].start
        say(f"Kept out of training: {len(report.quarantined)} windows, from {first:%Y-%m-%d %H:%M}.")
    if cost.training_seconds is not None:
        total = f", {duration_words(cost.retraining_seconds)} in all" if cost.retraining_seconds else ""
        say(f"One training takes {duration_words(cost.training_seconds)} here{total}.")
    say(f"Note: {report.retraining}.")


def _injections(report: "ReplayReport") -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("INJECTED", "FROM", "TO", "FIRST ALARM", "FIRST FITTING ALARM", "ALARMING"):
        table.add_column(column)
    for finding in report.injections:
        noted = " (an alarm was on)" if finding.already_alarming else ""
        table.add_row(
            finding.injection,
            f"{finding.start:%Y-%m-%d %H:%M}",
            f"{finding.end:%Y-%m-%d %H:%M}",
            _detection(finding.first_alarm) + noted,
            _detection(finding.fitting_alarm),
            f"{finding.alarming_windows:,} of {finding.judged_windows:,}",
        )
    return table


def _detection(found: "Detection | None") -> str:
    from driftloop.replay.words import duration_words

    if found is None:
        return "none"
    return f"{found.verdict}, {found.kind} window {found.windows}, after {duration_words(found.delay_seconds)}"


def _tell_more(say: object, count: int) -> None:
    if count > _MOST and callable(say):
        say(f"  ... and {count - _MOST} more, in --json and --html.")


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
