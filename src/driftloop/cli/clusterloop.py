"""Which loop of which cluster a command means, and the options that say so."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftloop.errors import DriftloopError, InvalidInputError

if TYPE_CHECKING:
    from driftloop.adapters.kubeapi import KubeApi

ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="CONTEXT", help="Of your kubeconfig: the loop runs in that cluster."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAMESPACE", help="In the cluster. Default: the context's own."),
]
LoopArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Of a loop in the cluster. Default: all of the namespace.")
]
LoopOption = Annotated[
    str | None, typer.Option("--loop", metavar="NAME", help="In the cluster. Default: the only one in the namespace.")
]


class LoopChoiceError(InvalidInputError):
    """It is not clear which loop of a cluster is meant, or there is none."""

    def __init__(self, namespace: str, name: str | None, found: list[str]) -> None:
        there = ", ".join(found) or "none"
        if name:
            what = f"The loop '{name}' must be in the namespace '{namespace}' of the cluster"
        else:
            what = f"There must be exactly one loop in the namespace '{namespace}' to choose it by itself"
        super().__init__(f"{what}. Found: {there}. Name it, or its namespace with -n; see: kubectl get modelloops -A")


class UnknownKindError(DriftloopError):
    """The cluster has no ModelLoops."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The cluster at '{host}' must know ModelLoops. It does not. Install driftloop there with helm, or its "
            "definitions alone: driftloop crd | kubectl apply --server-side -f -"
        )


class PlaceError(InvalidInputError):
    """Options of the cluster and of this machine stand together."""

    def __init__(self, given: str, remedy: str) -> None:
        super().__init__(f"A command must mean a loop of a cluster or of this machine. Got {given}. {remedy}")


@dataclass(frozen=True)
class Place:
    """Where in which cluster a command looks."""

    api: "KubeApi"
    namespace: str

    def loops(self, name: str | None) -> list[dict[str, Any]]:
        """Return the ModelLoop of this name, or all of the namespace.

        Raises:
            LoopChoiceError: there is none of this name.
            UnknownKindError: the cluster has no ModelLoops.
        """
        from driftloop.adapters.kubeapi import NotFoundError

        try:
            found = self.api.list("ModelLoop", self.namespace)
        except NotFoundError as error:
            raise UnknownKindError(self.api.host) from error
        chosen = [loop for loop in found if name in (None, loop["metadata"]["name"])]
        if name and not chosen:
            raise LoopChoiceError(self.namespace, name, [loop["metadata"]["name"] for loop in found])
        return chosen

    def loop(self, name: str | None) -> dict[str, Any]:
        """Return the one ModelLoop that is meant.

        Raises:
            LoopChoiceError: there is none of this name; or none was named, and there is not exactly one.
            UnknownKindError: the cluster has no ModelLoops.
        """
        found = self.loops(name)
        if len(found) != 1:
            raise LoopChoiceError(self.namespace, name, [loop["metadata"]["name"] for loop in found])
        return found[0]


def find_place(
    context: str | None, namespace: str | None, name: str | None = None, workspace: Path | None = None
) -> Place | None:
    """Return the place in a cluster that the options name; None where they mean this machine.

    Raises:
        PlaceError: they mean both.
        ContextError: there is no such context.
    """
    if context is None and namespace is None:
        if name is not None:
            raise PlaceError(f"the loop '{name}' of a cluster without one", "Name the cluster with --context or -n.")
        return None
    if workspace is not None:
        raise PlaceError("--workspace with --context or --namespace", "Leave one out.")
    return connect(context, namespace)


def connect(context: str | None, namespace: str | None) -> Place:
    """Return the place in the cluster of a context, or of the current one.

    Raises:
        ContextError: there is no such context.
    """
    from driftloop.adapters.kubeapi import KubeApi
    from driftloop.extras import MissingExtrasError

    try:
        api = KubeApi.connect(context)
    except ModuleNotFoundError as error:
        raise MissingExtrasError("--context", ["kubernetes"], ["controller"]) from error
    return Place(api, namespace or api.namespace)
