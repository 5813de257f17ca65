"""`driftloop doctor`: what is installed, free and healthy here, and what to do about what is not."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from driftloop.cli.clusterloop import ContextOption, NamespaceOption, connect
from driftloop.cli.status import JsonOption
from driftloop.errors import InvalidInputError

if TYPE_CHECKING:
    from driftloop.cli.checkup import Finding
    from driftloop.spec import ModelLoop


def doctor(
    file: Annotated[Path | None, typer.Argument(help="ModelLoop file: say what this loop lacks.")] = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check versions, licences, ports, disk and running loops; with --context a cluster instead of this machine.

    Exit code 1 if something is broken that the given loop needs.
    """
    from driftloop.cli.checkup import State

    is_cluster = context is not None or namespace is not None
    findings = list(_examine_cluster(file, context, namespace) if is_cluster else _examine(file))
    is_ill = any(finding.state is State.FAULT for finding in findings)
    if as_json:
        typer.echo(json.dumps({"healthy": not is_ill, "findings": [asdict(one) for one in findings]}, indent=2))
    else:
        _show(findings)
    if is_ill:
        raise typer.Exit(1)


def _examine(file: Path | None) -> Iterator["Finding"]:
    from driftloop.cli import checkup
    from driftloop.controller.loopfile import load_for_laptop
    from driftloop.controller.workspace import WORKSPACES, Workspace

    loop, wrong = None, None
    if file is not None:
        try:
            loop = load_for_laptop(file)
        except InvalidInputError as error:
            wrong = checkup.Finding("loop", checkup.State.FAULT, str(error), "Correct it; see: driftloop validate")
    uses_alibi = loop is not None and loop.spec.monitoring.engine == "AlibiDetect"
    unused = ("alibi-detect",) if loop is not None and not uses_alibi else ()
    yield from checkup.check_installation(checkup.LAPTOP_ROLES if loop else (), unused)
    yield from checkup.check_licence(is_needed=uses_alibi)
    yield from checkup.check_machine(WORKSPACES)
    workspaces = {root: Workspace(root).is_in_use() for root in checkup.find_workspaces(WORKSPACES)}
    running = [root for root, is_running in workspaces.items() if is_running]
    yield from checkup.check_ports(running, is_needed=loop is not None)
    for root, is_running in workspaces.items():
        yield from checkup.check_workspace(root, is_running=is_running)
    if wrong:
        yield wrong
    if loop:
        yield _check_loop(loop)


def _examine_cluster(file: Path | None, context: str | None, namespace: str | None) -> Iterator["Finding"]:
    from driftloop.cli import checkup
    from driftloop.cli.clustercheckup import check_cluster
    from driftloop.spec.loading import read_modelloop

    loop = None
    if file is not None:
        try:
            loop = read_modelloop(file)
            yield checkup.Finding(f"loop {loop.metadata.name}", checkup.State.OK, "valid")
        except InvalidInputError as error:
            yield checkup.Finding("loop", checkup.State.FAULT, str(error), "Correct it; see: driftloop validate")
    place = connect(context, namespace or (loop.metadata.namespace if loop else None))
    yield from check_cluster(place, loop, datetime.now(UTC))


def _check_loop(loop: "ModelLoop") -> "Finding":
    from driftloop.cli.checkup import Finding, State

    subject = f"loop {loop.metadata.name}"
    elsewhere = [uri for uri in loop.spec.data.addresses if urlsplit(uri).scheme or any(mark in uri for mark in "*?[")]
    for uri in loop.spec.data.addresses:
        if uri not in elsewhere and not Path(uri).exists():
            remedy = "Put them there, or correct the address in 'data'."
            return Finding(subject, State.FAULT, f"there are no data at {uri}", remedy)
    if elsewhere:
        return Finding(subject, State.OK, f"valid; its data at {', '.join(elsewhere)} were not looked at")
    return Finding(subject, State.OK, f"valid; its data are at {', '.join(loop.spec.data.addresses)}")


def _show(findings: list["Finding"]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "note": "yellow", "fault": "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        colour = colours[finding.state]
        remedy = f"\n→ {finding.remedy}" if finding.remedy else ""
        table.add_row(f"[{colour}]{finding.state}[/{colour}]", finding.subject, escape(f"{finding.message}{remedy}"))
    Console(highlight=False).print(table)
