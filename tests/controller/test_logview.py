"""What the controller sees of the prediction log."""

from datetime import timedelta

import pytest

from driftloop.controller.logview import LogView
from driftloop.predictionlog import PredictionLogWriter
from driftloop.spec import MonitoringSpec
from tests.predictionlog.samples import START, at, batch, label


@pytest.fixture
def view(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as log:
        log.append_predictions([batch(0, hours=1, rows=3), batch(10, hours=26, rows=2)])
        log.append_labels([label(True, hours=20, key="k0"), label(False, hours=21, key="k10")])
        log.commit(at(48))
    monitoring = MonitoringSpec.model_validate({"window": {"duration": "1d"}, "labels": {"expectedDelay": "36h"}})
    return LogView(tmp_path, monitoring)


def test_nothing_is_counted_before_there_is_anything_complete(view):
    view.count(None, [])
    assert (view.labelled_rows, view.labels) == (0, {})


def test_labels_of_the_newest_complete_window_are_known_waited_for_or_overdue(view):
    view.count(at(30), [])
    assert view.labels == {
        "windowStart": START.isoformat(), "windowEnd": at(24).isoformat(),
        "predictions": 3, "labelled": 1, "waiting": 2, "overdue": 0, "arrival": "",
    }  # fmt: skip
    view.count(at(47), [])
    assert (view.labels["waiting"], view.labels["overdue"]) == (0, 2)


def test_a_new_quarantine_is_counted_at_once(view):
    view.count(at(30), [])
    assert view.labelled_rows == 1
    view.count(at(30), [(START, START + timedelta(days=1))])
    assert view.labelled_rows == 0
    assert view.counts()["rows"] == 5


def test_it_is_told_how_soon_labels_arrive(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as log:
        log.append_predictions([batch(0, hours=1, rows=40)])
        log.append_labels([label(True, hours=20, key=f"k{row}") for row in range(30)])
        log.commit(at(48))
    view = LogView(tmp_path, MonitoringSpec())
    view.count(at(48), [])
    assert view.labels["arrival"] == "75% of the predictions have their label within a day"
