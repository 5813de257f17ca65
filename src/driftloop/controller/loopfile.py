"""The ModelLoop file as a laptop takes it: relative addresses start at the file, not at the current folder."""

from pathlib import Path
from urllib.parse import urlsplit

from driftloop.adapters.modelsource import locate_model
from driftloop.loop.maturity import with_small_budget
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop


def load_for_laptop(file: Path) -> ModelLoop:
    """Read one ModelLoop; relative addresses of data, labels and model are meant relative to the file.

    Raises:
        InvalidModelLoopError: the file is no valid ModelLoop.
        ModelNotFoundError: the BentoML store has no Bento of the tag that `model.uri` names.
    """
    loop = read_modelloop(file)
    spec = loop.spec
    joins = tuple(join.model_copy(update={"uri": _beside(file, join.uri)}) for join in spec.data.joins)
    data = spec.data.model_copy(update={"uri": _beside(file, spec.data.uri), "joins": joins})
    labels = spec.monitoring.labels
    if labels.uri is not None:
        labels = labels.model_copy(update={"uri": _beside(file, labels.uri)})
    monitoring = spec.monitoring.model_copy(update={"labels": labels})
    model = spec.model
    if model:
        model = model.model_copy(update={"uri": locate_model(model.uri, file.parent)})
    spec = spec.model_copy(update={"data": data, "monitoring": monitoring, "model": model})
    return with_small_budget(loop.model_copy(update={"spec": spec}))


def _beside(file: Path, uri: str) -> str:
    scheme, slashes, path = uri.partition(":///")
    if slashes and scheme.partition("+")[0] == "sqlite" and path and not path.startswith((":", "file:")):
        return f"{scheme}:///{(file.parent / path).resolve()}"
    return uri if urlsplit(uri).scheme else str((file.parent / uri).resolve())
