"""`driftloop validate`: every problem of every file at once."""

import json
from pathlib import Path
from typing import Annotated

import typer

from driftloop.cli.failures import describe


def validate(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A ModelLoop file, or a folder of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Check ModelLoop files.

    Tells every problem of every file at once; exit code 2 if there is any.
    """
    from driftloop.spec.loading import load_modelloops
    from driftloop.spec.problems import InvalidModelLoopError
    from driftloop.spec.reference import noted_fields

    try:
        loops = load_modelloops(path)
    except InvalidModelLoopError as error:
        if not as_json:
            raise
        failure = json.loads(describe(error, []).to_json())
        typer.echo(json.dumps({"loops": [], "notices": [], **error.facts(), **failure}, indent=2))
        raise typer.Exit(error.exit_code) from error
    notices = [
        {"loop": loop.metadata.name, "path": field.path, "message": f"{field.path}: {field.note}"}
        for loop in loops
        for field in noted_fields(loop)
    ]
    names = [loop.metadata.name for loop in loops]
    if as_json:
        typer.echo(json.dumps({"loops": names, "notices": notices, "problems": []}, indent=2))
        return
    for notice in notices:
        typer.echo(f"ModelLoop '{notice['loop']}': {notice['message']}")
    typer.echo(f"valid: {', '.join(names)}")
