"""The demo's data: what is known before departure, and a sample that a seed repeats."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from driftloop.demo.flights import FEATURES, KEY, TARGET, TIME, between, load_flights, sample_a_day


@pytest.fixture(scope="module")
def march():
    return between(load_flights(), datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))


def test_a_flight_has_one_row_in_order_of_departure(march):
    assert list(march.columns).count(KEY) == 1
    assert march[KEY].is_unique
    assert march[TIME].is_monotonic_increasing
    assert 0.2 < march[TARGET].mean() < 0.3


def test_nothing_known_only_after_departure_is_a_feature(march):
    assert set(march.columns) == {KEY, TIME, TARGET, *FEATURES}
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(FEATURES)


def test_the_sample_follows_its_seed(march):
    first = sample_a_day(march, 100, seed=1)
    assert (first.groupby(first[TIME].dt.date).size() == 100).all()
    pd.testing.assert_frame_equal(first, sample_a_day(march, 100, seed=1))
    assert set(first[KEY]) != set(sample_a_day(march, 100, seed=2)[KEY])
