"""The doors of the `driftloop` command: its commands, and how every error leaves.

A command is one function in a module of its own, listed in `COMMANDS`; its docstring is its help. The modules import
what does the work inside their functions (even pydantic takes 0.3 s), so that `driftloop --help` answers at once.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from driftloop.cli.acknowledge import acknowledge
from driftloop.cli.approve import approve
from driftloop.cli.calibrate import calibrate
from driftloop.cli.charter import charter
from driftloop.cli.crd import crd
from driftloop.cli.demo import demo
from driftloop.cli.deploy import deploy
from driftloop.cli.doctor import doctor
from driftloop.cli.estimate import estimate
from driftloop.cli.explain import explain
from driftloop.cli.failures import command_arguments, describe
from driftloop.cli.history import history
from driftloop.cli.init import init
from driftloop.cli.logs import logs
from driftloop.cli.manifests import manifests
from driftloop.cli.mute import mute, unmute
from driftloop.cli.record import record
from driftloop.cli.replay import replay
from driftloop.cli.retrain import retrain
from driftloop.cli.rollback import rollback
from driftloop.cli.run import run
from driftloop.cli.schema import schema
from driftloop.cli.servedat import served_at
from driftloop.cli.status import status, why
from driftloop.cli.timeline import timeline
from driftloop.cli.uninstall import uninstall
from driftloop.cli.up import up
from driftloop.cli.validate import validate
from driftloop.cli.version import version

COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    init,
    charter,
    validate,
    explain,
    estimate,
    calibrate,
    schema,
    crd,
    run,
    up,
    manifests,
    deploy,
    status,
    why,
    logs,
    timeline,
    replay,
    retrain,
    approve,
    rollback,
    mute,
    unmute,
    acknowledge,
    record,
    history,
    served_at,
    doctor,
    uninstall,
    version,
)

_WANTS_JSON = "driftloop.json"


class _Doors(TyperGroup):
    """Lets every failure leave as one message and an exit code: as text on stderr, with `--json` as JSON on stdout.

    Ctrl-C ends with 130 and a closed pipe quietly, typer's own way.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_WANTS_JSON] = "--json" in args
        if "--debug" in args:  # wherever it stands: it is written behind a command that has just failed
            args = ["--debug", *(argument for argument in args if argument != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        wants_json = ctx.meta[_WANTS_JSON]
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            is_usage = hasattr(error, "format_message")
            if ctx.params["debug"] or (is_usage and not wants_json):  # typer shows usage errors with the usage
                raise
            failure = describe(error, command_arguments())
            typer.echo(failure.to_json() if wants_json else failure.message, err=not wants_json)
            raise typer.Exit(failure.exit_code) from error


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """The loop from live drift to a better model, on a laptop and on Kubernetes."""


def build_app(commands: Sequence[Callable[..., None]] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands."""
    app = typer.Typer(
        cls=_Doors,
        no_args_is_help=True,
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
