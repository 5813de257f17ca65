"""`driftloop deploy`: a loop that runs on this machine, handed to a cluster."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from driftloop.adapters.kubeapi import KubeApi
    from driftloop.spec import ModelLoop

_LARGEST_BYTES = 1_000_000_000
_STORE_VARIABLE = "DRIFTLOOP_OPERATOR_PLATFORM__STORE__URI"


def deploy(  # noqa: PLR0917 - one option for each thing that may be chosen
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ModelLoop file.")],
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; else the current one.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Instead of the file's.")] = "",
    store: Annotated[
        str, typer.Option(envvar="DRIFTLOOP_STORE", help="Root of the object store; else as the operator has it.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Upload more than 1 GB.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Apply a loop to a cluster; data and models of this machine are uploaded by their digest.

    Your file stays as it is. Keys of the object store come from the environment (AWS_...).
    """
    from driftloop.adapters.kubeapi import KubeApi
    from driftloop.spec.loading import read_modelloop

    loop = read_modelloop(file)
    api = KubeApi.connect(context)
    where = namespace or loop.metadata.namespace
    loop = loop.model_copy(update={"metadata": loop.metadata.model_copy(update={"namespace": where})})
    uris = _bring_local_content(
        loop, file.absolute().parent, lambda: store or _operators_store(api), sure=yes, quiet=as_json
    )
    _apply(api, _to_object(loop, uris))
    name = loop.metadata.name
    if as_json:
        typer.echo(json.dumps({"namespace": where, "name": name, "uploaded": uris}))
        return
    at = f" --context {context}" if context else ""
    typer.echo(f"applied: ModelLoop '{name}' in the namespace '{where}' of {api.host}")
    typer.echo("next:")
    typer.echo(f"  kubectl{at} -n {where} wait --for=condition=Ready modelloop/{name} --timeout=30m")
    typer.echo(f"  kubectl{at} -n {where} get modelloop {name}")
    typer.echo(f"  kubectl{at} -n {where} port-forward service/{name} 3000:80    # then POST /predict")


def _bring_local_content(
    loop: "ModelLoop", base: Path, find_store: Callable[[], str], *, sure: bool, quiet: bool
) -> dict[str, str]:
    """Upload what the loop names on this machine; return the new address of each field.

    Raises:
        InvalidInputError: it can't be uploaded as things are; says what to do.
    """
    from driftloop.adapters.upload import LocalContent, bring_model, find_data, is_local, upload
    from driftloop.errors import InvalidInputError
    from driftloop.spec.storelayout import StoreLayout

    labels = loop.spec.monitoring.labels.uri
    if labels and (is_local(labels) or labels.startswith("sqlite")):
        raise InvalidInputError(
            f"The 'monitoring.labels.uri' must be reachable from the cluster, because it is read again and again. "
            f"Got the local '{labels}'. Put the table into an object store or a database, or remove it and send "
            "labels by POST /labels."
        )
    with ExitStack() as stack:
        found: list[LocalContent] = []
        for field, uri in _tables(loop):
            if uri.startswith("sqlite"):
                raise InvalidInputError(
                    f"The '{field}' must be reachable from the cluster. Got the local '{uri}'. Export the table to "
                    "Parquet, or put it into a database that the cluster reaches."
                )
            if is_local(uri):
                found.append(find_data(field, uri, base))
        model = loop.spec.model
        if model and is_local(model.uri):
            found.append(stack.enter_context(bring_model(model.uri, base)))
        size = sum(content.size for content in found)
        if size > _LARGEST_BYTES and not sure:
            raise InvalidInputError(
                f"What is uploaded must have at most {_size(_LARGEST_BYTES)} without --yes. Got {_size(size)}. "
                "Add --yes, or put the data into an object store yourself and give its address."
            )
        store = find_store() if found else ""
        if found and "://" not in store:
            names = ", ".join(f"'{content.field}' is '{content.source}'" for content in found)
            got = f"Got the store '{store}'" if store else "No store is known"
            raise InvalidInputError(
                f"Data of this machine must be uploaded to an object store that the cluster reaches: {names}. {got}. "
                "Add --store s3://BUCKET/FOLDER, or put the data there yourself and give its address."
            )
        layout = StoreLayout(store, loop.metadata.namespace, loop.metadata.name)
        uris = {}
        for content in found:
            uris[content.field] = upload(content, layout)
            typer.echo(
                err=quiet,
                message=f"uploaded: {content.field} {content.source} ({_size(content.size)}) to {uris[content.field]}",
            )
        return uris


def _apply(api: "KubeApi", obj: dict[str, Any]) -> None:
    """Apply the loop.

    Raises:
        DriftloopError: the cluster refuses; says what to do first where something is missing.
    """
    from driftloop.adapters.kubeapi import NotFoundError
    from driftloop.errors import DriftloopError

    try:
        api.apply(obj)
    except NotFoundError as error:
        namespace = obj["metadata"]["namespace"]
        if f'namespaces "{namespace}"' in error.message:
            what, remedy = f"have the namespace '{namespace}'", f"kubectl create namespace {namespace}"
        else:
            what, remedy = "know ModelLoops", "helm install (see docs), or: driftloop crd | kubectl apply -f -"
        raise DriftloopError(f"The cluster at '{api.host}' must {what}. It does not. First: {remedy}") from error


def _operators_store(api: "KubeApi") -> str:
    """Return the store of the operator in the cluster; empty where none can be seen."""
    from driftloop.adapters.kubeapi import RejectedError
    from driftloop.workload.names import OPERATOR_LABELS

    try:
        found = api.list("Deployment", labels=OPERATOR_LABELS)
    except RejectedError:  # users need not be allowed to see it
        return ""
    for operator in found:
        for container in operator["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", ()):
                if variable["name"] == _STORE_VARIABLE and "value" in variable:
                    return str(variable["value"])
    return ""


def _to_object(loop: "ModelLoop", uris: dict[str, str]) -> dict[str, Any]:
    """Return the loop as the user wrote it, with new addresses; what was left out stays for the cluster to fill in."""
    written = loop.model_dump(mode="json", by_alias=True, exclude_unset=True)
    written["metadata"]["namespace"] = loop.metadata.namespace
    for field, uri in uris.items():
        *path, key = re.split(r"[.\[\]]+", field)
        place = written["spec"]
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        place[key] = uri
    return written


def _tables(loop: "ModelLoop") -> list[tuple[str, str]]:
    """Return field and address of every table that is read."""
    data = loop.spec.data
    return [("data.uri", data.uri), *((f"data.joins[{place}].uri", one.uri) for place, one in enumerate(data.joins))]


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}"
        count //= 1000
    return f"{count} GB"
