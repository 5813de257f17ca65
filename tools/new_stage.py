"""Scaffolds a stage: its module, its Kubeflow component and their tests, from `stage_template/`. Run by `make stage`.

What it writes runs as it is, and is there to be changed. It wires nothing into the pipeline.
"""

import argparse
import builtins
import io
import keyword
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from string import Template

from driftloop.errors import InvalidInputError

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).resolve().parent / "stage_template"
MAX_NAME_LENGTH = 40
# pytest would take a function `test...` for a test.
_NAME = re.compile(r"(?!test)[a-z][a-z0-9]*(_[a-z0-9]+)*")


class StageNameError(InvalidInputError):
    """The name can't be that of a stage."""

    def __init__(self, name: str, constraint: str) -> None:
        super().__init__(
            f"The NAME of a stage {constraint}. Got {name!r}. Choose another, such as: make stage NAME=impute"
        )


class StageExistsError(InvalidInputError):
    """A file of the new stage is there already."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            f"The NAME of a stage must be new: nothing is overwritten. Got {name!r}, and {path} exists. "
            "Choose another name, or remove the old stage first."
        )


def main(arguments: list[str]) -> int:
    """Write the files of the stage and print what to do next; return the exit code."""
    parser = argparse.ArgumentParser(prog="new_stage.py", description="Scaffold a stage.")
    parser.add_argument("name", help="a lower-case identifier, such as impute")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository to write to")
    options = parser.parse_args(arguments)
    try:
        written = write_stage(options.name, options.root)
    except InvalidInputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    print("\n".join(["Written:", *(f"  {path}" for path in written)]))
    print("Next: wire it in pipelines/training.py, then run `make generate` and `make test`.")
    return 0


def write_stage(name: str, root: Path) -> list[Path]:
    """Write the files of the stage `name` below `root`; return their paths, relative to it.

    Raises:
        StageNameError: the name is no usable identifier.
        StageExistsError: one of the files, or the component's folder, is there.
    """
    _check_name(name)
    folder = Path("components") / name
    targets = {
        Path("src/driftloop/stages") / f"{name}.py": "stage.py.txt",
        folder / "component.py": "component.py.txt",
        Path("tests/stages") / f"test_{name}.py": "test.py.txt",
    }
    for path in (folder, *targets):
        if (root / path).exists():
            raise StageExistsError(name, path)
    (root / folder).mkdir(parents=True)
    for path, template in targets.items():
        (root / path).write_text(_render(template, name), encoding="utf-8")
    # The order of imports and the breaks of long lines depend on the name.
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", *targets], cwd=root, check=True)
    return list(targets)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise StageNameError(
            name,
            f"must be words of lower-case letters and digits, joined by '_', at most {MAX_NAME_LENGTH} characters, "
            "and must not begin with 'test'",
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in dir(builtins):
        raise StageNameError(name, "must not be a word of Python's own")
    if name in _names_in_templates():
        raise StageNameError(name, "must not be a name that the written code uses for something else")


def _render(template: str, name: str) -> str:
    title = "".join(word.capitalize() for word in name.split("_"))
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(name=name, title=title)


def _names_in_templates() -> set[str]:
    sources = [_render(path.name, "new_stage") for path in TEMPLATES.iterdir()]
    tokens = [token for text in sources for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    return {token.string for token in tokens if token.type == tokenize.NAME} - {"new_stage"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
