"""The `driftloop` command."""

from driftloop.cli.app import main

__all__ = ["main"]
