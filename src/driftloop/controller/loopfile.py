"""The ModelLoop file as a laptop takes it: relative addresses start at the file, not at the current folder."""

from pathlib import Path
from urllib.parse import urlsplit

from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop


def load_for_laptop(file: Path) -> ModelLoop:
    """Read one ModelLoop; a relative `data.uri` is meant relative to the file.

    Raises:
        InvalidModelLoopError: the file is no valid ModelLoop.
    """
    loop = read_modelloop(file)
    data = loop.spec.data
    if urlsplit(data.uri).scheme:
        return loop
    data = data.model_copy(update={"uri": str((file.parent / data.uri).resolve())})
    return loop.model_copy(update={"spec": loop.spec.model_copy(update={"data": data})})
