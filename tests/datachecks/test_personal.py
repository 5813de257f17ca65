"""Personal data: found by form and check digit, treated as `data.personal` says, in requests too."""

import json

import numpy as np
import pyarrow as pa
import pytest

from driftloop.reports.dataquality import build_quality_page
from driftloop.serving.wire import read_predict
from driftloop.spec import DataSpec, FeatureType, Task
from driftloop.spec.pseudonyms import pseudonym
from driftloop.stages.checkup import checked
from driftloop.stages.frame import to_model_frame
from driftloop.stages.personaldata import PersonalDataError, find_personal
from driftloop.stages.profile import profile
from driftloop.stages.validate import validate

ROWS = 60
CHANCE = np.random.default_rng(0)


def luhn(body: str) -> str:
    """Append the digit that makes the sum right (ISO/IEC 7812)."""
    total = sum(int(d) * 2 % 10 + int(d) * 2 // 10 if place % 2 == 0 else int(d) for place, d in enumerate(body[::-1]))
    return f"{body}{-total % 10}"


def iban(account: int) -> str:
    """Return a German IBAN: rest 1 by 97 (ISO 13616)."""
    bban = f"37040044{account:010}"
    return f"DE{98 - int(bban + '131400') % 97:02}{bban}"


def nir(number: int) -> str:
    body = f"2{number % 90 + 10:02}{number % 12 + 1:02}75{number % 900 + 100:03}{number % 900 + 50:03}"
    return f"{body}{97 - int(body) % 97:02}"


PERSONAL = {
    "contact": ([f"p{row}@example.org" for row in range(ROWS)], "e-mail addresses"),
    "reach": ([f"+49 30 {row + 1234567}" for row in range(ROWS)], "phone numbers"),
    "us": ([f"(555) 010-{row:04}" for row in range(ROWS)], "phone numbers"),
    "phone": ([49301234567 + row for row in range(ROWS)], "phone numbers"),
    "pays_by": ([luhn(f"411111{row:09}") for row in range(ROWS)], "card numbers"),
    "pan": ([int(luhn(f"555555{row:09}")) for row in range(ROWS)], "card numbers"),
    "account": ([iban(row) for row in range(ROWS)], "bank accounts (IBAN)"),
    "ssn": ([f"{row + 101}-45-{row + 1000}" for row in range(ROWS)], "national identity numbers (United States)"),
    "nir": ([nir(row) for row in range(ROWS)], "national identity numbers (France)"),
    "last_name": (["Müller", "O'Neill", "Dupont", "Núñez", "Smith-Jones"] * (ROWS // 5), "names of people"),
    "customer_name": (
        [f"Ada {name}" for name in ("Byron", "Lopez", "Ito", "Khan", "Roy", "Fox")] * 10,
        "names of people",
    ),
}
PLAIN = {
    "product_name": ["Chair", "Table", "Lamp"] * 20,
    "name": [f"item {row}" for row in range(ROWS)],
    "city": ["Oslo", "New York", "Rio"] * 20,
    "serial": [f"{row:09}" for row in range(ROWS)],
    "ticket": [str(int(number)) for number in CHANCE.integers(10**12, 10**13, ROWS)],
    "order": list(range(4 * 10**12, 4 * 10**12 + ROWS)),
    "day": [f"2026-01-{row % 28 + 1:02}" for row in range(ROWS)],
    "written": [f"{row % 28 + 1:02}/01/2026" for row in range(ROWS)],
    "address": [f"192.168.{row}.1" for row in range(ROWS)],
    "version": [f"1.{row}.0" for row in range(ROWS)],
    "price": [f"{row}.99" for row in range(ROWS)],
    "few": ["a@b.org"] + [None] * (ROWS - 1),
}


@pytest.mark.parametrize("name", PERSONAL)
def test_personal_data_are_recognised(name):
    values, what = PERSONAL[name]
    assert find_personal({name: pa.chunked_array([values])})[name].what == what


@pytest.mark.parametrize("name", PLAIN)
def test_other_columns_are_not_taken_for_it(name):
    assert find_personal({name: pa.chunked_array([PLAIN[name]])}) == {}


def test_texts_that_mention_some_are_told_apart():
    texts = [f"please write to {'p@example.org' if row % 5 == 0 else 'me'} soon, number {row}" for row in range(ROWS)]
    found = find_personal({"note": pa.chunked_array([texts])})["note"]
    assert (found.what, found.is_mentioned) == ("e-mail addresses", True)


def table(**columns) -> pa.Table:
    mails = [f"p{row % 7}@example.org" for row in range(ROWS)]
    return pa.table({"x": CHANCE.normal(size=ROWS), "mail": mails, "y": [True, False] * (ROWS // 2)} | columns)


def spec(**fields) -> DataSpec:
    return DataSpec.model_validate({"uri": "x", "targetColumn": "y", "minRows": 30} | fields)


def validated(policy, rows=None, champion=None, **fields):
    data = spec(personal=policy, **fields)
    return validate(rows or table(), task=Task.CLASSIFICATION, data=data, champion=champion)


@pytest.mark.parametrize("policy", ["Auto", "Drop"])
def test_inputs_that_hold_some_are_left_out(policy):
    found = validated(policy)
    assert found.schema.feature_names == ["x"]
    assert "mail" not in found.table.column_names
    assert found.report.dropped_columns[0].reason == "holds e-mail addresses (data.personal)"


def test_a_report_changes_nothing():
    found = validated("Report")
    assert found.schema.feature_names == ["x", "mail"]
    assert "'mail' holds e-mail addresses" in found.report.notes


def test_a_refusal_names_every_column():
    rows = table(phone=PERSONAL["reach"][0])
    with pytest.raises(
        PersonalDataError, match=r"Found: 'mail' \(e-mail addresses\), 'phone' \(phone numbers\)\. Take"
    ):
        validated("Refuse", rows)


def test_keys_and_targets_are_told_and_kept():
    found = validated("Auto", keyColumn="mail")
    assert found.table.column("mail").to_pylist()[0] == "p0@example.org"
    assert "'mail' holds e-mail addresses; it stays as it is, because its role needs it" in found.report.notes


def test_hashed_values_stay_equal_and_requests_are_hashed_alike():
    found = validated("Hash")
    [feature] = [feature for feature in found.schema.features if feature.name == "mail"]
    assert (feature.type, feature.is_hashed, len(feature.categories)) == (FeatureType.CATEGORICAL, True, 7)
    assert set(feature.categories) == {pseudonym(f"p{row}@example.org") for row in range(7)}
    assert set(found.table.column("mail").to_pylist()) == set(feature.categories)
    body = json.dumps({"rows": [{"x": 1.0, "mail": "p3@example.org"}, {"x": 1.0, "mail": pseudonym("p3@example.org")}]})
    request = read_predict(body.encode(), found.schema, 10)
    assert request.columns["mail"] == [pseudonym("p3@example.org")] * 2
    assert "example" not in str(request)
    frame = to_model_frame({"x": [1.0], "mail": ["p3@example.org"]}, found.schema)
    assert frame["mail"].to_list() == [pseudonym("p3@example.org")]


def test_a_champions_hashes_stay_hashes_whether_rows_are_raw_or_logged():
    champion = validated("Hash").schema
    again = validated("Hash", champion=champion)
    logged = validated("Hash", again.table, champion=champion)
    for found in (again, logged):
        [feature] = [feature for feature in found.schema.features if feature.name == "mail"]
        assert feature.is_hashed
        assert set(found.table.column("mail").to_pylist()) == set(champion.features[1].categories)


def test_an_input_of_the_champion_stays_and_is_told():
    champion = validated("Report").schema
    found = validated("Auto", champion=champion)
    assert found.schema.feature_names == ["x", "mail"]
    assert any("it stays an input because the model has it" in note for note in found.report.notes)


def test_sensitive_columns_are_hashed_for_the_assessment():
    found = validated("Hash", sensitiveColumns=["mail"])
    assert found.schema.feature_names == ["x"]
    assert set(found.table.column("mail").to_pylist()) == {pseudonym(f"p{row}@example.org") for row in range(7)}


@pytest.mark.parametrize("policy", ["Auto", "Hash"])
def test_the_page_shows_no_value_that_is_withheld(policy):
    data, rows = spec(personal=policy), table()
    found = checked(validate(rows, task=Task.CLASSIFICATION, data=data), data)
    assert "example.org" not in build_quality_page(profile(rows, found, data), "loop")
