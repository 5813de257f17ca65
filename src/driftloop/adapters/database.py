"""The answer of a database to a query, as a table; what changes data is refused, by us and by the database.

What goes wrong is told with what to do about it, without the password.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.csv as pa_csv

from driftloop.errors import InvalidInputError

_TABLE_NAME = re.compile(r'[A-Za-z_"][\w"]*(\.[A-Za-z_"][\w"]*)?')
_READS = re.compile(r"\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*\(*\s*(select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=[\w$])")
_FETCHED_ROWS = 20_000
_DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql", "mssql": "pyodbc"}
_CONNECT_SECONDS = 15


class DatabaseError(InvalidInputError):
    """A database can't be asked, or its answer is no table."""

    def __init__(self, uri: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The database '{_public(uri)}' must {constraint}. Got: {got}. {remedy}")


class NoRowsError(InvalidInputError):
    """A query has no rows."""

    def __init__(self, uri: str, query: str) -> None:
        shown = " ".join(query.split())[:200]
        super().__init__(
            f"The query of '{_public(uri)}' must return rows. Got none from: {shown}. Correct its conditions, or wait "
            "until there are data."
        )


def read_query(uri: str, query: str, *, username: str = "", password: str = "") -> pa.Table:
    """Ask a database, in a transaction that reads only, and return the rows.

    Rows come in the order of the statement where it says ORDER BY; otherwise in the order of their values, because a
    database promises none, and equal content must give equal tables.

    Args:
        uri: as SQLAlchemy writes it.
        query: SELECT statement, or name of a table.
        username: in the place of the address's.
        password: likewise.

    Raises:
        DatabaseError: it can't be reached, does not answer, or gives columns of mixed types.
        NoRowsError: there are none.
    """
    statement = f"SELECT * FROM {query}" if _TABLE_NAME.fullmatch(query.strip()) else query  # noqa: S608  only a name
    if not _READS.match(statement):
        remedy = "Write one that reads; data are never changed here."
        raise DatabaseError(
            uri, "be asked by a SELECT statement", statement.split()[0] if statement.split() else "none", remedy
        )
    names, batches = _ask(uri, statement.rstrip().rstrip(";"), username, password)
    if not any(batch.num_rows for batch in batches):
        raise NoRowsError(uri, query)
    try:
        table = pa.concat_tables(batches, promote_options="permissive")
    except pa.ArrowException as error:
        remedy = "Convert the column in the query (CAST)."
        raise DatabaseError(uri, "answer with columns of one type", str(error).splitlines()[0], remedy) from error
    if len(set(names)) == len(names) and not _ORDERED.search(statement):
        table = table.sort_by([(name, "ascending") for name in names])
    return table.combine_chunks()


def table_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's content, the same for equal names, types and values."""
    digest = _HashSink()
    digest.write(str(table.schema.remove_metadata()).encode())
    pa_csv.write_csv(table, pa.PythonFile(digest, "w"), pa_csv.WriteOptions(include_header=False))
    return digest.hash.hexdigest()


class _HashSink:
    """A file that keeps the hash of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.hash = sha256()

    def write(self, content: bytes) -> int:
        self.hash.update(content)
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""


def _ask(uri: str, statement: str, username: str, password: str) -> tuple[list[str], list[pa.Table]]:
    try:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
    except ImportError as error:
        remedy = "Install it with: pip install 'driftloop[pipeline]'"
        raise DatabaseError(uri, "be asked through SQLAlchemy", "it is not installed", remedy) from error
    try:
        url = sqlalchemy.make_url(uri)
        url = url.set(username=username or url.username, password=password or url.password)
        engine = sqlalchemy.create_engine(
            _read_only(url), poolclass=sqlalchemy.pool.NullPool, connect_args=_patience(url.get_backend_name())
        )
    except (ArgumentError, NoSuchModuleError) as error:
        remedy = "Write it as in postgresql+psycopg://host/sales."
        raise DatabaseError(uri, "be named as SQLAlchemy does", _reason(error), remedy) from error
    except ImportError as error:
        driver = _DRIVERS.get(uri.partition(":")[0].partition("+")[0], "its driver")
        raise DatabaseError(
            uri, "have its driver here", _reason(error), f"Install it: pip install '{driver}'"
        ) from error
    try:
        connection = engine.connect()
    except (SQLAlchemyError, OSError) as error:
        remedy = (
            "Check host, port, name and whether it runs; the user and password stand in the environment as "
            "DRIFTLOOP_DATA_DATABASE_USERNAME and DRIFTLOOP_DATA_DATABASE_PASSWORD, or in data.secretRef."
        )
        raise DatabaseError(uri, "be reachable", _reason(error), remedy) from error
    try:
        with connection:
            for command in _MODES.get(url.get_backend_name(), ()):
                connection.exec_driver_sql(command)
            # As SQLAlchemy's text, which keeps '%' for the driver; a colon names no parameter here.
            plain = sqlalchemy.text(_PARAMETER.sub(r"\\:", statement))
            rows = connection.execution_options(stream_results=True).execute(plain)
            names = [str(name) for name in rows.keys()]  # noqa: SIM118 - no mapping
            return names, list(_batches(rows, names))
    except SQLAlchemyError as error:
        raise DatabaseError(uri, "answer the query", _reason(error), "Correct the statement.") from error
    except (pa.ArrowException, ValueError, TypeError) as error:
        remedy = "Convert the column in the query (CAST), or leave it out."
        raise DatabaseError(
            uri, "answer with values that a table can hold", str(error).splitlines()[0], remedy
        ) from error


_MODES = {
    "postgresql": ("SET TRANSACTION READ ONLY",),
    "mysql": ("SET TRANSACTION READ ONLY",),
    "mariadb": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON",),
}
"""What makes a connection read only, by the database; nothing is ever committed in the others."""


def _read_only(url: Any) -> Any:
    """Open a SQLite file so that a wrong path is an error and not a new, empty database."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return url
    return url.set(database=f"file:{url.database}", query={**url.query, "mode": "ro", "uri": "true"})


def _patience(backend: str) -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_SECONDS} if backend in ("postgresql", "mysql", "mariadb") else {}


def _batches(rows: Any, names: list[str]) -> Iterator[pa.Table]:
    while batch := rows.fetchmany(_FETCHED_ROWS):
        columns = zip(*batch, strict=True)
        yield pa.Table.from_arrays(
            [_column(list(values), name) for values, name in zip(columns, names, strict=True)], names
        )


def _column(values: list[Any], name: str) -> pa.Array:
    first = next((value for value in values if value is not None), None)
    plain = _PLAIN.get(type(first))
    if plain:
        values = [None if value is None else plain(value) for value in values]
    try:
        return pa.array(values)
    except pa.ArrowException as error:
        raise ValueError(f"the column '{name}' has values of several types ({error})") from error


_PLAIN: Mapping[type, Callable[[Any], Any]] = {
    Decimal: float,
    UUID: str,
    time: str,
    timedelta: lambda value: value.total_seconds(),
}


def _reason(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return " ".join(text.splitlines()[:2]).rstrip(".")


def _public(uri: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)
