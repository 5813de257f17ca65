"""`driftloop init`: the first ModelLoop file for a table."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from driftloop.errors import InvalidInputError
from driftloop.extras import require_extras

if TYPE_CHECKING:
    from driftloop.spec import Task


def init(  # noqa: PLR0917 - one option for each thing that may be chosen
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A .parquet, .csv or .jsonl file.")],
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="COL",
            help="The column to predict; of decisions the reward; not needed for clusters and anomalies.",
        ),
    ] = "",
    task: Annotated[
        str,
        typer.Option("--task", metavar="TASK", help="Kind of problem; by default as the target suggests."),
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name of the loop; by default that of the file.")] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="URI", help="A model that exists, to be served and watched first.")
    ] = "",
    action: Annotated[
        str, typer.Option("--action", metavar="COL", help="The action taken, where rows are logged decisions.")
    ] = "",
    propensity: Annotated[
        str, typer.Option("--propensity", metavar="COL", help="The probability with which it was taken.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write the first ModelLoop of a table.

    It goes to NAME.yaml in the current folder; whatever the table leaves open is in it as a comment.
    """
    require_extras("init", "pipeline")
    from driftloop.cli.proposal import find_faults, propose, read_sample, write_modelloop
    from driftloop.spec.documents import read_documents
    from driftloop.spec.loading import parse_modelloop
    from driftloop.spec.problems import InvalidModelLoopError
    from driftloop.stages.tablenotes import reading_notes

    loop_name = name or _name_from(data)
    sample = read_sample(data)
    proposal = propose(sample, target, _read_task(task), action=action, propensity=propensity)
    faults, left_out = find_faults(sample, proposal, str(data))
    text = write_modelloop(loop_name, _uri_of(data), proposal, model_uri=_model_uri(model))
    [document] = read_documents(text, f"{loop_name}.yaml")
    loop = parse_modelloop(document, f"{loop_name}.yaml")
    if isinstance(loop, list):
        raise InvalidModelLoopError(loop)
    file = Path(f"{loop.metadata.name}.yaml")
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        remedy = "Overwrite it with --force, or choose a --name."
        raise InvalidInputError(f"The file '{file}' exists already. {remedy}") from error
    except OSError as error:
        raise InvalidInputError(f"The file '{file}' can't be written: {error.strerror}.") from error
    notes = reading_notes(sample.table)
    if as_json:
        written = loop.model_dump(mode="json", by_alias=True, exclude_unset=True)
        facts = {"file": str(file), "loop": written, "notes": notes, "leftOut": left_out, "faults": faults}
        typer.echo(json.dumps(facts, indent=2))
        return
    what = f"{loop.spec.problem.task} of '{target}'" if target else str(loop.spec.problem.task)
    typer.echo(f"wrote {file}: {what} by {loop.spec.problem.metric_name}")
    for sentence in (*notes, *(f"left out: {column}" for column in left_out), *(f"mend first: {f}" for f in faults)):
        typer.echo(f"  {sentence}")
    if loop.spec.model:
        typer.echo(
            f"the model at {loop.spec.model.uri} is served and watched first; '{data}' is what traffic is held to"
        )
    typer.echo(f"next: driftloop validate {file}")


def _read_task(name: str) -> "Task | None":
    from driftloop.spec import Task
    from driftloop.spec.problems import did_you_mean

    if name and name not in set(Task):
        remedy = did_you_mean(name, list(Task)) or f"Use one of: {', '.join(Task)}."
        raise InvalidInputError(f"The '--task' must be a kind of problem. Got '{name}'. {remedy}")
    return Task(name) if name else None


def _name_from(data: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", data.stem.lower()).strip("-")[:50].strip("-")
    if not name:
        raise InvalidInputError(
            f"The name '{data.stem}' has no letter or digit for a loop's name. Give one with --name."
        )
    return name


def _model_uri(uri: str) -> str:
    """Return the address of a model as the file shall name it; one on this machine must exist."""
    from driftloop.adapters.modelsource import MLFLOW_SCHEMES, ModelNotFoundError, locate_model

    located = locate_model(uri, Path.cwd()) if uri else ""
    if not uri or "://" in uri or urlsplit(uri).scheme in MLFLOW_SCHEMES:
        return uri
    if not Path(located).exists():
        raise ModelNotFoundError(uri, "no such file or folder")
    return _uri_of(Path(uri)) if Path(uri).exists() else uri


def _uri_of(data: Path) -> str:
    """Write the path as seen from the current folder, where the file goes; outside of it, in full."""
    absolute = Path(os.path.normpath(data.absolute()))
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
