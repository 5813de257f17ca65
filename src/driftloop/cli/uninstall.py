"""`driftloop uninstall`: the loops of a cluster go first, while there is an operator that cleans up after them."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftloop.cli.clusterloop import ContextOption, NamespaceOption, connect
from driftloop.errors import DriftloopError

if TYPE_CHECKING:
    from driftloop.adapters.kubeapi import KubeApi

POLL_SECONDS = 1.0


class NoOperatorError(DriftloopError):
    """Nobody would clean up after the loops."""

    def __init__(self, loops: list[str]) -> None:
        super().__init__(
            f"An operator must run to clean up after {len(loops)} loops before they go. None is ready. Start it again "
            "(kubectl scale deployment ... --replicas=1; see: driftloop doctor --context CONTEXT), or leave what the "
            "loops made behind, with --abandon."
        )


class StillInDeletionError(DriftloopError):
    """Loops have not gone in time."""

    def __init__(self, loops: list[str], seconds: int) -> None:
        super().__init__(
            f"The loops {', '.join(loops)} must go within {seconds} s. They are still in deletion. See why with: "
            "kubectl describe modelloop NAME; then run the command again, with a longer --timeout if need be."
        )


def uninstall(
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    *,
    timeout: Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait for the loops to go.")] = 300,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="No operator runs and none will: let the loops go without cleaning up.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; needs --yes.")] = False,
) -> None:
    """Delete the loops of a cluster, wait until they are gone, and say how to remove driftloop itself.

    In this order nothing stays in deletion. What a loop keeps in the object store stays, unless its
    spec.deletionPolicy says Purge.
    """
    from driftloop.workload.names import OPERATOR_LABELS

    api = connect(context, namespace).api
    loops = _loops(api, namespace)
    operators = api.list("Deployment", None, OPERATOR_LABELS)
    is_ready = any(one.get("status", {}).get("availableReplicas") for one in operators)
    if loops and not is_ready and not abandon:
        raise NoOperatorError(loops)
    if loops and not yes:
        where = f"the namespace '{namespace}'" if namespace else "all namespaces"
        typer.echo(f"These loops of {api.host} are deleted, in {where}: {', '.join(loops)}", err=as_json)
        typer.confirm("Their servers stop answering. Go on?", abort=True, err=as_json)
    for loop in loops:
        _delete(api, loop, abandon=abandon and not is_ready)
    _wait_until_gone(api, loops, timeout)
    following = _next_steps(operators, is_everywhere=namespace is None)
    if as_json:
        typer.echo(json.dumps({"deleted": loops, "next": following}, indent=2))
        return
    typer.echo(f"Deleted {len(loops)} loops: {', '.join(loops)}." if loops else "There are no loops.")
    if following:
        typer.echo("Now, in this order:")
    for step in following:
        typer.echo(f"  {step}")


def _loops(api: "KubeApi", namespace: str | None) -> list[str]:
    from driftloop.adapters.kubeapi import NotFoundError

    try:
        found = api.list("ModelLoop", namespace)
    except NotFoundError:  # the definitions are gone, and the loops with them
        return []
    return [f"{loop['metadata']['namespace']}/{loop['metadata']['name']}" for loop in found]


def _delete(api: "KubeApi", loop: str, *, abandon: bool) -> None:
    namespace, _, name = loop.partition("/")
    api.delete("ModelLoop", namespace, name)
    if abandon and api.get("ModelLoop", namespace, name):
        api.patch("ModelLoop", namespace, name, {"metadata": {"finalizers": None}})


def _wait_until_gone(api: "KubeApi", loops: list[str], seconds: int) -> None:
    deadline = time.monotonic() + seconds
    while remaining := [loop for loop in loops if loop in _loops(api, loop.partition("/")[0])]:
        if time.monotonic() > deadline:
            raise StillInDeletionError(remaining, seconds)
        time.sleep(POLL_SECONDS)


def _next_steps(operators: list[dict[str, Any]], *, is_everywhere: bool) -> list[str]:
    """Return the commands that remove the rest; none where only the loops of one namespace went."""
    if not is_everywhere:
        return []
    steps = []
    for operator in operators:
        metadata = operator["metadata"]
        annotations, namespace = metadata.get("annotations") or {}, metadata["namespace"]
        release = annotations.get("meta.helm.sh/release-name")
        if release:
            steps.append(f"helm uninstall {release} --namespace {namespace}")
        else:
            steps.append(f"kubectl delete deployment {metadata['name']} --namespace {namespace}")
    return [*steps, "kubectl delete crd modelloops.driftloop.dev driftreports.driftloop.dev --ignore-not-found"]
