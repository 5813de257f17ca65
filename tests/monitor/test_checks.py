"""Is the feed whole? Broken columns fail, ordinary change passes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.monitor.checks import Arrival, check_inputs
from driftloop.monitor.columns import read_features
from driftloop.monitor.feed import build_feed_baseline, seconds_of
from driftloop.spec import DataSchema, Feature, FeatureType
from tests.monitor import traffic

N, C = FeatureType.NUMERIC, FeatureType.CATEGORICAL
BASELINE = traffic.baseline_of(traffic.rows(8000, seed=1))

SIGNIFICANCE = 0.005  # the share of a day in a budget of one alarm in 30 days


def describe(name, column):
    """The part of a column's baseline that checks read."""
    numeric = column.kind == "numeric"
    return SimpleNamespace(
        name=name,
        kind=column.kind,
        present=len(column.known),
        quantiles=tuple(np.sort(column.known)) if numeric else (),
        counts={} if numeric else dict.fromkeys(column.known, 1),
    )


def checks_of(baseline, table, past=()):
    window = read_features(table, traffic.SCHEMA, table["time"])
    arrival = Arrival(seconds_of(table["time"]), traffic.START, traffic.START + traffic.DAY, traffic.DAY, past)
    return check_inputs(window, baseline, traffic.SCHEMA, arrival, significance=SIGNIFICANCE, min_effect_size=0.1)


def failed(baseline, table, past=()):
    return {(check.feature, check.check) for check in checks_of(baseline, table, past) if not check.passed}


@pytest.fixture
def table():
    return traffic.rows(500, seed=2)


def test_usual_traffic_passes(baseline, table):
    assert failed(baseline, table) == set()


@pytest.mark.parametrize(("share", "fails"), [(0.01, False), (0.05, True), (0.3, True)])
def test_a_missing_rate_fails_early_where_no_value_ever_was_missing(baseline, table, share, fails):
    table.loc[: int(share * 500), "temp"] = np.nan
    assert failed(baseline, table) == ({("temp", "missing")} if fails else set())


@pytest.mark.parametrize(("share", "fails"), [(0.05, False), (0.12, False), (0.2, False), (0.35, True)])
def test_elsewhere_a_missing_rate_fails_when_it_rises_by_the_smallest_effect(table, share, fails):
    known = traffic.rows(8000, seed=1)
    known.loc[np.random.default_rng(3).random(8000) < 0.15, "temp"] = np.nan
    table.loc[: int(share * 500), "temp"] = np.nan
    assert failed(traffic.baseline_of(known), table) == ({("temp", "missing")} if fails else set())


def test_a_rate_that_was_always_high_passes():
    often = traffic.rows(8000, seed=1)
    often.loc[np.arange(8000) % 2 == 0, "temp"] = np.nan
    table = traffic.rows(500, seed=2)
    table.loc[np.arange(500) % 2 == 0, "temp"] = np.nan
    assert failed(traffic.baseline_of(often), table) == set()


def test_outages_that_the_baseline_knows_pass():
    patchy = traffic.rows(8000, seed=1)
    patchy.loc[patchy["time"].dt.dayofyear % 4 == 0, "temp"] = np.nan
    table = traffic.rows(500, seed=2)
    table.loc[:200, "temp"] = np.nan
    assert failed(traffic.baseline_of(patchy), table) == set()


def test_texts_in_a_column_of_numbers_fail_as_wrong_type_and_missing(baseline, table):
    table["temp"] = table["temp"].astype(str).where(np.arange(500) > 150, "warm")
    assert failed(baseline, table) == {("temp", "type"), ("temp", "missing")}


def test_one_text_in_a_column_of_numbers_passes(baseline, table):
    table["temp"] = table["temp"].astype(str).where(np.arange(500) > 0, "warm")
    assert failed(baseline, table) == set()


def test_another_unit_fails_and_another_season_passes(baseline, table):
    assert failed(baseline, table.assign(temp=table["temp"] + 40)) == set()
    assert failed(baseline, table.assign(temp=table["temp"] * 1000)) == {("temp", "unit")}
    assert failed(baseline, table.assign(temp=np.inf)) == {("temp", "column"), ("temp", "type")}


def test_categories_in_another_spelling_fail_and_a_few_new_ones_pass(baseline, table):
    assert failed(baseline, table.assign(carrier=table["carrier"].str.lower())) == {("carrier", "new_category")}
    assert failed(baseline, table.assign(carrier=table["carrier"].mask(np.arange(500) < 40, "B6"))) == set()


def test_a_category_known_from_training_is_not_new(table):
    baseline = traffic.baseline_of(traffic.rows(2000, seed=1).assign(carrier="UA"))
    assert failed(baseline, table) == set()


