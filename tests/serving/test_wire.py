import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.serving.wire import RequestError, read_predict, read_watermark
from tests.flightschema import ROW, SCHEMA

COLUMNS = {name: [value, value] for name, value in ROW.items()}


def read(payload, max_rows=100):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read_predict(body, SCHEMA, max_rows)


def refused(payload, **limits):
    with pytest.raises(RequestError) as caught:
        read(payload, **limits)
    return caught.value


def test_rows_and_columns_say_the_same():
    assert read({"rows": [ROW, ROW]}) == read({"columns": COLUMNS})
    assert read({"rows": [ROW, ROW]}).columns == COLUMNS


def test_keys_and_times_may_travel_along():
    request = read({"rows": [ROW | {"flight": 7, "departure": "2013-01-02T00:00:00Z"}, ROW | {"flight": "8"}, ROW]})
    assert request.keys == ["7", "8", None]
    assert request.rows == 3
    assert list(request.columns) == SCHEMA.feature_names
    assert read({"rows": [ROW]}).keys is None


def test_new_categories_and_whole_numbers_are_served():
    columns = read({"rows": [ROW | {"carrier": "brand new", "distance": 3}, ROW | {"carrier": 7}]}).columns
    assert columns["carrier"] == ["brand new", 7]
    assert columns["distance"] == [3, 1.5]


def test_nan_literals_count_as_null():
    body = json.dumps({"rows": [ROW | {"wind": float("nan")}]}).encode()
    assert b"NaN" in body
    assert read(body).columns["wind"] == [None]


WRONG_VALUES = [
    ("distance", "far", "must be a number"),
    ("distance", "1.5", "must be a number"),
    ("distance", True, "must be a number"),
    ("distance", None, "must not be null"),
    ("distance", float("nan"), "must not be null"),
    ("distance", float("inf"), "must be a finite number"),
    ("distance", 10**400, "must be a finite number"),
    ("distance", [1], "must be a number"),
    ("carrier", True, "must be a text"),
    ("carrier", {"a": 1}, "must be a text"),
    ("night", 1, "must be true or false"),
    ("night", "true", "must be true or false"),
    ("booked", "yesterday", "must be a date in ISO 8601"),
    ("booked", 1356998400, "must be a date in ISO 8601"),
    ("flight", 1.5, "must be a text or a whole number"),
    ("flight", [], "must be a text or a whole number"),
]


@pytest.mark.parametrize(("field", "value", "constraint"), WRONG_VALUES)
def test_a_wrong_value_names_its_field_and_row(field, value, constraint):
    error = refused({"rows": [ROW, ROW | {field: value}]})
    assert (error.status, error.field) == (422, field)
    assert f"'{field}' of row 1 {constraint}" in str(error)


@pytest.mark.parametrize(
    ("payload", "status", "field", "said"),
    [
        (b"", 400, None, "must be JSON"),
        (b"{", 400, None, "must be JSON"),
        (b"\xff\xfe{}", 400, None, "must be JSON"),
        (b"[" * 100_000, 400, None, "must be JSON"),
        ([ROW], 400, None, "must be a JSON object"),
        ({}, 422, "rows", "must be the only field"),
        ({"rows": [ROW], "columns": COLUMNS}, 422, "rows", "must be the only field"),
        ({"data": [ROW]}, 422, "rows", "must be the only field"),
        ({"rows": []}, 422, "rows", "at least one row"),
        ({"rows": ROW}, 422, "rows", "at least one row"),
        ({"rows": [ROW, 5]}, 422, "rows", "of row 1 must hold objects"),
        ({"rows": [ROW, {k: v for k, v in ROW.items() if k != "wind"}]}, 422, "wind", "of row 1 must be there"),
        ({"rows": [ROW | {"colour": 1}]}, 422, "colour", "of row 0 must be one of the model's"),
        ({"rows": [ROW | {"late": True}]}, 422, "late", "must be one of the model's"),
        ({"rows": [ROW] * 101}, 413, "rows", "at most 100 rows. Got 101"),
        ({"columns": [1]}, 422, "columns", "an object with a list a field"),
        ({"columns": COLUMNS | {"wind": []}}, 422, "wind", "at least one value"),
        ({"columns": COLUMNS | {"wind": 3}}, 422, "wind", "at least one value"),
        ({"columns": COLUMNS | {"wind": [1.0]}}, 422, "wind", "as many values as the first field (2)"),
        ({"columns": COLUMNS | {"colour": [1, 2]}}, 422, "colour", "must be one of the model's"),
        ({"columns": {k: v for k, v in COLUMNS.items() if k != "night"}}, 422, "night", "must be there"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(payload, status, field, said):
    error = refused(payload)
    assert (error.status, error.field) == (status, field)
    assert said in str(error)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_json_is_read_or_refused(payload):
    for wrapped in (payload, {"rows": payload}, {"columns": payload}, {"rows": [payload]}):
        assert refused(wrapped).status in (400, 422)


@pytest.mark.parametrize("body", [b"{}", b'{"time": 5}', b'{"time": "soon"}', b'{"time": "2013-01-01", "x": 1}'])
def test_a_watermark_without_a_time_is_refused(body):
    with pytest.raises(RequestError, match="'time'"):
        read_watermark(body)


def test_a_time_without_a_zone_is_utc():
    assert read_watermark(b'{"time": "2013-01-01T00:00:00"}') == read_watermark(
        b'{"time": "2013-01-01T01:00:00+01:00"}'
    )
