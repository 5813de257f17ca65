"""`driftloop charter`: the page that a team agrees on before and while a loop runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from driftloop.cli.status import JsonOption
from driftloop.errors import InvalidInputError


def charter(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="ModelLoop file.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="Where the page goes.")] = Path("charter.html"),
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="Folder of the loop's state. Default: .driftloop/NAME.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write objective, success, data, rules and owners of a loop as one page to print and sign.

    What the file leaves open is on it as questions; recorded values come from the loop's workspace, if there is one.
    """
    from driftloop.controller.charterfile import write_charter
    from driftloop.controller.workspace import WORKSPACES, Workspace
    from driftloop.reports.charter import open_questions
    from driftloop.spec.loading import read_modelloop

    loop = read_modelloop(file)
    try:
        write_charter(loop, Workspace(workspace or WORKSPACES / loop.metadata.name), out)
    except OSError as error:
        raise InvalidInputError(
            f"The file '{out}' can't be written: {error.strerror}. Choose another --out."
        ) from error
    questions = list(open_questions(loop))
    if as_json:
        typer.echo(json.dumps({"page": str(out), "openQuestions": questions}, indent=2))
        return
    count = len(questions)
    typer.echo(f"wrote {out}: {count} open question{'' if count == 1 else 's'}")
