"""The doors of the `driftloop` command: its commands, and how every error leaves.

A command is one function in a module of its own, listed in `COMMANDS`; its docstring is its help. The modules import
what does the work inside their functions (even pydantic takes 0.3 s), so that `driftloop --help` answers at once.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from driftloop.cli.approve import approve
from driftloop.cli.charter import charter
from driftloop.cli.demo import demo
from driftloop.cli.history import history
from driftloop.cli.init import init
from driftloop.cli.record import record
from driftloop.cli.retrain import retrain
from driftloop.cli.rollback import rollback
from driftloop.cli.run import run
from driftloop.cli.schema import schema
from driftloop.cli.servedat import served_at
from driftloop.cli.status import status, why
from driftloop.cli.timeline import timeline
from driftloop.cli.up import up
from driftloop.cli.validate import validate
from driftloop.cli.version import version
from driftloop.errors import DriftloopError

COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    init,
    charter,
    validate,
    schema,
    run,
    up,
    status,
    why,
    timeline,
    retrain,
    approve,
    rollback,
    record,
    history,
    served_at,
    version,
)


class _Doors(TyperGroup):
    """Shows a DriftloopError as its message and exit code; Ctrl-C ends with 130, typer's own way."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DriftloopError as error:
            if ctx.params["debug"]:
                raise
            typer.echo(str(error), err=True)
            raise typer.Exit(error.exit_code) from error


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """The loop from live drift to a better model, on a laptop and on Kubernetes."""


def build_app(commands: Sequence[Callable[..., None]] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands."""
    app = typer.Typer(
        cls=_Doors,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # loading rich's Markdown takes twice as long as all the rest of --help
    )
    app.callback()(_root)
    for command in commands:
        app.command()(command)
    return app


def main() -> None:
    """Run the command line and exit."""
    build_app()(prog_name="driftloop")
