"""The examples of docs/prediction-log.md run as they stand."""

import re
from datetime import timedelta
from pathlib import Path

from driftloop.predictionlog import PredictionLogWriter
from tests.predictionlog.samples import at, batch, label
from tests.predictionlog.test_compaction import maintain

PAGE = Path(__file__).parents[2] / "docs" / "prediction-log.md"


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = Path(".driftloop/flight-delays/log")
    with PredictionLogWriter(root, writer_id="monitor", sync=False) as log:
        log.append_predictions([batch(0, hours=1, features={"carrier": ["AA", "UA"]})])
        log.commit(at(2))
        log.append_predictions([batch(2, hours=30, features={"carrier": ["AA", "AA"]})])
        log.append_labels([label(1, hours=5, key="k0"), label(0, hours=40, key="k2")])
        log.commit(at(40))
    maintain(root, through=at(30))
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(block, names)  # noqa: S102 (our own page)
    assert names["late_by_carrier"].to_dict() == {"AA": 0.5}
    assert "2 of 4 have a label, 0 are still expected" in capsys.readouterr().out
    assert names["daily"].predictions.tolist() == [2, 2]
    assert names["maturity"].by_age[-1][0] == timedelta(days=1)
