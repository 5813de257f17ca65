import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from driftloop.serving.wire import read_predict
from driftloop.spec import DataSchema, DataSpec, FeatureType, Task
from driftloop.stages.collect import ColumnNotFoundError
from driftloop.stages.targetcolumn import TargetError
from driftloop.stages.validate import (
    ChampionInputsMissingError,
    ChampionTypeError,
    NoFeaturesError,
    TimeColumnError,
    TooFewRowsError,
    validate,
)

ROWS = 60


def data(**fields) -> DataSpec:
    return DataSpec.model_validate({"uri": "x.csv", "targetColumn": "y", "minRows": 30, **fields})


def table(**columns) -> pa.Table:
    return pa.table({"x": [index % 7 for index in range(ROWS)], "y": [True, False] * (ROWS // 2), **columns})


def test_every_kind_of_column_is_recognised():
    validated = validate(
        table(
            number=[1.5, None] * 30,
            city=pa.array(["Rome", "Oslo", None] * 20).dictionary_encode(),
            flag=[True, None, False] * 20,
            day=[date(2024, 1, 1), date(2024, 5, 2)] * 30,
            text_day=["2024-01-01T10:00:00Z", "2024-02-01T10:00:00+02:00", None] * 20,
        ),
        task=Task.CLASSIFICATION,
        data=data(),
    )
    features = {feature.name: feature for feature in validated.schema.features}
    assert {name: feature.type for name, feature in features.items()} == {
        "x": FeatureType.NUMERIC,
        "number": FeatureType.NUMERIC,
        "city": FeatureType.CATEGORICAL,
        "flag": FeatureType.BOOLEAN,
        "day": FeatureType.DATE,
        "text_day": FeatureType.DATE,
    }
    assert features["city"].categories == ("Oslo", "Rome")
    assert (features["number"].nullable, features["x"].nullable) == (True, False)
    assert (features["x"].minimum, features["x"].maximum) == (0, 6)
    assert features["day"].minimum == datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert validated.schema.target.classes == (False, True)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([5] * ROWS, "same value in every row"),
        ([None] * ROWS, "no values"),
        ([f"id {index}" for index in range(ROWS)], "looks like an identifier"),
        (list(range(100, 100 + ROWS)), "numbers the rows one by one"),
        ([[1, 2]] * ROWS, "no numbers, texts or dates"),
    ],
)
def test_columns_that_teach_nothing_are_dropped_with_the_reason(values, reason):
    validated = validate(table(odd=values), task=Task.CLASSIFICATION, data=data())
    (dropped,) = validated.report.dropped_columns
    assert dropped.name == "odd"
    assert reason in dropped.reason
    assert "odd" not in validated.table.column_names


def test_rows_without_target_or_time_are_left_out_and_counted():
    times = [datetime(2024, 1, 1, tzinfo=UTC)] * (ROWS - 2) + [None] * 2
    validated = validate(
        table(y=[None] * 5 + [True, False] * 27 + [True], t=times),
        task=Task.CLASSIFICATION,
        data=data(timeColumn="t"),
    )
    assert (validated.report.rows_without_target, validated.report.rows_without_time) == (5, 2)
    assert validated.table.num_rows == validated.report.rows == ROWS - 7


def test_nan_infinity_and_empty_text_read_as_missing():
    validated = validate(
        table(n=[float("nan"), float("inf"), 1.0] * 20, s=["", " ", "a"] * 20), task=Task.CLASSIFICATION, data=data()
    )
    assert validated.table.column("n").null_count == validated.table.column("s").null_count == 40
    assert validated.report.notes == ("'n': 20 infinite numbers were read as missing",)


def test_whole_numbers_with_gaps_are_classes():
    validated = validate(table(y=[0.0, 1.0, None] * 20), task=Task.CLASSIFICATION, data=data())
    assert validated.schema.target.classes == (0, 1)


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        (Task.CLASSIFICATION, [1] * ROWS, "at least two classes. Got only 1"),
        (Task.CLASSIFICATION, [0.5, 1.5] * 30, "must hold classes. Got numbers with fractions"),
        (Task.CLASSIFICATION, ["a"] * (ROWS - 1) + ["b"], "at least 10 rows of each class. Got 1 of 'b'"),
        (Task.CLASSIFICATION, [date(2024, 1, 1), date(2024, 1, 2)] * 30, "must hold classes"),
        (Task.REGRESSION, ["a", "b"] * 30, "must hold numbers"),
        (Task.REGRESSION, [2.5] * ROWS, "must vary"),
    ],
)
def test_a_target_that_does_not_suit_the_task_is_told(task, values, message):
    with pytest.raises(TargetError, match=message):
        validate(table(y=values), task=task, data=data())


def test_too_few_rows_no_inputs_and_bad_times_are_told():
    with pytest.raises(TooFewRowsError, match=r"at least 100 rows .* Got 60\."):
        validate(table(), task=Task.CLASSIFICATION, data=data(minRows=100))
    with pytest.raises(NoFeaturesError, match="'x' has the same value"):
        validate(table(x=[1] * ROWS), task=Task.CLASSIFICATION, data=data())
    with pytest.raises(TimeColumnError, match="must hold dates or times"):
        validate(table(t=["soon"] * ROWS), task=Task.CLASSIFICATION, data=data(timeColumn="t"))


INPUTS = {
    "number": [1.5, 2.5, None] * 20,
    "city": ["Oslo", None, "Rome"] * 20,
    "flag": [True, None, False] * 20,
    "day": ["2024-01-01", "2024-05-02", None] * 20,
}


@pytest.fixture(scope="module")
def champion() -> DataSchema:
    return validate(table(**INPUTS), task=Task.CLASSIFICATION, data=data()).schema