def test_a_failed_check_says_what_was_seen_and_what_is_allowed(baseline, table):
    worst = checks_of(baseline, table.assign(carrier=np.where(np.arange(500) % 2 == 0, "ZZ", "Z")))[0]
    assert (worst.feature, worst.observed, worst.limit) == ("carrier", 1.0, 0.1)
    assert worst.message == "100.0% of the values of carrier were never seen before: 'Z', 'ZZ'."


def test_values_that_come_back_to_a_column_that_was_empty_in_training_pass(table):
    known = traffic.rows(8000, seed=1)
    known[["temp", "carrier", "night", "booked"]] = None
    assert failed(traffic.baseline_of(known), table) == set()


@pytest.mark.parametrize(
    ("factor", "offset", "says"),
    [
        (1000, 0, "multiplied by 1,000."),
        (0.01, 0, "divided by 100."),
        (10, 0, "multiplied by 10."),
        (60, 0, "multiplied by 60: minutes became seconds?"),
        (1.8, 32, "multiplied by 1.8 plus 32: °C became °F?"),
        (1, 273.15, "raised by 273.15: °C became K?"),
    ],
)
def test_a_change_of_unit_is_named(baseline, table, factor, offset, says):
    first = checks_of(baseline, table.assign(temp=table["temp"] * factor + offset))[0]
    assert (first.feature, first.check, first.passed) == ("temp", "unit", False)
    assert f"temp looks {says}" in first.message


@pytest.mark.parametrize(("factor", "name"), [(2.2046226, "kg became lb"), (1 / 2.54, "cm became inches")])
def test_units_that_differ_little_are_told_apart_where_the_column_is_narrow(table, factor, name):
    known = traffic.rows(8000, seed=1)
    baseline = traffic.baseline_of(known.assign(temp=known["temp"] / 8 + 70))
    first = checks_of(baseline, table.assign(temp=(table["temp"] / 8 + 70) * factor))[0]
    assert (first.check, first.passed) == ("unit", False)
    assert name in first.message


@pytest.mark.parametrize("shift", [-80, -24, -16, -8, 8, 16, 24, 40])
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_drift_is_no_change_of_unit(baseline, table, shift, scale):
    moved = 20 + shift + scale * (table["temp"] - 20)
    assert ("temp", "unit") not in failed(baseline, table.assign(temp=moved))


def test_rows_of_which_a_part_was_converted_fail_by_their_range(baseline, table):
    part = table["temp"].mask(np.arange(500) % 4 == 0, table["temp"] * 1000)
    failures = [check for check in checks_of(baseline, table.assign(temp=part)) if not check.passed]
    assert [(check.feature, check.check) for check in failures] == [("temp", "range")]
    assert failures[0].message.endswith("the range seen; they look multiplied by 1,000.")


@pytest.mark.parametrize(("rows", "fails"), [(50, False), (150, True), (500, True)])
def test_a_sensor_stuck_from_some_moment_on_fails(baseline, table, rows, fails):
    table.loc[table.index[500 - rows :], "temp"] = 21.5
    assert failed(baseline, table) == ({("temp", "stuck")} if fails else set())


def test_a_stuck_sensor_says_at_what_and_since_when(baseline, table):
    table.loc[table.index[250:], "temp"] = 21.5
    since = table["time"].iloc[250]
    message = checks_of(baseline, table)[0].message
    assert message.startswith(f"50% of the values of temp are 21.5, since {since:%Y-%m-%d %H:%M}; usually ")


def test_constant_categories_and_booleans_are_stuck_where_they_never_were(baseline, table):
    assert failed(baseline, table.assign(carrier="UA", night=False)) == {("carrier", "stuck"), ("night", "stuck")}
    rare = traffic.rows(8000, seed=1).assign(night=lambda t: t["temp"] > 44)
    assert failed(traffic.baseline_of(rare), table.assign(night=False)) == set()


def test_a_value_that_holds_for_a_whole_block_is_not_stuck(table):
    known = traffic.rows(8000, seed=1)
    known["temp"] = known.groupby(known["time"].dt.dayofyear)["temp"].transform("first")
    assert ("temp", "stuck") not in failed(traffic.baseline_of(known), table.assign(temp=21.5))


def test_without_times_nothing_is_known_of_what_repeats_within_a_window(table):
    baseline = traffic.baseline_of(traffic.rows(8000, seed=1), times=False)
    assert failed(baseline, table.assign(temp=21.5, carrier="UA")) == set()


