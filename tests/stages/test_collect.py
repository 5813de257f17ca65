from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftloop.adapters.datasource import bring_data, digest_data
from driftloop.spec import DataSpec
from driftloop.stages.collect import (
    ColumnNotFoundError,
    DataChangedError,
    DuplicateColumnsError,
    EmptyDataError,
    UnreadableDataError,
    collect,
)

SPEC = DataSpec(uri="data.csv", target_column="late")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_csv_and_parquet_give_the_same_table(tmp_path):
    csv = write(tmp_path / "a.csv", "late,city\ntrue,Rome\nfalse,\n")
    table = collect([csv], SPEC)
    pq.write_table(table, tmp_path / "a.parquet")
    assert collect([tmp_path / "a.parquet"], SPEC).equals(table)
    assert table.column("city").null_count == 1


def test_a_type_that_changes_late_in_a_csv_is_read(tmp_path):
    lines = ["late,x", *["1,1"] * 400_000, "0,1.5"]
    table = collect([write(tmp_path / "a.csv", "\n".join(lines))], SPEC)
    assert table.schema.field("x").type == pa.float64()


def test_columns_that_some_files_lack_are_missing_there(tmp_path):
    files = [write(tmp_path / "a.csv", "late,x\n1,1\n"), write(tmp_path / "b.csv", "late,x,y\n0,2,3\n")]
    assert collect(files, SPEC).column("y").null_count == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", EmptyDataError, "must have rows"),
        ("late,x\n", EmptyDataError, "must have rows"),
        ("late,x,x\n1,2,3\n", DuplicateColumnsError, "More than once: 'x'"),
        ("lat,x\n1,2\n", ColumnNotFoundError, r"Got 'late'. Did you mean 'lat'\?"),
        ("late,x\n1,2,3\n", UnreadableDataError, "Expected 2 columns, got 3"),
        ("PAR1 and no more", UnreadableDataError, "can't be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        collect([write(tmp_path / "a.csv", text)], SPEC)


def test_files_that_disagree_on_a_type_are_told(tmp_path):
    files = [write(tmp_path / "a.csv", "late,x\n1,1\n"), tmp_path / "b.parquet"]
    pq.write_table(pa.table({"late": [0], "x": ["word"]}), files[1])
    with pytest.raises(UnreadableDataError, match="do not agree on a column's type"):
        collect(files, SPEC)


def test_data_that_changed_since_the_snapshot_are_refused(tmp_path):
    source, folder, again = write(tmp_path / "a.csv", "late\n1\n"), tmp_path / "copy", tmp_path / "again"
    folder.mkdir()
    again.mkdir()
    data = SPEC.model_copy(update={"uri": str(source)})
    digest = digest_data(data)
    assert bring_data(data, digest, folder)[0][0].read_bytes() == source.read_bytes()
    source.write_text("late\n2\n")
    with pytest.raises(DataChangedError, match="changed since the run began"):
        bring_data(data, digest, again)
