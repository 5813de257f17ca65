"""The ModelLoop file as a laptop takes it: relative addresses start at the file, not at the current folder."""

from pathlib import Path
from urllib.parse import urlsplit

from driftloop.adapters.modelsource import locate_model
from driftloop.loop.maturity import with_small_budget
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop


def load_for_laptop(file: Path) -> ModelLoop:
    """Read one ModelLoop; relative addresses of data and model are meant relative to the file.

    Raises:
        InvalidModelLoopError: the file is no valid ModelLoop.
        ModelNotFoundError: the BentoML store has no Bento of the tag that `model.uri` names.
    """
    loop = read_modelloop(file)
    spec = loop.spec
    if not urlsplit(spec.data.uri).scheme:
        data = spec.data.model_copy(update={"uri": str((file.parent / spec.data.uri).resolve())})
        spec = spec.model_copy(update={"data": data})
    if spec.model:
        model = spec.model.model_copy(update={"uri": locate_model(spec.model.uri, file.parent)})
        spec = spec.model_copy(update={"model": model})
    return with_small_budget(loop.model_copy(update={"spec": spec}))
