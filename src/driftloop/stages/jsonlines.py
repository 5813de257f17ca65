"""The reading of a JSON lines file: one object a line becomes one row. Part of the stage `collect`.

Values bring their own types. Objects and lists inside of objects stay what they are: `validate` leaves such columns
out, and says so.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json

from driftloop.errors import InvalidInputError
from driftloop.stages.csvfile import UnreadableDataError

_BLOCK_BYTES = 1 << 22
_HEAD_BYTES = 1 << 12
_BOM = b"\xef\xbb\xbf"


class MixedJsonError(InvalidInputError):
    """A field that holds values of several types."""

    def __init__(self, uri: str, name: str, first: tuple[str, int], other: tuple[str, int]) -> None:
        """Build the message; types come with the line in which they occur first."""
        super().__init__(
            f"The field '{name}' of '{uri}' must hold values of one type. Got {first[0]} in line {first[1]} and "
            f"{other[0]} in line {other[1]}. Write all of them in one way, or leave the field out."
        )


def is_json(head: bytes) -> bool:
    """Return whether a file that begins so holds JSON.

    >>> is_json(b'{"x": 1}'), is_json(b"x,y")
    (True, False)
    """
    return head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[")


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file; of a compressed one (by its name), of its content."""
    with pa.input_stream(str(path)) as stream:
        head: bytes = stream.read(_HEAD_BYTES)
        return head


def read_json_lines(path: Path, uri: str) -> pa.Table:
    """Read a file; fields that some lines lack are missing there.

    Raises:
        UnreadableDataError: a line is no JSON object; it is named.
        MixedJsonError: values of a field differ in type.
    """
    try:
        with pa.input_stream(str(path)) as stream:
            head = stream.read(len(_BOM))
        with pa.input_stream(str(path)) as stream:
            if head == _BOM:
                stream.read(len(_BOM))
            return pa_json.read_json(stream, read_options=pa_json.ReadOptions(block_size=_BLOCK_BYTES))
    except pa.ArrowInvalid:
        return _read_line_by_line(path, uri)


def _read_line_by_line(path: Path, uri: str) -> pa.Table:
    """Find what is wrong, by line; or read what Arrow's reader can't, such as very long lines."""
    rows = []
    kinds: dict[str, tuple[str, int]] = {}
    with pa.input_stream(str(path)) as stream:
        lines = stream.read().removeprefix(_BOM).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _parse(line, number, uri)
        for name, value in row.items():
            if value is None:
                continue
            kind = _kind(value)
            known = kinds.setdefault(name, (kind, number))
            if known[0] != kind:
                raise MixedJsonError(uri, name, known, (kind, number))
        rows.append(row)
    try:
        return pa.Table.from_pylist(
            rows, pa.schema([(name, pa.array([r.get(name) for r in rows]).type) for name in kinds])
        )
    except pa.ArrowException as error:
        raise UnreadableDataError(uri, str(error).strip().splitlines()[0].rstrip(".")) from error


def _parse(line: bytes, number: int, uri: str) -> dict[str, Any]:
    remedy = "Write one JSON object a line."
    try:
        row = json.loads(line)
    except ValueError as error:
        reason = f"line {number} is no JSON ({str(error).partition(': line')[0]})"
        if number == 1 and line.strip() in (b"[", b"{"):
            reason = "it is one JSON document over several lines"
        raise UnreadableDataError(uri, reason, remedy) from error
    if not isinstance(row, dict):
        kind = "it is one JSON list" if number == 1 and isinstance(row, list) else f"line {number} is {_kind(row)}"
        raise UnreadableDataError(uri, kind, remedy)
    return row


def _kind(value: Any) -> str:
    kinds = ((bool, "true or false"), (int | float, "a number"), (str, "a text"), (list, "a list"), (dict, "an object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "nothing")
