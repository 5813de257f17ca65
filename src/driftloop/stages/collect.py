"""Second stage: brings the data in, CSV or Parquet, as one Parquet table. It changes no value and drops no row."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSpec
from driftloop.stages.snapshot import NoDataError, content_digest
from driftloop.stages.store import ObjectStore
from driftloop.stages.tablefile import read_table

_PARQUET_MAGIC = b"PAR1"
_CHUNK_BYTES = 1 << 20
_CSV_MIN_BLOCK_BYTES = 1 << 20
_CSV_MAX_BLOCK_BYTES = (1 << 31) - 1


class UnreadableDataError(InvalidInputError):
    """A file is neither CSV nor Parquet, or broken."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The file '{name}' must be a CSV or Parquet table. It can't be read: {reason}. Repair it.")


class EmptyDataError(InvalidInputError):
    """A table without rows."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"The data at '{uri}' must have rows. Got none. Check how the file was written.")


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
        UnreadableDataError, EmptyDataError, DuplicateColumnsError, ColumnNotFoundError: see there.
    """
    tables = [_read(path, data.uri) for path in paths]
    for table in tables:
        duplicates = [name for name, count in Counter(table.column_names).items() if count > 1]
        if duplicates:
            raise DuplicateColumnsError(data.uri, duplicates)
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UnreadableDataError(data.uri, f"its files do not agree on a column's type ({error})") from error
    if table.num_rows == 0:
        raise EmptyDataError(data.uri)
    for role, name in (
        ("data.targetColumn", data.target_column),
        ("data.timeColumn", data.time_column),
        ("data.keyColumn", data.key_column),
    ):
        if name and name not in table.column_names:
            raise ColumnNotFoundError(role, name, table.column_names)
    return table


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _read(path: Path, uri: str) -> pa.Table:
    with path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    try:
        if is_parquet:
            return read_table(path)
        # One block for the whole file: pyarrow guesses a column's type from the first block only.
        block_size = min(max(path.stat().st_size, _CSV_MIN_BLOCK_BYTES), _CSV_MAX_BLOCK_BYTES)
        return pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=block_size),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=True),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if path.stat().st_size == 0:
            raise EmptyDataError(uri) from error
        raise UnreadableDataError(uri, str(error).strip().splitlines()[0].rstrip(".")) from error
