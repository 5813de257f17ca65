"""How far the truth about a stretch is known, in counts a person can read."""

from datetime import timedelta

import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from tests.predictionlog.samples import START, at, batch, label

DAY = timedelta(days=1)


@pytest.fixture
def reader(tmp_path):
    """Ten predictions at 0:00 and two at 30:00; labels after 1, 6 and 30 hours, and some that fit nothing."""
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as log:
        log.append_predictions([batch(0, rows=10), batch(10, hours=30)])
        log.append_labels([label(True, hours=1, key=f"k{number}") for number in range(4)])
        log.append_labels([label(True, hours=6, key="k4"), label(False, hours=7, key="k0")])
        log.append_labels([label(True, hours=7, key="k1"), label(True, hours=30, prediction_id="p5")])
        log.append_labels([label(True, hours=8, key="stranger"), label(True, hours=9, prediction_id="stranger")])
        log.commit(at(40))
    return PredictionLogReader(tmp_path)


def test_labelled_waiting_overdue_contradicted_and_unknown_are_counted(reader):
    maturity = reader.label_maturity(START, at(40), now=at(40), expected_delay=DAY)
    assert (maturity.predictions, maturity.labelled, maturity.waiting, maturity.overdue) == (12, 6, 2, 4)
    assert maturity.contradicted == 1  # k0; k1 was told the same twice
    assert maturity.unknown_labels == 2


def test_only_what_was_known_at_the_time_counts(reader):
    maturity = reader.label_maturity(START, at(40), now=at(5), expected_delay=DAY)
    assert (maturity.labelled, maturity.waiting, maturity.contradicted, maturity.unknown_labels) == (4, 8, 0, 0)


def test_the_share_with_a_label_grows_with_age(reader):
    maturity = reader.label_maturity(START, at(1), now=at(40), expected_delay=at(40) - START)
    assert [(age // timedelta(hours=1), share) for age, share in maturity.by_age] == [
        (4, 0.4),
        *((hours, 0.5) for hours in (8, 12, 16, 20, 24, 28)),
        *((hours, 0.6) for hours in (32, 36, 40)),
    ]


def test_a_stretch_without_predictions_has_nothing_to_wait_for(reader):
    maturity = reader.label_maturity(at(50), at(60), now=at(70), expected_delay=DAY)
    assert (maturity.predictions, maturity.labelled, maturity.by_age) == (0, 0, ())
