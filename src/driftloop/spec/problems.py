"""What is wrong with a ModelLoop file, in the house grammar: what, constraint, value, remedy."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from driftloop.errors import InvalidInputError

_LONGEST_VALUE = 60


@dataclass(frozen=True)
class SpecProblem:
    """One error of one field; `str` is the sentence for people."""

    file: str
    path: str
    """Field as in the file, e.g. `spec.problem.metric.threshold`. Empty: the file as a whole."""
    constraint: str
    """Continues "The field ...": `must be at least 30`, `is not a known field`."""
    value: str = ""
    """What stands there, as shown by `show_value`. Empty: nothing, or nothing worth showing."""
    remedy: str = ""
    """What to do, as a sentence."""
    loop: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        subject = f"The '{self.path}'" if self.path else "The file"
        owner = f" of ModelLoop '{self.loop}'" if self.path and self.loop else ""
        got = f" Got {self.value}." if self.value else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}: {subject}{owner} {self.constraint}.{got}{remedy}"


class InvalidModelLoopError(InvalidInputError):
    """One or more ModelLoop files can't be used; carries every problem of every file."""

    def __init__(self, problems: Iterable[SpecProblem]) -> None:
        """Keep the problems, by file and line."""
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line or 0)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def facts(self) -> dict[str, Any]:
        """Return the problems one by one."""
        return {"problems": [{**asdict(problem), "message": str(problem)} for problem in self.problems]}


def show_value(value: object) -> str:
    """Write a value short and as it would stand in a file.

    >>> show_value(True), show_value("x"), show_value([1, 2]), show_value({"a": 1})
    ('true', "'x'", 'a list', 'a mapping')
    """
    match value:
        case None | bool():
            shown = {None: "nothing", True: "true", False: "false"}[value]
        case dict():
            shown = "a mapping"
        case list() | tuple():
            shown = "a list"
        case str():
            shown = f"'{_shorten(value)}'"
        case _:
            shown = _shorten(str(value))
    return shown


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def did_you_mean(name: str, candidates: Sequence[str]) -> str:
    """Return the question that offers the nearest candidate, or nothing.

    >>> did_you_mean("treshold", ["name", "threshold"])
    "Did you mean 'threshold'?"
    """
    by_plain_name = {_plain(candidate): candidate for candidate in candidates}
    near = get_close_matches(_plain(name), by_plain_name, n=1)
    return f"Did you mean '{by_plain_name[near[0]]}'?" if near else ""


def _plain(name: str) -> str:
    """Drop what people mix up: case, dashes and underscores."""
    return name.casefold().replace("_", "").replace("-", "")
