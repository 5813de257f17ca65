"""Write docstrings.parquet beside this file: what functions of four libraries say of themselves, and whose they are.

Nothing is downloaded: the texts are the docstrings of the installed packages.
"""

import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

LIBRARIES = ("numpy", "pandas", "scipy", "sklearn")
_GIVEN_AWAY = re.compile(
    r"\b(numpy|np|pandas|pd|scipy|sklearn|scikit-learn|scikit|ndarray|dataframe|series)s?\b", re.IGNORECASE
)
_MOST_CHARACTERS = 400


def main() -> None:
    """Write the rows, each description once."""
    rows = [(*row, library) for library in LIBRARIES for row in sorted(_documented(library))]
    table = pd.DataFrame(rows, columns=["description", "parameters", "is_class", "library"])
    table.drop_duplicates("description").to_parquet(Path(__file__).with_name("docstrings.parquet"), index=False)


def _documented(library: str) -> Iterator[tuple[str, int, bool]]:
    """Describe the public functions, classes and methods of a library, without its own name."""
    for module in _modules(library):
        for thing in [*vars(module).values()]:
            if not (inspect.isclass(thing) or callable(thing)) or not str(_home(thing)).startswith(library):
                continue
            methods = vars(thing).values() if inspect.isclass(thing) else ()
            for member in (thing, *methods):
                text = inspect.getdoc(member) if callable(member) else None
                words = _GIVEN_AWAY.sub("", " ".join(_opening(text or "").split()))
                if len(words.split()) > 3:  # noqa: PLR2004 - shorter ones are no descriptions
                    yield words[:_MOST_CHARACTERS], (text or "").count(" : "), inspect.isclass(member)


def _opening(text: str) -> str:
    """Return what stands above the list of parameters."""
    return re.split(r"\n(?:Parameters|Returns|Attributes|See Also|Examples|Notes)\n", text)[0]


def _home(thing: object) -> object:
    try:
        return getattr(thing, "__module__", "")
    except Exception:  # noqa: BLE001 - deprecated names say so in their own ways
        return ""


def _modules(library: str) -> Iterator[object]:
    package = importlib.import_module(library)
    yield package
    for found in pkgutil.iter_modules(package.__path__):
        if not found.name.startswith("_") and found.name not in ("tests", "testing", "conftest", "f2py", "distutils"):
            try:
                yield importlib.import_module(f"{library}.{found.name}")
            except ImportError:
                continue


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
