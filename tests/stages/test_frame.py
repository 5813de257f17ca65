import json
import sys
from datetime import UTC, date, datetime
from subprocess import run

import numpy as np
import pandas as pd
import pytest

from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.frame import (
    ColumnTypeError,
    MissingColumnsError,
    frame_to_model_frame,
    to_model_frame,
    to_request_columns,
)

SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=(
        Feature(name="distance", type=FeatureType.NUMERIC, nullable=True),
        Feature(name="carrier", type=FeatureType.CATEGORICAL, nullable=True),
        Feature(name="night", type=FeatureType.BOOLEAN, nullable=True),
        Feature(name="booked", type=FeatureType.DATE, nullable=True),
    ),
)
COLUMNS = {
    "booked": ["2013-01-01T00:00:00Z", None, "2013-01-01"],
    "carrier": ["UA", None, "7"],
    "distance": [100, None, 3.5],
    "night": [True, None, False],
    "key": [1, 2, 3],
}
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC).timestamp()
EXPECTED = pd.DataFrame(
    {
        "distance": [100.0, np.nan, 3.5],
        "carrier": np.array(["UA", None, "7"], dtype=object),
        "night": [1.0, np.nan, 0.0],
        "booked": [NEW_YEAR, np.nan, NEW_YEAR],
    }
)


def test_columns_of_a_request_become_typed_in_the_schemas_order():
    pd.testing.assert_frame_equal(to_model_frame(COLUMNS, SCHEMA), EXPECTED)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).convert_dtypes(),
        pd.DataFrame(COLUMNS).assign(booked=pd.to_datetime(pd.Series(COLUMNS["booked"]), format="ISO8601", utc=True)),
        pd.DataFrame(COLUMNS).assign(booked=[date(2013, 1, 1), pd.NaT, datetime(2013, 1, 1, tzinfo=UTC)]),
        pd.DataFrame(COLUMNS).assign(booked=[NEW_YEAR, None, NEW_YEAR]),
        pd.DataFrame(COLUMNS).assign(carrier=pd.Categorical(COLUMNS["carrier"])),
    ],
    ids=["objects", "extension types", "datetimes", "mixed dates", "epoch seconds", "categorical"],
)
def test_a_table_becomes_the_same_frame_as_a_request(frame):
    frame.index = [7, 8, 9]
    pd.testing.assert_frame_equal(frame_to_model_frame(frame, SCHEMA), EXPECTED.set_index(pd.Index([7, 8, 9])))


def test_whole_numbers_as_categories_read_alike_with_and_without_missing_values():
    columns = COLUMNS | {"carrier": [1, 2, 3]}
    with_missing = COLUMNS | {"carrier": [1.0, float("nan"), 3.0]}
    assert list(to_model_frame(columns, SCHEMA)["carrier"]) == ["1", "2", "3"]
    assert list(to_model_frame(with_missing, SCHEMA)["carrier"]) == ["1", None, "3"]
    assert list(frame_to_model_frame(pd.DataFrame(with_missing), SCHEMA)["carrier"]) == ["1", None, "3"]


def test_a_table_goes_through_a_request_unchanged():
    columns = json.loads(json.dumps(to_request_columns(pd.DataFrame(COLUMNS), SCHEMA)))
    assert columns["booked"][:2] == ["2013-01-01T00:00:00+00:00", None]
    assert columns["night"] == [True, None, False]
    pd.testing.assert_frame_equal(to_model_frame(columns, SCHEMA), EXPECTED)


def test_missing_columns_are_named():
    with pytest.raises(MissingColumnsError, match="'carrier', 'night'"):
        to_model_frame({"distance": [1], "booked": [None]}, SCHEMA)


@pytest.mark.parametrize(("name", "value"), [("distance", "far"), ("night", 2), ("booked", "yesterday")])
def test_a_value_of_another_type_names_its_column(name, value):
    with pytest.raises(ColumnTypeError, match=f"'{name}'"):
        to_model_frame({**{key: [None] for key in COLUMNS}, name: [value]}, SCHEMA)


def test_importing_it_does_not_import_scikit_learn():
    code = "import driftloop.stages.frame, sys; sys.exit('sklearn' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
