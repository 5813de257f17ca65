"""Second stage: brings the data in as one Parquet table, with what is joined to them and made of their earlier rows.

Files may be CSV, Parquet or JSON lines; a database's answer comes as Parquet. What a CSV leaves open (its dialect, how
numbers and dates are written) is read here once; notes about it travel in the table's metadata.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSpec, Task
from driftloop.stages.celltext import MixedColumnError, UnclearColumnError, read_columns
from driftloop.stages.csvfile import CsvText, EmptyDataError, UnreadableDataError, read_csv_text
from driftloop.stages.history import add_history, lag_name
from driftloop.stages.joins import join
from driftloop.stages.jsonlines import is_json, read_head, read_json_lines
from driftloop.stages.sample import draw
from driftloop.stages.simulation import simulate
from driftloop.stages.snapshot import NoDataError, content_digest
from driftloop.stages.store import ObjectStore
from driftloop.stages.tablefile import read_table
from driftloop.stages.tablenotes import reading_notes, with_notes

_PARQUET_MAGIC = b"PAR1"
_CHUNK_BYTES = 1 << 20
_LONGEST_NAME = 100
ROLES = {
    "data.targetColumn": "target_column",
    "data.actionColumn": "action_column",
    "data.propensityColumn": "propensity_column",
    "data.timeColumn": "time_column",
    "data.keyColumn": "key_column",
}
"""Fields of the group `data` that name one column each."""


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

    def __init__(self, uri: str, *, is_queried: bool = False) -> None:
        remedy = "Bound the query by a time that is past" if is_queried else "Write new data under a new name"
        super().__init__(
            f"The data at '{uri}' must not change while a run reads them. They changed since the run began. "
            f"Start the run again. {remedy}."
        )


def copy_files(store: ObjectStore, data_uri: str, folder: Path) -> list[Path]:
    """Copy the data's files into `folder`, in their order.

    Raises:
        NoDataError: there is no file.
    """
    paths = []
    for number, uri in enumerate(store.files(data_uri)):
        name = urlsplit(uri).path if uri.startswith(("http:", "https:")) else uri
        path = folder / f"{number:06}-{name.rsplit('/', 1)[-1][-_LONGEST_NAME:]}"
        with path.open("wb") as file:
            file.writelines(store.chunks(uri))
        paths.append(path)
    if not paths:
        raise NoDataError(data_uri)
    return paths


def file_digest(paths: Sequence[Path]) -> str:
    """Return the content digest of local files, as `snapshot` computes it."""
    return content_digest(_chunks(path) for path in paths)


def collect(paths: Sequence[Path], data: DataSpec, further: Sequence[Sequence[Path]] = ()) -> pa.Table:
    """Read the files as one table; columns that some files lack are missing in their rows.

    Args:
        paths: files of the rows.
        data: what to join, to look back at and to take of them, and the columns that there must be.
        further: files of each table of `data.joins`.

    Raises:
        UnreadableDataError, EmptyDataError, DuplicateColumnsError, ColumnNotFoundError, MixedColumnError,
        MixedJsonError, UnclearColumnError, JoinError, HistoryError, SingletonsError, TooManyStrataError: see there.
    """
    return complete(read_files(paths, data.uri), data, further)


def simulated(data: DataSpec, task: Task, further: Sequence[Sequence[Path]] = ()) -> pa.Table:
    """Make up the rows that `data.simulation` declares.

    Raises:
        SimulationError, and those of `collect`: see there.
    """
    if data.simulation is None:
        raise NoDataError(data.uri)
    note = "these rows are made up (data.simulation): what a model learns from them says nothing of the world"
    return complete(with_notes(simulate(data, data.simulation, task), [note]), data, further)


def complete(rows: pa.Table, data: DataSpec, further: Sequence[Sequence[Path]] = ()) -> pa.Table:
    """Join, look back and sample, in this order: each builds on what was there before, and a history needs all rows.

    Raises:
        As `collect`.
    """
    notes = reading_notes(rows)
    came_in = rows.num_rows
    for spec, paths in zip(data.joins, further, strict=True):
        other = read_files(paths, spec.uri)
        rows = join(rows, other, spec, data.time_column)
        notes += [f"{note} (in '{spec.uri}')" for note in reading_notes(other)]
    for history in data.history:
        rows = add_history(rows, history, data.time_column or "")
        if history.column == data.target_column and not history.known_after:
            name = lag_name(history.column, history.lags[0]) if history.lags else f"the means of '{history.column}'"
            notes.append(
                f"{name}: the target of earlier rows counts as known at once; set knownAfter if it comes later"
            )
    for role, field in ROLES.items():
        name = getattr(data, field)
        if name and name not in rows.column_names:
            raise ColumnNotFoundError(role, name, rows.column_names)
    if data.sample:
        if data.sample.by and data.sample.by not in rows.column_names:
            raise ColumnNotFoundError("data.sample.by", data.sample.by, rows.column_names)
        rows = draw(rows, data.sample)
        if rows.num_rows < came_in:
            notes.append(f"{rows.num_rows:,} of {came_in:,} rows were taken (data.sample)")
    return with_notes(rows, notes)


def read_files(paths: Sequence[Path], uri: str) -> pa.Table:
    """Read files as one table of typed columns; `reading_notes` tells what was read in a special way.

    The CSV files are typed together: what one of them leaves open, another may prove.

    Raises:
        UnreadableDataError, EmptyDataError, DuplicateColumnsError, MixedColumnError, MixedJsonError,
        UnclearColumnError: see there.
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
    return with_notes(typed, notes)


def _check_names(table: pa.Table, uri: str) -> None:
    duplicates = [name for name, count in Counter(table.column_names).items() if count > 1]
    if duplicates:
        raise DuplicateColumnsError(uri, duplicates)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _read(path: Path, uri: str) -> pa.Table | CsvText:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        if is_parquet:
            return read_table(path)
        return read_json_lines(path, uri) if is_json(read_head(path)) else read_csv_text(path, uri)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableDataError(uri, str(error).strip().splitlines()[0].rstrip(".")) from error
