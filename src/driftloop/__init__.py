"""driftloop: the loop from live drift to a better model, on a laptop and on Kubernetes."""

__version__ = "0.1.0"


def component(name: str) -> str:
    """Return the path of a compiled component, for use in your own pipelines.

    `kfp.components.load_component_from_file(driftloop.component("train"))` makes a component of it. What each takes and
    gives is in its README under `components/`.

    Args:
        name: of a stage, such as `train`.

    Raises:
        InvalidInputError: there is no such component; the message lists all.
    """
    from importlib.resources import files
    from pathlib import Path

    from driftloop.errors import InvalidInputError

    folder = Path(str(files("driftloop.compiled"))) / "components"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise InvalidInputError(
            f"The component must be one of driftloop's. Got '{name}'. Take one of: {', '.join(names)}."
        )
    return str(folder / f"{name}.yaml")