def challenge(champion: DataSchema, **columns):
    return validate(table(**INPUTS | columns), task=Task.CLASSIFICATION, data=data(), champion=champion)


def filled(**columns) -> dict:
    """The champion's inputs without a missing value."""
    return {name: [values[0], values[1] or values[2]] * (ROWS // 2) for name, values in INPUTS.items()} | columns


@pytest.mark.parametrize(
    "columns",
    [
        INPUTS,
        filled(),
        {name: [values[0]] * ROWS for name, values in INPUTS.items()},
        {name: [None] * ROWS for name in INPUTS},
        filled(city=[f"city {index}" for index in range(ROWS)], number=list(range(ROWS))),
        filled(city=[float(index % 9) for index in range(ROWS)]),
        filled(city=["2024-01-01", "2024-01-02"] * (ROWS // 2)),
        filled(number=[1, 2] * (ROWS // 2)),
        filled(day=["2024-01-01T00:00:00Z", "20240102", "2024-01-03"] * 20),
        filled(day=[datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)] * (ROWS // 2)),
        filled(new=[1, 2] * (ROWS // 2)),
    ],
    ids=[
        "alike",
        "nothing missing",
        "constant",
        "empty",
        "like row numbers",
        "categories as numbers",
        "categories like dates",
        "whole numbers",
        "dates in several ways",
        "dates as times",
        "a new column",
    ],
)
def test_a_challenger_accepts_every_request_that_the_champion_accepts(champion, columns):
    validated = challenge(champion, **columns)
    rows = [dict(zip(INPUTS, row, strict=True)) | {"x": 1} for row in zip(*INPUTS.values(), strict=True)]
    body = json.dumps({"rows": rows}).encode()
    assert read_predict(body, validated.schema, ROWS) == read_predict(body, champion, ROWS)
    types = {feature.name: feature.type for feature in validated.schema.features}
    assert types == {feature.name: feature.type for feature in champion.features}
    assert set(validated.table.column_names) == {*types, "y"}


def test_an_input_becomes_nullable_and_never_stops_to_be(champion):
    nullable = {feature.name: feature.nullable for feature in champion.features}
    assert nullable == {"x": False, "number": True, "city": True, "flag": True, "day": True}
    widened = challenge(champion, **filled(x=[1, 2, None] * 20)).schema
    assert all(feature.nullable for feature in widened.features)


def test_an_input_without_values_keeps_what_the_champion_knows_of_it(champion):
    validated = challenge(champion, city=[None] * ROWS)
    before, after = ({feature.name: feature for feature in schema.features} for schema in (champion, validated.schema))
    assert after["city"] == before["city"]
    assert validated.report.notes == ("'city' has no values; it stays an input because the champion has it",)


def test_a_column_that_the_champion_does_not_take_is_left_out_with_the_reason(champion):
    (dropped,) = challenge(champion, new=[1, 2] * (ROWS // 2)).report.dropped_columns
    assert (dropped.name, dropped.reason) == ("new", "is no input of the champion")


def test_data_that_lack_an_input_of_the_champion_or_changed_its_type_are_refused(champion):
    with pytest.raises(ChampionInputsMissingError, match=r"Missing: 'city', 'day'\."):
        validate(
            table(**INPUTS).drop_columns(["city", "day"]), task=Task.CLASSIFICATION, data=data(), champion=champion
        )
    for name, values in (("number", ["far"]), ("flag", [2]), ("day", ["soon"]), ("city", [["Rome"]])):
        with pytest.raises(ChampionTypeError, match=f"'{name}' must be .* as it is for the champion"):
            challenge(champion, **{name: values * ROWS})


SENSITIVE = {"sex": ["w", "m", None] * 20, "age": list(range(20, 20 + ROWS))}


def test_sensitive_columns_are_no_inputs_and_stay_in_the_rows():
    validated = validate(table(**SENSITIVE), task=Task.CLASSIFICATION, data=data(sensitiveColumns=["sex", "age"]))
    assert validated.schema.feature_names == ["x"]
    assert validated.table.column("sex").to_pylist() == SENSITIVE["sex"]
    assert validated.table.column("age").to_pylist() == SENSITIVE["age"]
    assert validated.report.dropped_columns == ()


def test_a_missing_sensitive_column_is_told_for_a_first_model():
    with pytest.raises(
        ColumnNotFoundError, match=r"The 'data\.sensitiveColumns' must be a column .* Got 'sexx'\. Did you"
    ):
        validate(table(**SENSITIVE), task=Task.CLASSIFICATION, data=data(sensitiveColumns=["sexx"]))


def test_a_challenger_trains_without_the_sensitive_columns_that_logged_requests_lack(champion):
    spec = data(sensitiveColumns=["sex"])
    lacking = validate(table(**INPUTS), task=Task.CLASSIFICATION, data=spec, champion=champion)
    assert lacking.report.notes == ("there is no sensitive column 'sex' in these rows; its groups can't be assessed",)
    having = validate(table(**INPUTS, **SENSITIVE), task=Task.CLASSIFICATION, data=spec, champion=champion)
    assert lacking.schema == having.schema
    assert "sex" in having.table.column_names
    assert [column.name for column in having.report.dropped_columns] == ["age"]


def test_a_sensitive_column_that_the_champion_takes_stays_an_input(champion):
    spec = data(sensitiveColumns=["city"])
    validated = validate(table(**INPUTS), task=Task.CLASSIFICATION, data=spec, champion=champion)
    assert validated.schema == champion
    assert validated.report.notes == ("'city' is sensitive; it stays an input because the champion has it",)
