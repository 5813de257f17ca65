"""A rise of the model's errors within the labelled stream: found, dated, and not made up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.monitor.errorstream import (
    ERROR_WINDOWS,
    SUB_BLOCKS,
    ErrorBaseline,
    ErrorWatch,
    build_error_baseline,
    error_sums,
    judge_errors,
    read_errors,
)
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.monitor import traffic

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHARE = 0.15 / 720
ROWS = 200


def wrong(rate, count, seed):
    return (np.random.default_rng(seed).random(count) < rate).astype(float)


def baseline(errors, task=Task.CLASSIFICATION):
    return build_error_baseline(errors, np.arange(len(errors)) * 3600.0 / ROWS, task, HOUR)


def windows(known, *errors):
    """Sum up hourly windows."""
    return [summed(known, found, START + i * HOUR) for i, found in enumerate(errors)]


def summed(known, errors, start, places=None):
    seconds = start.timestamp() + (np.arange(len(errors)) + 0.5) * 3600 / len(errors)
    places = slice(None) if places is None else places
    return error_sums(known, errors[places], seconds[places], start=start, end=start + HOUR)


def test_a_rise_is_found_and_dated():
    known = baseline(wrong(0.1, 5000, 0))
    stable = [wrong(0.1, ROWS, i) for i in range(1, 6)]
    half = np.concatenate([wrong(0.1, ROWS // 2, 10), wrong(0.4, ROWS // 2, 11)])
    found = judge_errors(known, windows(known, *stable, half), SHARE)
    assert found.changed
    assert found.before == pytest.approx(0.1, abs=0.02)
    assert found.after == pytest.approx(0.4, abs=0.1)
    assert abs(found.since - (START + 5.5 * HOUR)) <= HOUR / SUB_BLOCKS


def test_a_small_rise_shows_over_several_windows():
    known = baseline(wrong(0.1, 100_000, 0))
    risen = [wrong(0.17, ROWS, i) for i in range(1, ERROR_WINDOWS + 1)]
    seen = [judge_errors(known, windows(known, *risen[:count]), SHARE).changed for count in (1, ERROR_WINDOWS)]
    assert seen == [False, True]


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_stable_errors_alarm_within_the_share(task):
    # 40 references x 50 windows at a share of 0.01: 20 alarming windows expected, more than 45 one time in a million.
    alarms = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        classes = task is Task.CLASSIFICATION
        draw = (lambda n, r=random: (r.random(n) < 0.1) * 1.0) if classes else (lambda n, r=random: r.lognormal(size=n))
        known = baseline(draw(4000), task)
        found = windows(known, *(draw(ROWS) for _ in range(50)))
        alarms += sum(judge_errors(known, found[max(i - 7, 0) : i + 1], 0.01).changed for i in range(50))
    assert alarms <= 45


def test_a_rise_of_absolute_errors_is_found_and_one_wild_row_is_none():
    random = np.random.default_rng(0)
    known = baseline(random.lognormal(size=50_000), Task.REGRESSION)
    usual = [random.lognormal(size=ROWS) for _ in range(4)]
    wild = random.lognormal(size=ROWS)
    wild[7] = 1e9
    assert not judge_errors(known, windows(known, *usual, wild), SHARE).changed
    assert judge_errors(known, windows(known, *usual, 1.6 * random.lognormal(size=ROWS)), SHARE).changed


def test_fewer_errors_and_an_immaterial_rise_are_no_alarm():
    known = baseline(wrong(0.3, 5000, 0))
    assert not judge_errors(known, windows(known, wrong(0.05, ROWS, 1)), SHARE).changed
    known = baseline(np.zeros(100_000))
    many = (np.arange(20_000) % 100 == 0) * 1.0
    found = judge_errors(known, windows(known, many), SHARE)
    assert found.statistic > found.threshold
    assert not found.changed


def test_errors_that_come_in_runs_count_less():
    runs = np.repeat(wrong(0.1, 250, 0), 40)
    known, alone = baseline(runs), baseline(wrong(0.1, 10_000, 0))
    bad_hour = windows(known, np.repeat([1.0, 1.0, 0.0, 0.0, 0.0], 40))
    assert known.correlation > 0.05 > alone.correlation
    assert judge_errors(alone, bad_hour, SHARE).changed
    assert not judge_errors(known, bad_hour, SHARE).changed


def test_a_reference_of_few_blocks_is_trusted_less():
    few, many = (baseline(wrong(0.1, ROWS * blocks, 0)) for blocks in (10, 300))
    assert few.design_effect(ROWS, 9) > 2
    assert many.design_effect(ROWS, 9) < 1.2


def test_days_that_differ_are_seen_in_hourly_windows():
    days = np.repeat(np.random.default_rng(0).choice([0.05, 0.35], 40), 24 * 20)
    errors = (np.random.default_rng(1).random(len(days)) < days) * 1.0
    known = build_error_baseline(errors, np.arange(len(errors)) * 180.0, Task.CLASSIFICATION, HOUR)
    assert known.block_seconds >= 8 * 3600


@pytest.mark.parametrize("errors", [[], [np.nan], [0.0], [1.0], [0.0] * 50, [1.0] * 50])
@pytest.mark.parametrize("live", [[], [np.nan], [1.0], [0.0] * 20, [1.0] * 20])
@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_odd_input_breaks_nothing(errors, live, task):
    known = baseline(np.array(errors), task)
    found = judge_errors(known, windows(known, np.array(live)), SHARE)
    unknown = known.rows == 0 or not np.isfinite(live).any()
    assert (found is None) == unknown
    if found is not None:
        assert np.isfinite([found.before, found.after, found.statistic, found.threshold]).all()


def test_without_times_rows_are_independent():
    known = build_error_baseline(wrong(0.1, 500, 0), None, Task.CLASSIFICATION, HOUR)
    assert (known.correlation, known.blocks) == (0.0, 0)
    assert judge_errors(known, windows(known, wrong(0.5, ROWS, 1)), SHARE).changed


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 2), min_size=ROWS, max_size=ROWS), st.booleans())
def test_a_verdict_does_not_depend_on_replicas_or_order(seed, replica, risen):
    known = baseline(wrong(0.1, 3000, 1))
    errors = [wrong(0.1, ROWS, seed), wrong(0.3 if risen else 0.1, ROWS, seed + 1)]
    order = np.random.default_rng(seed).permutation(ROWS)
    split = []
    for i, found in enumerate(errors):
        start = START + i * HOUR
        first, *others = (summed(known, found, start, order[np.array(replica)[order] == r]) for r in (2, 0, 1))
        for other in others:
            first += other
        split.append(first)
    assert judge_errors(known, split, SHARE) == judge_errors(known, windows(known, *errors), SHARE)


def test_errors_are_read_from_labels_and_outputs():
    labels = pd.Series([True, False, None, True])
    outputs = pd.DataFrame({"prediction": [True, True, True, None], "probability": [0.9, 0.8, 0.7, 0.9]})
    np.testing.assert_array_equal(read_errors(labels, outputs, traffic.SCHEMA), [0, 1, np.nan, np.nan])
    x = (Feature(name="x", type=FeatureType.NUMERIC, nullable=False),)
    numbers = DataSchema(task=Task.REGRESSION, target=Target(name="y"), features=x)
    outputs = pd.DataFrame({"prediction": [1.0, 3.0]})
    np.testing.assert_array_equal(read_errors(pd.Series([2.5, None]), outputs, numbers), [1.5, np.nan])


def test_an_older_baseline_without_errors_judges_nothing():
    assert judge_errors(ErrorBaseline(), windows(ErrorBaseline(), wrong(0.5, ROWS, 0)), SHARE) is None


def first_alarm(watch, errors):
    return next((i for i, e in enumerate(errors) if watch.update(is_wrong=bool(e))), None)


def test_a_watched_stream_alarms_soon_after_the_rise_and_begins_anew():
    watch = ErrorWatch(5e-6)
    errors = np.concatenate([wrong(0.1, 2000, 0), wrong(0.4, 2000, 1)])
    assert 2000 <= first_alarm(watch, errors) < 2100
    assert first_alarm(watch, errors[2100:]) is None


def test_a_stable_stream_keeps_the_asked_rate():
    # 10 streams x 3,000 items at 1 per 30,000: 1 alarm expected, more than 6 one time in ten thousand.
    alarms = sum(first_alarm(ErrorWatch(1 / 30_000), wrong(0.1, 3000, seed)) is not None for seed in range(10))
    assert alarms <= 6


def test_a_long_stream_keeps_a_bounded_past(monkeypatch):
    monkeypatch.setattr(ErrorWatch, "_MEMORY", 500)
    watch = ErrorWatch(5e-6)
    assert first_alarm(watch, wrong(0.1, 3000, 3)) is None
    assert first_alarm(watch, wrong(0.6, 100, 4)) < 60


def test_the_sums_of_a_window_are_of_its_time():
    known = baseline(wrong(0.1, 100, 0))
    (sums,) = windows(known, np.ones(16))
    np.testing.assert_array_equal(sums.counts, np.full(SUB_BLOCKS, 2))
    twice = sums + replace(sums)
    np.testing.assert_array_equal(twice.totals, np.full(SUB_BLOCKS, 4))
