"""The rows a retraining learns from."""

import pandas as pd
import pytest

from driftloop.loop.trainingdata import faulty_windows
from driftloop.predictionlog import FEATURE_PREFIX, KEY, LABEL, PREDICTION_ID, TIME
from driftloop.predictionlog.trainingtable import labelled_rows, training_table
from driftloop.spec import DataSpec, VerdictKind
from driftloop.spec.trainingrows import LOGGED_AT
from tests.loop.conftest import START, WEEK, make_verdict

HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def joined():
    return pd.DataFrame(
        {
            PREDICTION_ID: ["d", "c", "b", "a"],
            KEY: ["k2", "k1", "k3", "k4"],
            TIME: [START, START, START + HOUR, START + WEEK],
            FEATURE_PREFIX + "x": [2.0, 1.0, 3.0, 4.0],
            LABEL: [True, False, None, True],
        }
    )


def spec(**roles):
    return DataSpec(uri="x", target_column="late", **roles)


def test_only_rows_with_a_label_outside_faulty_windows_are_kept(joined):
    assert list(labelled_rows(joined, [])[KEY]) == ["k2", "k1", "k4"]
    assert list(labelled_rows(joined, [(START, START + HOUR)])[KEY]) == ["k4"]


def test_a_table_has_the_users_own_names(joined):
    data = spec(key_column="parcel", time_column="sent")
    table = training_table(labelled_rows(joined, []), data)
    assert set(table.columns) == {"x", "late", "parcel", "sent"}
    assert table["late"].dtype == bool
    assert set(training_table(labelled_rows(joined, []), spec()).columns) == {"x", "late", LOGGED_AT}


def test_the_same_traffic_makes_the_same_table_whatever_its_prediction_ids(joined):
    data = spec(key_column="parcel")
    rows = labelled_rows(joined, [])
    again = rows.assign(**{PREDICTION_ID: ["z", "y", "x"]}).iloc[::-1]
    pd.testing.assert_frame_equal(training_table(rows, data), training_table(again, data))
    assert list(training_table(rows, data)["parcel"]) == ["k1", "k2", "k4"]


def test_quarantined_windows_are_the_faulty_ones():
    verdicts = [make_verdict(0), make_verdict(1, VerdictKind.DATA_FAULT)]
    assert faulty_windows(verdicts, frozenset({START + WEEK})) == [(START + WEEK, START + 2 * WEEK)]
