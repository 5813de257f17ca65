"""The stage `collect` on a file that names rows of the prediction log."""

from types import SimpleNamespace

import pyarrow.parquet as pq

from components.collect.component import collect
from driftloop.adapters.objectstore import FsspecStore
from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from driftloop.spec import TrainingRows
from driftloop.stages.snapshot import data_digest
from tests.predictionlog.samples import at, batch, label


def test_the_component_makes_the_table_of_a_local_log(tmp_path):
    with PredictionLogWriter(tmp_path / "log", writer_id="monitor", sync=False) as writer:
        writer.append_predictions([batch(0, hours=1), batch(2, hours=2)])
        writer.append_labels([label(number == 1, hours=5, key=f"k{number}") for number in range(3)])
        writer.commit(at(6))
    view = PredictionLogReader(tmp_path / "log").view()
    rows = TrainingRows(log_uri=str(tmp_path / "log"), view=view, through=at(6))
    uri = str(tmp_path / "5f1c.log.json")
    with open(uri, "w") as file:  # noqa: PTH123  an address, as the component gets it
        file.write(rows.model_dump_json(by_alias=True))
    collect.python_func(
        data_uri=uri,
        data_digest=data_digest(FsspecStore(), uri),
        target_column="late",
        task="Classification",
        data={"keyColumn": "flight", "timeColumn": "departure"},
        table=SimpleNamespace(path=tmp_path / "table.parquet"),
        code_digest="",
    )
    table = pq.read_table(tmp_path / "table.parquet")
    assert table.column_names == ["distance", "late", "departure", "flight"]
    assert table["flight"].to_pylist() == ["k0", "k1", "k2"]
    assert table["late"].to_pylist() == [False, True, False]
