"""Second stage: brings the data in, CSV or Parquet, as one Parquet table. It drops no row.

What a CSV leaves open (its dialect, how numbers and dates are written) is read here once; notes about it travel in the
table's metadata.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSpec
from driftloop.stages.celltext import MixedColumnError, UnclearColumnError, read_columns
from driftloop.stages.csvfile import CsvText, EmptyDataError, UnreadableDataError, read_csv_text
from driftloop.stages.snapshot import NoDataError, content_digest
from driftloop.stages.store import ObjectStore
from driftloop.stages.tablefile import read_table

_PARQUET_MAGIC = b"PAR1"
_CHUNK_BYTES = 1 << 20
_NOTES = b"driftloop.notes"


class ColumnNotFoundError(InvalidInputError):
    """A column that the ModelLoop names is not in the data."""

    def __init__(self, role: str, name: str, columns: Sequence[str]) -> None:
        close = difflib.get_close_matches(name, columns, n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else f"The columns are: {', '.join(columns)}."
        super().__init__(f"The '{role}' must be a column of the data. Got '{name}'. {remedy}")


class DuplicateColumnsError(InvalidInputError):
    """Two columns share a name."""

    def __init__(self, uri: str, names: Sequence[str]) -> None:
        super().__init__(
            f"The columns at '{uri}' must have different names. "
            f"More than once: {', '.join(map(repr, names))}. Rename or remove them."
        )


class DataChangedError(InvalidInputError):
    """The data are not those the run began with."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The data at '{uri}' must not change while a run reads them. They changed since the run began. "
            "Start the run again, and write new data under a new name."
        )


def fetch(store: ObjectStore, data_uri: str, *, digest: str, folder: Path) -> list[Path]:
    """Copy the data's files into `folder` and make sure that they are those of `digest`.

    Raises:
        NoDataError: there is no file.
        DataChangedError: their content is not that of the digest.
    """
    paths = []
    for number, uri in enumerate(store.files(data_uri)):
        path = folder / f"{number:06}-{uri.rsplit('/', 1)[-1]}"
        with path.open("wb") as file:
            file.writelines(store.chunks(uri))
        paths.append(path)
    if not paths:
        raise NoDataError(data_uri)
    if content_digest(_chunks(path) for path in paths) != digest:
        raise DataChangedError(data_uri)
    return paths


def collect(paths: Sequence[Path], data: DataSpec) -> pa.Table:
    """Read the files as one table; columns that some files lack are missing in their rows.

    Raises:
        UnreadableDataError, EmptyDataError, DuplicateColumnsError, ColumnNotFoundError, MixedColumnError,
        UnclearColumnError: see there.
    """
    table = read_files(paths, data.uri)
    for role, name in (
        ("data.targetColumn", data.target_column),
        ("data.timeColumn", data.time_column),
        ("data.keyColumn", data.key_column),
        ("data.actionColumn", data.action_column),
        ("data.propensityColumn", data.propensity_column),
    ):
        if name and name not in table.column_names:
            raise ColumnNotFoundError(role, name, table.column_names)
    return table


def read_files(paths: Sequence[Path], uri: str) -> pa.Table:
    """Read files as one table of typed columns; `reading_notes` tells what was read in a special way.

    The CSV files are typed together: what one of them leaves open, another may prove.

    Raises:
        UnreadableDataError, EmptyDataError, DuplicateColumnsError, MixedColumnError, UnclearColumnError: see there.
    """
    read = [_read(path, uri) for path in paths]
    texts = [one for one in read if isinstance(one, CsvText)]
    tables = [one for one in read if not isinstance(one, CsvText)]
    for table in tables:
        _check_names(table, uri)
    if texts:
        tables.insert(0, _type_texts(texts, uri))  # the first table's metadata stay
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UnreadableDataError(uri, f"its files do not agree on a column's type ({error})") from error
    if table.num_rows == 0:
        raise EmptyDataError(uri)
    return table


def read_csv_sample(path: Path, rows: int) -> tuple[pa.Table, bool]:
    """Read about so many of a CSV file's first rows as `read_files` would, and whether these are all there are.

    Where the first rows leave open how they are meant (all days of January are months, too), all rows are read.
    """
    text = read_csv_text(path, str(path), most_rows=rows)
    try:
        return _type_texts([text], str(path)), text.is_whole
    except (MixedColumnError, UnclearColumnError):
        if text.is_whole:
            raise
    return read_files([path], str(path)), True


def _type_texts(texts: Sequence[CsvText], uri: str) -> pa.Table:
    for text in texts:
        _check_names(text.table, uri)
    table = pa.concat_tables([text.table for text in texts], promote_options="default")
    typed, notes = read_columns(table, uri, delimiter=texts[0].delimiter)
    notes = [*dict.fromkeys(note for text in texts for note in text.notes), *notes]
    return typed.replace_schema_metadata({_NOTES: json.dumps(notes)} if notes else None)


def _check_names(table: pa.Table, uri: str) -> None:
    duplicates = [name for name, count in Counter(table.column_names).items() if count > 1]
    if duplicates:
        raise DuplicateColumnsError(uri, duplicates)


def reading_notes(table: pa.Table) -> list[str]:
    """Return what `read_files` read in a special way, in plain sentences."""
    notes: list[str] = json.loads((table.schema.metadata or {}).get(_NOTES, b"[]"))
    return notes


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _read(path: Path, uri: str) -> pa.Table | CsvText:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        if not is_parquet:
            return read_csv_text(path, uri)
        return read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableDataError(uri, str(error).strip().splitlines()[0].rstrip(".")) from error
