"""`driftloop crd`: what a cluster must know before it takes ModelLoops."""

import json
from typing import Annotated, Any

import typer


def crd(
    policy: Annotated[
        bool, typer.Option("--policy", help="Print the admission policy that binds approvals to persons, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one List.")] = False,
) -> None:
    """Print the custom resource definitions.

    The chart installs them; without it: driftloop crd | kubectl apply --server-side -f -
    """
    from driftloop.workload.approvalpolicy import approval_policy, approval_policy_binding
    from driftloop.workload.crd import driftreport_crd, modelloop_crd

    objects = [modelloop_crd(), driftreport_crd()]
    if policy:
        objects += [approval_policy(), approval_policy_binding()]
    if as_json:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=2))
    else:
        typer.echo(to_yaml(*objects), nl=False)


def to_yaml(*objects: dict[str, Any]) -> str:
    """Return objects as the documents of one YAML file."""
    import yaml

    return yaml.safe_dump_all(objects, sort_keys=False, width=120, allow_unicode=True)
