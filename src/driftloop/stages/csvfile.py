"""The one reading of a CSV file, of whatever dialect and encoding: its cells as texts, nothing interpreted.

`driftloop init` and the stage `collect` both read here, so that the file is proposed from what will be trained on. What
the texts mean is decided in `celltext`.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from driftloop.errors import InvalidInputError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_HEAD_BYTES = 1 << 18
_HEAD_ROWS = 100
_CHUNK_BYTES = 1 << 20
_MOSTLY = 0.9
_NUL_SHARE = 0.3
"""Of the bytes at even or odd places; in UTF-16 of western text it is nearly all of them on one side."""
_ENCODING_NAMES = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "cp932": "Shift JIS"}
_ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
}


class UnreadableDataError(InvalidInputError):
    """A file is neither CSV, Parquet nor JSON lines, or broken."""

    def __init__(self, name: str, reason: str, remedy: str = "Repair it.") -> None:
        super().__init__(
            f"The file '{name}' must be a CSV, Parquet or JSON lines table. It can't be read: {reason}. {remedy}"
        )


class EmptyDataError(InvalidInputError):
    """A table without rows."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"The data at '{uri}' must have rows. Got none. Check how the file was written.")


@dataclass(frozen=True)
class CsvText:
    """A file's cells as they stand there."""

    table: pa.Table
    """Every column as text; names may occur twice."""
    delimiter: str
    notes: tuple[str, ...]
    """How the file was read, where it is not the plainest CSV, in plain sentences."""
    is_whole: bool
    """Whether all rows were read."""


@dataclass(frozen=True)
class _Dialect:
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    header_lines: int
    notes: tuple[str, ...]


def read_csv_text(path: Path, name: str, *, most_rows: int | None = None) -> CsvText:
    """Read the cells of a file.

    Args:
        path: the file; compressed if its name ends so.
        name: what to call it in messages.
        most_rows: read about so many rows, and only so much of the file; all if absent.

    Raises:
        EmptyDataError: there is no header.
        UnreadableDataError: it is no CSV.
    """
    try:
        dialect = _sniff(path, name, whole=most_rows is None)
        batches, is_whole = _read_batches(path, dialect, most_rows)
        table = pa.Table.from_batches(batches, pa.schema([(column, pa.string()) for column in dialect.names]))
    except (pa.ArrowException, OSError, UnicodeError, csv.Error) as error:
        raise UnreadableDataError(name, str(error).strip().splitlines()[0].rstrip(".")) from error
    return CsvText(*_without_trailing_column(table, dialect), is_whole=is_whole)


def _read_batches(path: Path, dialect: _Dialect, most_rows: int | None) -> tuple[list[pa.RecordBatch], bool]:
    places = [f"{place}" for place in range(len(dialect.names))]  # names of the file may occur twice
    with pa.input_stream(str(path)) as stream:
        try:
            reader = pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(
                    encoding=dialect.encoding, skip_rows=dialect.header_lines, column_names=places
                ),
                parse_options=pa_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):  # nothing behind the header
                return [], True
            raise
        batches: list[pa.RecordBatch] = []
        rows = 0
        for batch in reader:
            if most_rows is not None and rows >= most_rows:
                return batches, False
            batches.append(batch.rename_columns(dialect.names))
            rows += len(batch)
    return batches, True


def _without_trailing_column(table: pa.Table, dialect: _Dialect) -> tuple[pa.Table, str, tuple[str, ...]]:
    """Leave out a last column without name and values: a delimiter at the end of each line makes it."""
    notes = dialect.notes
    last = len(dialect.names) - 1
    if last and not dialect.names[last] and all(not text.strip() for text in table.column(last).unique().to_pylist()):
        table = table.remove_column(last)
        notes = (*notes, "the delimiter at the end of each line was left out")
    return table, dialect.delimiter, notes


def _sniff(path: Path, name: str, *, whole: bool) -> _Dialect:
    with pa.input_stream(str(path)) as stream:
        head = stream.read(_HEAD_BYTES)
    for magic, what in _ARCHIVES.items():
        if head.startswith(magic):
            raise UnreadableDataError(name, f"it is {what}", "Save the table as CSV.")
    encoding = _find_encoding(path, head, name, whole=whole)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not text.strip():
        raise EmptyDataError(name)
    if len(head) == _HEAD_BYTES:
        text = text[: text.rfind("\n") + 1] or text  # no half line
    notes = []
    if encoding != "utf-8":
        notes.append(f"the text was read as {_ENCODING_NAMES.get(encoding, encoding.upper())}")
    declared = re.match(r"sep=(.)\r?\n", text)  # written by Excel
    delimiter = declared[1] if declared else _find_delimiter(text)
    if delimiter != ",":
        notes.append(f"the columns are parted by {_DELIMITERS.get(delimiter, repr(delimiter))}")
    reader = csv.reader(io.StringIO(text[declared.end() :] if declared else text, newline=""), delimiter=delimiter)
    header = next(row for row in reader if any(cell.strip() for cell in row))
    header_lines = reader.line_num + bool(declared)
    names = [cell.strip() for cell in header]
    if names != header:
        notes.append("spaces around column names were left out")
    if _have_one_more(islice(reader, _HEAD_ROWS), len(names)):
        names.append("")
    return _Dialect(encoding, delimiter, tuple(names), header_lines, tuple(notes))


def _have_one_more(rows: Iterable[list[str]], width: int) -> bool:
    """Whether every line ends in a delimiter that the header lacks."""
    full = [row for row in rows if row]
    return bool(full) and all(len(row) == width + 1 and not row[-1].strip() for row in full)


def _find_encoding(path: Path, head: bytes, name: str, *, whole: bool) -> str:
    """Return UTF-8 wherever it fits; else what the bytes look like."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding, places in (("utf-16-be", head[::2]), ("utf-16-le", head[1::2])):
        if places.count(0) > _NUL_SHARE * max(len(places), 1):
            return encoding
    if b"\0" in head:
        raise UnreadableDataError(name, "it holds binary data", "Save the table as CSV or Parquet.")
    content = head
    if whole:
        with pa.input_stream(str(path)) as stream:
            content = stream.read()
    elif len(head) == _HEAD_BYTES:
        content = head[: head.rfind(b"\n") + 1] or head  # no half character
    if _decodes(content, "utf-8"):
        return "utf-8"
    if _is_shift_jis(content):
        return "cp932"
    return "cp1252" if _decodes(content, "cp1252") else "latin-1"


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_shift_jis(content: bytes) -> bool:
    """Whether bytes beyond ASCII stand together, as Japanese writes them, and not alone, as accents do."""
    beyond = len(re.findall(rb"[\x80-\xff]", content))
    together = sum(len(run) for run in re.findall(rb"[\x80-\xff]{2,}", content))
    return together > beyond / 2 and _decodes(content, "cp932")


def _find_delimiter(text: str) -> str:
    """Return the delimiter that parts most lines into as many cells as the header, the more cells the better."""
    best, best_width = ",", 1
    for delimiter in _DELIMITERS:
        rows = [
            row for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _HEAD_ROWS) if row
        ]
        width = len(rows[0])
        fitting = sum(len(row) == width or (len(row) == width + 1 and not row[-1]) for row in rows)
        if width > best_width and fitting >= _MOSTLY * len(rows):
            best, best_width = delimiter, width
    return best
