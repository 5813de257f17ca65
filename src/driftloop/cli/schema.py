"""`driftloop schema`: the ModelLoop as JSON schema, for editors, and as a table of its fields, for people."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from driftloop.spec.reference import FieldReference


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table of all fields instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as without any option.")] = False,
) -> None:
    """Print the JSON schema of ModelLoops."""
    from driftloop.spec.reference import modelloop_schema

    typer.echo(build_markdown() if markdown and not as_json else json.dumps(modelloop_schema(), indent=2))


def build_markdown() -> str:
    """Return the reference of the ModelLoop: one table for the top, one for each group of `spec`."""
    from driftloop.spec.reference import field_reference

    sections: dict[str, list[str]] = {}
    descriptions: dict[str, str] = {}
    for field in field_reference().values():
        first, _, rest = field.path.partition(".")
        group = f"spec.{rest.split('.')[0]}" if first == "spec" and rest else ""
        if field.path == group and field.type == "group":
            descriptions[group] = field.description
            sections[group] = []
        else:
            home = group if group in sections else ""
            sections.setdefault(home, []).append(_row(field, field.path.removeprefix(f"{home}.")))
    lines = [
        "<!-- Generated from the types by `make generate`. -->",
        "",
        "# ModelLoop",
        "",
        "Durations are written like `50ms`, `90s`, `10m`, `12h`, `30d` or `1h30m`. Paths start at their heading.",
    ]
    for group, rows in sections.items():
        title = [f"## `{group}`", "", descriptions[group]] if group else ["## The object"]
        lines += ["", *title, "", "| field | type | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join(lines)


def _row(field: "FieldReference", name: str) -> str:
    if field.is_required:
        default = "**required**"
    else:
        default = "" if field.default in (None, "") else f"`{json.dumps(field.default)}`"
    meaning = f"{field.description} *{field.note}*" if field.note else field.description
    cells = [f"`{name}`", field.type, default, meaning]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
