"""`driftloop explain`: every default in force with its reason, and what the file sets itself."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftloop.cli.status import JsonOption
from driftloop.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.console import Console

    from driftloop.cli.explanation import ColumnExplanation, Explanation
    from driftloop.spec import ModelLoop

_NARROWEST_TABLE = 100


def explain(
    file: Annotated[Path, typer.Argument(help="ModelLoop file.")],
    show_all: Annotated[bool, typer.Option("--all", help="Also fields that are empty or have no effect yet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is in force for a loop, and why.

    Every default with its reason, and what `Auto` comes to for this task and these data.
    """
    from driftloop.cli.explanation import explain as explain_fields
    from driftloop.cli.explanation import matters
    from driftloop.controller.loopfile import load_for_laptop

    loop = load_for_laptop(file)
    fields = [field for field in explain_fields(loop) if show_all or as_json or matters(field)]
    columns, notes = _look_at_data(loop)
    if as_json:
        facts = {
            "loop": loop.metadata.name,
            "fields": [asdict(field) for field in fields],
            "columns": [asdict(column) for column in columns],
            "notes": notes,
        }
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console = console if console.width >= _NARROWEST_TABLE else Console(highlight=False, width=_NARROWEST_TABLE)
    _show_fields(console, fields, loop.metadata.name)
    _show_columns(console, columns, notes)
    if not show_all:
        console.print("\nFields that are empty or have no effect yet: --all.", markup=False)


def _look_at_data(loop: "ModelLoop") -> tuple[list["ColumnExplanation"], list[str]]:
    """Return the columns of local data, or why there are none to show."""
    if not loop.spec.data.is_here:
        return [], ["The data are not on this machine; their columns are not shown."]
    try:
        from driftloop.cli.explanation import explain_columns
        from driftloop.cli.proposal import read_loops_sample
        from driftloop.stages.tablenotes import reading_notes
        from driftloop.stages.validate import validate
    except ImportError:
        return [], ["The data can't be read without the extra: pip install 'driftloop[pipeline]'"]
    try:
        sample = read_loops_sample(loop)
        validated = validate(sample, task=loop.spec.problem.task, data=loop.spec.data)
    except InvalidInputError as error:
        return [], [str(error)]
    left_out = [f"'{column.name}' is left out: it {column.reason}" for column in validated.report.dropped_columns]
    return explain_columns(loop, validated.schema), [*reading_notes(sample), *left_out]


def _show_fields(console: "Console", fields: list["Explanation"], loop: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("FIELD", "VALUE", "FROM", "WHY"):
        table.add_column(column, overflow="fold", max_width=34 if column == "VALUE" else None)
    for field in fields:
        note = f" {field.note}" if field.note else ""
        resolved = f" Here: {field.resolved}." if field.resolved else ""
        path = escape(field.path.removeprefix("spec."))
        table.add_row(
            f"[bold]{path}[/bold]" if field.is_set else path,
            escape(_plain(field.value)),
            "[bold]file[/bold]" if field.is_set else "default",
            escape(f"{field.reason}{resolved}{note}"),
        )
    console.print(f"ModelLoop '{loop}': what is in force\n", markup=False)
    console.print(table)


def _show_columns(console: "Console", columns: list["ColumnExplanation"], notes: list[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print()
    if columns:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("COLUMN", "TYPE", "PREPARATION"):
            table.add_column(title, overflow="fold")
        for column in columns:
            table.add_row(escape(column.name), column.type, column.preparation)
        console.print(table)
    for note in notes:
        console.print(f"• {note}", markup=False)


def _plain(value: Any) -> str:
    if value in (None, ""):
        return "(not set)"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)
