"""`driftloop record`: note the measured value of a success criterion."""

from typing import Annotated

import typer

from driftloop.cli.asking import WaitOption, ask
from driftloop.cli.moments import parse_moment
from driftloop.cli.status import JsonOption, WorkspaceOption
from driftloop.errors import InvalidInputError


def record(  # noqa: PLR0917 (typer calls it by name)
    name: Annotated[str, typer.Argument(help="One of spec.problem.successCriteria.")],
    value: Annotated[str, typer.Argument(help="What was measured: a number.")],
    at: Annotated[
        str, typer.Option(help="When it was measured: ISO 8601, UTC unless it says otherwise. Default: now.")
    ] = "",
    note: Annotated[str, typer.Option(help="How it was measured, or what is to be known about it.")] = "",
    workspace: WorkspaceOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Record the measured value of a success criterion; status and history show it with baseline and goal."""
    from datetime import UTC, datetime

    from driftloop.loop.requests import Record

    measured_at = parse_moment(at, "--at") if at else datetime.now(UTC)
    action = Record(name=name, value=_read_number(value), measured_at=measured_at, note=note)
    ask(workspace, action, wait=wait, as_json=as_json)


def _read_number(text: str) -> float:
    from math import isfinite

    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InvalidInputError(f"The value must be a finite number, such as 3.9. Got '{text}'.")
    return number
