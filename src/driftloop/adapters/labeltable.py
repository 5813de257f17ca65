"""A table that other systems write the truth into: CSV or Parquet wherever fsspec reaches, or a database.

Read as plain values, only the columns asked for. What goes wrong is told with what to do about it, without the password
of an address.
"""

import re
from collections.abc import Sequence
from typing import Any

from driftloop.errors import DriftloopError

_TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
_FETCHED_ROWS = 10_000
_PARQUET_MAGIC = b"PAR1"


class LabelTableError(DriftloopError):
    """The table can't be had, or is not as it must be."""


class LabelTable:
    """One table.

    Args:
        uri: file, folder or pattern at any address of fsspec; with `query` a database URL of SQLAlchemy.
        query: name of the database's table, or a SELECT statement; None for files.
    """

    def __init__(self, uri: str, query: str | None = None) -> None:
        self._uri = uri
        self._query = query

    def __str__(self) -> str:
        return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", self._uri)

    def fingerprint(self) -> str | None:
        """Return what changes when the table may have changed; None where only reading tells.

        Raises:
            LabelTableError: there is no such table.
        """
        if self._query is not None:
            return None
        fs, paths = self._locate()
        try:
            return " ".join(str(fs.ukey(path)) for path in paths)
        except (OSError, NotImplementedError):
            return None

    def read(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Return some columns, all of the same length.

        Raises:
            LabelTableError: it can't be read, or lacks a column.
        """
        return self._read_files(columns) if self._query is None else self._read_database(self._query, columns)

    def _locate(self) -> tuple[Any, list[str]]:
        import fsspec

        try:
            fs, path = fsspec.core.url_to_fs(self._uri)
            fs.invalidate_cache()
            paths = [path] if fs.isfile(path) else fs.find(path) if fs.isdir(path) else fs.glob(path)
        except Exception as error:  # every store of fsspec has errors of its own
            raise LabelTableError(
                f"The label table '{self}' must be at an address that can be reached. Got: {error}. "
                "Correct 'monitoring.labels.uri', or install the store's fsspec package (such as s3fs or gcsfs)."
            ) from error
        found = sorted(p for p in paths if p == path or p.endswith((".csv", ".csv.gz", ".parquet", ".pq")))
        if not found:
            raise LabelTableError(
                f"The label table '{self}' must be a CSV or Parquet file, or a folder of them. Nothing is there. "
                "Correct 'monitoring.labels.uri', or write the table."
            )
        return fs, found

    def _read_files(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        fs, paths = self._locate()
        values: dict[str, list[Any]] = {name: [] for name in columns}
        for path in paths:
            try:
                table = _read_file(fs, path)
            except Exception as error:  # of fsspec's store, of Arrow's readers
                raise LabelTableError(
                    f"The label table '{path}' must be readable as CSV or Parquet. Got: {error}. "
                    "Repair it, or write it again."
                ) from error
            self._require(columns, table.column_names)
            for name in columns:
                values[name] += table[name].to_pylist()
        return values

    def _read_database(self, query: str, columns: Sequence[str]) -> dict[str, list[Any]]:
        try:
            import sqlalchemy
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError as error:
            raise LabelTableError(
                "The label table in a database needs SQLAlchemy. Install it with: pip install 'driftloop[monitor]'"
            ) from error
        statement = f"SELECT * FROM {query}" if _TABLE_NAME.fullmatch(query) else query  # noqa: S608  only a name
        values: dict[str, list[Any]] = {name: [] for name in columns}
        try:
            engine = sqlalchemy.create_engine(self._uri, poolclass=sqlalchemy.pool.NullPool)
            with engine.connect().execution_options(stream_results=True) as connection:
                rows = connection.execute(sqlalchemy.text(statement))
                names = list(rows.keys())
                self._require(columns, names)
                places = [names.index(name) for name in columns]
                while batch := rows.fetchmany(_FETCHED_ROWS):
                    for name, place in zip(columns, places, strict=True):
                        values[name] += [row[place] for row in batch]
        except (SQLAlchemyError, ImportError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error)
            raise LabelTableError(
                f"The label table '{self}' must answer 'monitoring.labels.query'. Got: {reason}. "
                "Correct the query or the address, or install the database's driver."
            ) from error
        return values

    def _require(self, columns: Sequence[str], names: Sequence[str]) -> None:
        for column in columns:
            if column not in names:
                raise LabelTableError(
                    f"The label table '{self}' must have the column '{column}'. Got: {', '.join(names)}. "
                    "Name the right ones with 'data.keyColumn', 'monitoring.labels.column' and "
                    "'monitoring.labels.timeColumn'."
                )


def _read_file(fs: Any, path: str) -> Any:
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    with fs.open(path, "rb") as file:
        is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        file.seek(0)
        if is_parquet:
            return pq.ParquetFile(file).read()
    with fs.open(path, "rb", compression="infer") as file:
        return pa_csv.read_csv(file)
