"""The content of a Bento of flights, of any model files."""

from pathlib import Path

from driftloop.stages.package import BentoContent, ModelFiles, assemble


def assemble_flights(folder: Path, files: ModelFiles, **changes: str) -> BentoContent:
    given = {"loop": "flights", "card": "# flights\n", "runtime_image": "driftloop:test"} | changes
    return assemble(folder, files, requirements=["scikit-learn"], **given)
