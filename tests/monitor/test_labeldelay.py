"""How soon labels arrive, where some predictions are too young to tell."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.labeldelay import label_delays, tell_label_delays

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def predictions(ages, delays):
    """Event times and label times; labels that are not there yet at NOW are missing."""
    times = pd.Series(pd.Timestamp(NOW) - pd.to_timedelta(ages))
    came = times + pd.to_timedelta(delays)
    return times, came.where(came <= NOW)


def curve(times, label_times):
    return {point.delay_seconds / 86400: point.share for point in label_delays(times, label_times, NOW)}


def test_shares_are_of_all_predictions():
    delays = [DAY / 2] * 60 + [1.5 * DAY] * 23 + [None] * 17
    found = curve(*predictions([20 * DAY] * 100, delays))
    assert found == pytest.approx({1.0: 0.6, 2.0: 0.83})


def test_young_predictions_do_not_count_against_a_delay():
    random = np.random.default_rng(0)
    ages = random.uniform(0, 5, 4000) * DAY
    found = curve(*predictions(ages, random.exponential(2, 4000) * DAY))
    for days, share in found.items():
        assert share == pytest.approx(1 - np.exp(-days / 2), abs=0.03)
    assert max(found) == 4  # nobody is old enough to tell of a week


def test_labels_that_are_known_at_once_need_one_point():
    assert curve(*predictions([5 * DAY] * 50, [0 * DAY] * 50)) == {1 / 1440: 1.0}


def test_without_labels_or_rows_nothing_is_said():
    for ages in ([5 * DAY] * 50, [DAY / 1e6] * 50, []):
        times, _ = predictions(ages, [DAY] * len(ages))
        missing = pd.Series([None] * len(ages), dtype=object)
        assert label_delays(times, missing, NOW) == ()
    assert not tell_label_delays(())


def test_a_label_from_before_its_prediction_counts_as_at_once():
    times = pd.Series([pd.Timestamp(NOW) - DAY] * 30)
    assert curve(times, times - DAY)[1 / 1440] == 1.0


def test_the_sentence_names_delays_as_people_do():
    delays = [DAY / 24 / 2] * 20 + [DAY / 2] * 30 + [5 * DAY] * 50
    told = tell_label_delays(label_delays(*predictions([60 * DAY] * 100, delays), NOW))
    assert told == "20% of the predictions have their label within an hour, 50% within a day, 100% within 7 days"
