"""Free text from the table to the answer: found, read, served."""

import numpy as np
import pyarrow as pa
import pytest

from driftloop.serving.wire import FieldError, read_predict
from driftloop.spec import DataSpec, FeatureType, Task
from driftloop.stages.frame import to_model_frame, to_request_columns
from driftloop.stages.freetext import is_free_text
from driftloop.stages.validate import validate
from tests.stages.preparing import read

ROWS = 120


def values(make):
    return pa.array([make(row) for row in range(ROWS)])


@pytest.mark.parametrize(
    ("make", "is_free"),
    [
        (lambda row: f"the parcel {row} came late and broken", True),
        (lambda row: f"荷物{row}がまだ届きません", True),
        (lambda row: f"550e8400-e29b-41d4-a716-4466554{row:05}", False),
        (lambda row: f"customer {row}", False),
        (lambda row: f"{row} 17 2026 44 12", False),
        (lambda row: f"one of few long category names {row % 4}", False),
    ],
    ids=["sentences", "Japanese", "identifiers", "names", "numbers", "categories"],
)
def test_texts_of_several_words_are_free_and_names_of_rows_are_not(make, is_free):
    assert is_free_text(values(make)) is is_free


def test_few_rows_tell_no_text_from_a_category():
    assert not is_free_text(values(lambda row: f"the parcel {row} came late").slice(0, 40))


def table(**columns):
    random = np.random.default_rng(0)
    rows = {"x": random.normal(size=ROWS), "y": random.random(ROWS) < 0.5}
    return pa.table(rows | {name: values(make) for name, make in columns.items()})


def test_free_text_is_an_input_and_identifiers_are_left_out():
    found = validate(
        table(note=lambda row: f"parcel {row} never came", code=lambda row: f"code-{row}"),
        task=Task.CLASSIFICATION,
        data=DataSpec(uri="x", target_column="y", min_rows=50),
    )
    assert [(f.name, f.type) for f in found.schema.features] == [("x", FeatureType.NUMERIC), ("note", FeatureType.TEXT)]
    assert found.schema.features[1].vocabulary
    (dropped,) = found.report.dropped_columns
    assert dropped.name == "code"


def test_a_champions_text_stays_one_whatever_the_rows_hold():
    data = DataSpec(uri="x", target_column="y", min_rows=50)
    champion = validate(table(note=lambda row: f"parcel {row} never came"), task=Task.CLASSIFICATION, data=data).schema
    for make in (lambda row: "same again", lambda row: None, lambda row: f"id{row}"):
        again = validate(table(note=make), task=Task.CLASSIFICATION, data=data, champion=champion)
        assert again.schema.features[1].type is FeatureType.TEXT


def test_a_missing_text_is_empty_and_travels_so():
    schema, frame, _ = read()
    assert frame["note"].iloc[5] == ""
    read_again = to_model_frame(to_request_columns(frame.iloc[4:7], schema), schema)
    assert read_again["note"].tolist() == frame["note"].iloc[4:7].tolist()


def test_a_server_takes_texts_and_refuses_numbers_for_them():
    schema = read()[0]
    row = '{"size": 1, "wealth": 1, "steady": 1, "city": "a", "kind": null, "flag": true, "day": null, "note": %s}'
    for note in ('"never heard of"', '""', "null"):
        assert read_predict(b'{"rows": [%s]}' % (row % note).encode(), schema, 10).rows == 1
    with pytest.raises(FieldError, match="'note' of row 0 must be a text"):
        read_predict(b'{"rows": [%s]}' % (row % "5").encode(), schema, 10)
