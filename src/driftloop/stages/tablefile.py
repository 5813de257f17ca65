"""The files that hand tables from stage to stage: Parquet, read without the cost of importing pandas."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file, or some of its columns."""
    return pq.ParquetFile(path).read(columns)  # read_table would import pyarrow.dataset, and that pandas


def write_table(table: pa.Table, path: Path | str) -> None:
    """Write one Parquet file."""
    pq.write_table(table, path)
