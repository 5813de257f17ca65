"""`driftloop manifests`: what the operator would create for a loop."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from driftloop.workload.platform import Platform

_PLACEHOLDER_DIGEST = "0" * 64
_PLACEHOLDER_UID = "00000000-0000-0000-0000-000000000000"


def manifests(  # noqa: PLR0917 - one option for each thing that may be chosen
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ModelLoop file.")],
    bento: Annotated[str, typer.Option(help="Address of the model, as in `status`; else a placeholder.")] = "",
    store: Annotated[str, typer.Option(envvar="DRIFTLOOP_STORE", help="Root of the object store.")] = "",
    platform: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Images and store, as the operator's settings name them.")
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Instead of the file's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON List instead of YAML.")] = False,
) -> None:
    """Print what the operator would create in a cluster for a loop.

    Nothing is applied, and no cluster is asked. Identities that only a cluster gives are zeros.
    """
    from driftloop.adapters.bento import read_part
    from driftloop.cli.yamltext import to_yaml
    from driftloop.spec.loading import read_modelloop
    from driftloop.spec.storelayout import StoreLayout
    from driftloop.stages.package import MANIFEST_FILE, VERSION_LENGTH
    from driftloop.workload.deployment import build_server_deployment
    from driftloop.workload.fixed import build_fixed_objects
    from driftloop.workload.owner import Owner
    from driftloop.workload.scaling import build_autoscaler
    from driftloop.workload.services import build_predictions_service

    loop = read_modelloop(file)
    if namespace:
        loop = loop.model_copy(update={"metadata": loop.metadata.model_copy(update={"namespace": namespace})})
    settings = _read_platform(platform, store)
    owner = Owner(_PLACEHOLDER_UID, _PLACEHOLDER_UID)
    if bento:
        digest = bento.rstrip("/").rsplit("/", 1)[-1]
        image = json.loads(read_part(bento, digest, MANIFEST_FILE))["runtimeImage"]
    else:
        layout = StoreLayout(settings.store.uri, loop.metadata.namespace, loop.metadata.name)
        digest, image = _PLACEHOLDER_DIGEST, settings.images.serving
        bento = f"{layout.root}/bentos/{digest}"
    version = digest[:VERSION_LENGTH]
    objects = [
        *build_fixed_objects(loop, settings, owner),
        build_server_deployment(loop, version, bento, digest, image, settings, owner),
        build_predictions_service(loop, version, owner),
    ]
    autoscaler = build_autoscaler(loop, version, owner)
    if autoscaler:
        objects.append(autoscaler)
    if as_json:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=2))
    else:
        typer.echo(to_yaml(objects), nl=False)


def _read_platform(file: Path | None, store: str) -> "Platform":
    import yaml
    from pydantic import ValidationError

    from driftloop import __version__
    from driftloop.errors import InvalidInputError
    from driftloop.workload.platform import Platform

    roles = ("controller", "monitor", "serving", "pipeline")
    given = {
        "images": {role: f"driftloop-{role}:{__version__}" for role in roles},
        "store": {"uri": store or "s3://driftloop"},
    }
    if file is not None:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(given, dict) and store:
            given["store"] = {**given.get("store", {}), "uri": store}
    try:
        return Platform.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidInputError(
            f"The '{place}' of the platform file '{file}' must be valid. It is not: {first['msg']}. "
            "Write images (controller, monitor, serving, pipeline) and store (uri)."
        ) from error
