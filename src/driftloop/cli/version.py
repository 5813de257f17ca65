"""`driftloop version`."""

import typer

from driftloop import __version__


def version() -> None:
    """Print the version."""
    typer.echo(f"driftloop {__version__}")
