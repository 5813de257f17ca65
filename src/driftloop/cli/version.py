"""`driftloop version`."""

import json

import typer

from driftloop import __version__
from driftloop.cli.status import JsonOption


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    typer.echo(json.dumps({"version": __version__}) if as_json else f"driftloop {__version__}")