def test_a_constant_column_stays_constant_without_a_word(table):
    baseline = traffic.baseline_of(traffic.rows(8000, seed=1).assign(temp=7.0, carrier="UA", night=True))
    assert failed(baseline, table.assign(temp=7.0, carrier="UA", night=True)) == set()


@pytest.mark.parametrize(("share", "fails"), [(0.05, False), (0.3, True), (1.0, True)])
def test_a_feed_that_is_sent_again_fails(baseline, table, share, fails):
    again = table.sample(frac=share, random_state=1)
    again["time"] += np.timedelta64(7, "m")  # the date is the same, its age is not
    assert failed(baseline, pd.concat([table, again], ignore_index=True)) == ({("", "duplicates")} if fails else set())


def test_rows_that_are_alike_by_nature_are_no_duplicates(table):
    coarse = {"temp": 1.0, "booked": None}
    baseline = traffic.baseline_of(traffic.rows(8000, seed=1).assign(**coarse))
    doubled = pd.concat([table, table], ignore_index=True).assign(**coarse)
    assert failed(baseline, doubled) == set()


def test_two_columns_that_exchange_their_values_fail_as_swapped():
    schema = DataSchema(
        task=traffic.SCHEMA.task,
        target=traffic.SCHEMA.target,
        features=tuple(Feature(name=n, type=t, nullable=True) for n, t in zip("abcd", [N, N, C, C], strict=True)),
    )
    random = np.random.default_rng(4)

    def draw(rows):
        numbers = {"a": random.normal(0, 1, rows), "b": random.lognormal(3, 0.3, rows)}
        return pd.DataFrame(numbers | {"c": random.choice(["x", "y"], rows), "d": random.choice(["p", "q"], rows)})

    features = read_features(draw(5000), schema, None)
    columns = tuple(describe(name, column) for name, column in features.items())
    window = read_features(draw(300).rename(columns=dict(zip("abcd", "badc", strict=True))), schema, None)
    baseline = SimpleNamespace(features=columns, feed=build_feed_baseline(features, schema, None, None))
    arrival = Arrival(np.arange(300.0), traffic.START, traffic.START + traffic.DAY, traffic.DAY)
    checks = check_inputs(window, baseline, schema, arrival, significance=SIGNIFICANCE, min_effect_size=0.1)
    assert {(check.feature, check.check) for check in checks if not check.passed} == {(n, "swapped") for n in "abcd"}
    assert checks[0].message == "a holds values as b used to, and the other way round: swapped?"


def test_dates_that_are_no_longer_updated_fail_as_old(table):
    known = traffic.rows(8000, seed=1)
    known["booked"] = known["time"] - pd.to_timedelta(np.random.default_rng(5).exponential(2, 8000), unit="h")
    baseline = traffic.baseline_of(known)
    fresh = table.assign(booked=table["time"] - pd.to_timedelta(np.random.default_rng(6).exponential(2, 500), unit="h"))
    assert failed(baseline, fresh) == set()
    old = checks_of(baseline, fresh.assign(booked=fresh["booked"] - pd.Timedelta(days=2)))
    assert [(check.feature, check.check) for check in old if not check.passed] == [("booked", "freshness")]
    assert "is it still updated?" in old[0].message


@pytest.mark.parametrize("column", ["temp", "carrier", "night", "booked"])
def test_no_column_without_values_hides_a_fault_of_another(baseline, table, column):
    table[column] = None
    other = "carrier" if column == "temp" else "temp"
    table[other] = "ZZ"
    found = failed(baseline, table)
    assert {(column, "column"), (other, "new_category" if other == "carrier" else "column")} <= found


@pytest.mark.parametrize("value", [np.inf, -1e308, "x", True])
def test_values_of_any_kind_are_judged(baseline, table, value):
    unlike = table.assign(temp=value, carrier=value, night=value, booked=value)
    assert {name for name, _ in failed(baseline, unlike)} >= {"carrier", "night", "booked"}


@pytest.mark.parametrize("rows", [1, 2])
def test_a_handful_of_rows_without_any_value_passes_as_it_came(baseline, table, rows):
    few = table.head(rows).assign(temp=np.nan, carrier=None, night=None, booked=None)
    assert all(check.observed <= 1 for check in checks_of(baseline, few))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_has_no_say(seed):
    baseline, table = BASELINE, traffic.rows(300, seed=2)
    table.loc[table.index[:60], "temp"] = np.nan
    table.loc[table.index[100:], "night"] = True
    table["carrier"] = table["carrier"].mask(np.arange(300) % 3 == 0, "ZZ")
    table["time"] = table["time"].dt.floor("1h")  # ties
    assert checks_of(baseline, table.sample(frac=1, random_state=seed)) == checks_of(baseline, table)
