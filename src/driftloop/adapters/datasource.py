"""Everything that `data` reads: its table and those joined to it, from files at any address or from databases.

What was brought is pinned by one digest of the content, so that `collect` takes the rows that `snapshot` saw.
"""

import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from driftloop.adapters.datastore import DataCredentials, open_data
from driftloop.spec import DataSpec, Task, is_training_rows
from driftloop.spec.data import SIMULATION, is_database
from driftloop.stages.collect import DataChangedError, collect, complete, copy_files, file_digest, simulated
from driftloop.stages.snapshot import data_digest
from driftloop.stages.tablefile import write_table


def digest_data(data: DataSpec) -> str:
    """Return the digest of everything that is read; with further tables one over theirs.

    Raises:
        NoDataError, UnreadableFileError, UnknownStoreError, DatabaseError, NoRowsError: see there.
    """
    return _combine([_digest(uri, query, data) for uri, query in _sources(data)])


def bring_data(data: DataSpec, digest: str, folder: Path) -> list[list[Path]]:
    """Copy everything that is read into a folder: the files of the rows, then those of each further table.

    Raises:
        DataChangedError: it is not what had the digest.
        NoDataError, UnreadableFileError, UnknownStoreError, DatabaseError, NoRowsError: see there.
    """
    digests, files = [], []
    for number, (uri, query) in enumerate(_sources(data)):
        place = folder / f"{number}"
        place.mkdir()
        own, paths = _bring(uri, query, data, place)
        digests.append(own)
        files.append(paths)
    if _combine(digests) != digest:
        raise DataChangedError(data.uri, is_queried=any(is_database(uri) for uri in data.addresses))
    return files


def collect_data(data: DataSpec, task: Task, digest: str = "") -> pa.Table:
    """Return the rows of `data` with everything joined to them, as the stage `collect` of a run does.

    Args:
        data: what to read.
        task: what the rows are for; simulated targets depend on it.
        digest: content to insist on; whatever is there where it is empty.

    Raises:
        As `bring_data` and `stages.collect.collect`.
    """
    from driftloop.adapters.loggedtable import collect_logged

    with tempfile.TemporaryDirectory() as folder:
        first, *further = bring_data(data, digest or digest_data(data), Path(folder))
        if data.simulation:
            return simulated(data, task, further)
        if is_training_rows(data.uri):
            rows = collect_logged(first[0], data, task)
            return complete(rows, _sampled_by_what_is_logged(data, rows))
        return collect(first, data, further)


def _sampled_by_what_is_logged(data: DataSpec, rows: pa.Table) -> DataSpec:
    """Sample plainly where requests don't carry the column to stratify by."""
    if data.sample is None or data.sample.by in rows.column_names:
        return data
    return data.model_copy(update={"sample": data.sample.model_copy(update={"by": None})})


def _sources(data: DataSpec) -> list[tuple[str, str | None]]:
    return [(data.uri, data.query), *((join.uri, join.query) for join in data.joins)]


def _digest(uri: str, query: str | None, data: DataSpec) -> str:
    if uri == SIMULATION:
        return _simulation_digest(data)
    if is_database(uri):
        from driftloop.adapters.database import table_digest

        return table_digest(_query(uri, query))
    return data_digest(open_data(uri), uri)


def _bring(uri: str, query: str | None, data: DataSpec, folder: Path) -> tuple[str, list[Path]]:
    if uri == SIMULATION:
        return _simulation_digest(data), []
    if is_database(uri):
        from driftloop.adapters.database import table_digest

        table, path = _query(uri, query), folder / "rows.parquet"
        write_table(table, path)
        return table_digest(table), [path]
    paths = copy_files(open_data(uri), uri, folder)
    return file_digest(paths), paths


def _query(uri: str, query: str | None) -> pa.Table:
    from driftloop.adapters.database import read_query

    found = DataCredentials()
    return read_query(uri, query or "", username=found.database_username, password=found.database_password)


def _simulation_digest(data: DataSpec) -> str:
    declared = data.simulation.model_dump_json() if data.simulation else ""
    return sha256(declared.encode()).hexdigest()


def _combine(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
