"""YAML or JSON text in, plain values with their line numbers out: the first step of reading ModelLoop files.

Reads as YAML 1.2 does, and refuses what YAML readers understand differently (`on`, `010`, `12:30`), so that driftloop
and kubectl never disagree about a file. Knows nothing of ModelLoops.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from driftloop.spec.problems import SpecProblem

Location = tuple[str | int, ...]

_NULL = re.compile(r"(|~|null|Null|NULL)")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")  # longer ones are read as floats
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# What YAML 1.1 or 1.2 readers take for a boolean, an octal or base-60 number, a date, a merge.
_AMBIGUOUS = re.compile(
    r"""y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|<<|=
    |[-+]?0[0-9_]+(\.[0-9_]*)?|[-+]?0[obx][0-9a-fA-F_]+
    |[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?
    |[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?
    |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\ ].*)?""",
    re.VERBOSE,
)
# The tags that a YAML 1.1 parser finds by itself; all others were written out.
_FOUND_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value", "seq", "map")
}
_MOST_VALUES = 10_000
_DEEPEST = 30


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    value: Any
    """Mappings, lists, text, numbers, booleans, None."""
    lines: Mapping[Location, int]
    """Line of each key and list item, from 1."""
    problems: tuple[SpecProblem, ...]

    def line(self, location: Location) -> int | None:
        """Return the line of the value at `location`, or of the nearest one around it."""
        return next(
            (self.lines[location[:end]] for end in range(len(location), -1, -1) if location[:end] in self.lines), None
        )


def read_documents(text: str, file: str) -> list[Document]:
    """Read every document of a file; what is wrong stands in the documents' `problems`."""
    documents: list[Document] = []
    try:
        documents.extend(_Reader(file).read(node) for node in yaml.compose_all(text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        problem = _syntax_problem(file, error.problem or "", mark.line + 1 if mark else None)
        documents.append(Document(None, {}, (problem,)))
    except (yaml.YAMLError, RecursionError) as error:
        documents.append(Document(None, {}, (_syntax_problem(file, str(error).split("\n")[0], None),)))
    return documents


def path_of(location: Location) -> str:
    """Write a location as people do.

    >>> path_of(("spec", "retraining", "triggers", 0)), path_of(("metadata", "labels", "a.b/c"))
    ('spec.retraining.triggers[0]', "metadata.labels['a.b/c']")
    """
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            path += f".{step}" if path else step
        else:
            path += f"[{step!r}]"
    return path


def quote_if_needed(text: str) -> str:
    """Write text as a YAML value that every reader takes for text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text)
    is_safe = plain and not _AMBIGUOUS.fullmatch(text) and _resolve(text) == text
    if is_safe:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).removesuffix("\n")


class _Reader:
    """Turns the nodes of one document into values."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Location, int] = {}
        self.problems: list[SpecProblem] = []
        self.value_count = 0

    def read(self, node: yaml.Node) -> Document:
        try:
            value = self.value(node, ())
        except _TooLargeError as error:
            value = None
            self.problems.append(
                SpecProblem(self.file, "", str(error), remedy="Check its anchors (&) and aliases (*).")
            )
        return Document(value, self.lines, tuple(self.problems))

    def value(self, node: yaml.Node, location: Location) -> Any:
        self.value_count += 1
        self.lines.setdefault(location, node.start_mark.line + 1)
        if self.value_count > _MOST_VALUES:
            raise _TooLargeError(f"must have at most {_MOST_VALUES} values")
        if len(location) > _DEEPEST:
            raise _TooLargeError(f"must be nested at most {_DEEPEST} levels deep")
        if node.tag not in _FOUND_TAGS:
            self.refuse(location, "must be written without a YAML tag", value=f"'{node.tag}'")
            return ""
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, location)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location)
        return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.refuse(location, "must have text for keys")
                continue
            key = _text(key_node)
            here, line = (*location, key), key_node.start_mark.line + 1
            if here in self.lines:
                remedy = f"Line {self.lines[here]} has it already: remove one."
                self.refuse(here, "must stand only once", remedy=remedy, line=line)
                continue
            self.lines[here] = line
            if key_node.style is None and _AMBIGUOUS.fullmatch(key):
                self.refuse_ambiguous(here, key)
            values[key] = self.value(value_node, here)
        return values

    def scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        text = _text(node)
        if node.style is not None:
            return text
        value = _resolve(text)
        if _AMBIGUOUS.fullmatch(text):
            self.refuse_ambiguous(location, text)
        elif _NOT_FINITE.fullmatch(text) or value in (math.inf, -math.inf):
            self.refuse(location, "must be a finite number", value=text)
        return value

    def refuse_ambiguous(self, location: Location, text: str) -> None:
        otherwise = ", or write true or false" if text.isalpha() else " if it is text, or write it plainly"
        self.refuse(
            location,
            "must be written so that every YAML reader takes it alike",
            value=text,
            remedy=f'Quote it ("{text}"){otherwise}.',
        )

    def refuse(
        self, location: Location, constraint: str, *, value: str = "", remedy: str = "", line: int | None = None
    ) -> None:
        line = line or self.lines.get(location)
        self.problems.append(SpecProblem(self.file, path_of(location), constraint, value, remedy, line=line))


class _TooLargeError(Exception):
    """The document, with its aliases followed, is no ModelLoop of any sensible size."""


def _text(node: yaml.ScalarNode) -> str:
    """Return a scalar's text, with the surrogate pairs of JSON escapes joined and lone halves replaced."""
    return str(node.value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _resolve(text: str) -> Any:
    """Read a plain scalar by the core schema of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _syntax_problem(file: str, reason: str, line: int | None) -> SpecProblem:
    remedy = "Indent with spaces, not tabs." if "\\t" in reason else f"YAML says: {reason}." if reason else ""
    return SpecProblem(file, "", "must be valid YAML or JSON", remedy=remedy, line=line)
