"""Is the feed whole? Broken columns fail, ordinary change passes."""

import numpy as np
import pytest

from driftloop.monitor.checks import check_inputs
from driftloop.monitor.columns import read_features
from driftloop.monitor.drift import Sensitivity
from tests.monitor import traffic

SENSITIVITY = Sensitivity(significance=0.001, min_effect_size=0.1, durations=1)


def failed(baseline, table):
    window = read_features(table, traffic.SCHEMA, table["time"])
    checks = check_inputs(window, baseline, traffic.SCHEMA, SENSITIVITY)
    return {(check.feature, check.check) for check in checks if not check.passed}


@pytest.fixture
def table():
    return traffic.rows(500, seed=2)


def test_usual_traffic_passes(baseline, table):
    assert failed(baseline, table) == set()


@pytest.mark.parametrize(("share", "fails"), [(0.05, False), (0.09, False), (0.3, True)])
def test_a_missing_rate_fails_when_more_than_the_smallest_effect_is_gone(baseline, table, share, fails):
    table.loc[: int(share * 500), "temp"] = np.nan
    assert failed(baseline, table) == ({("temp", "missing")} if fails else set())


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
    assert failed(baseline, table.assign(temp=table["temp"] * 1000)) == {("temp", "range")}
    assert failed(baseline, table.assign(temp=np.inf)) == {("temp", "column"), ("temp", "type")}


def test_categories_in_another_spelling_fail_and_a_few_new_ones_pass(baseline, table):
    assert failed(baseline, table.assign(carrier=table["carrier"].str.lower())) == {("carrier", "new_category")}
    assert failed(baseline, table.assign(carrier=table["carrier"].mask(np.arange(500) < 60, "B6"))) == set()


def test_a_category_known_from_training_is_not_new(table):
    baseline = traffic.baseline_of(traffic.rows(2000, seed=1).assign(carrier="UA"))
    assert failed(baseline, table) == set()


def test_a_failed_check_says_what_was_seen_and_what_is_allowed(baseline, table):
    window = read_features(table.assign(carrier="ZZ"), traffic.SCHEMA, table["time"])
    worst = check_inputs(window, baseline, traffic.SCHEMA, SENSITIVITY)[0]
    assert (worst.feature, worst.observed, worst.limit) == ("carrier", 1.0, 0.2)
    assert worst.message == "100.0% of the values of carrier were never seen before: 'ZZ'."


def test_values_that_come_back_to_a_column_that_was_empty_in_training_pass(table):
    known = traffic.rows(8000, seed=1)
    known[["temp", "carrier", "night", "booked"]] = None
    assert failed(traffic.baseline_of(known), table) == set()
