"""Which false-alarm budget a reference can carry."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.budget import SPENT_BY, Share
from driftloop.monitor.capacity import assess_capacity, capacity
from driftloop.spec import MonitoringSpec
from tests.monitor import traffic
from tests.monitor.test_judge import judged

HOURLY = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1h", "minRows": 50}})


def test_a_reference_of_enough_blocks_carries_what_is_asked(baseline):
    found = capacity(baseline, traffic.MONITORING)
    assert (found.asked, found.carried, found.reasons) == (1.0, 1.0, ())


def test_too_few_blocks_carry_less_often_promised_and_the_thresholds_follow():
    few = traffic.baseline_of(traffic.rows(100, seed=1))
    strict = MonitoringSpec.model_validate(
        {**traffic.MONITORING.to_dict(), "falseAlarmBudget": {"max": 1, "per": "730d"}}
    )
    found = assess_capacity(few, strict)
    assert found.budget.carried > found.budget.asked == pytest.approx(30 / 730)
    assert "too few" in found.budget.reasons[0]
    assert 30 * traffic.DAY / found.kept.per * found.kept.max == pytest.approx(found.budget.carried)


def test_an_hourly_window_wants_two_days_of_reference():
    flat = traffic.rows(500, seed=1)
    short = capacity(_baseline(flat), HOURLY)
    assert short.carried == short.asked
    assert "covers only" in short.reasons[-1]
    rising = flat.assign(temp=flat["temp"] + np.linspace(0, 30, len(flat)))
    found = capacity(_baseline(rising), HOURLY)
    assert found.carried == 60
    assert "daily season" in found.reasons[-1]


def test_neighbours_that_chance_makes_alike_are_no_season():
    """Of 50 columns one is, by chance; a part of a daily wave makes blocks alike over hours."""
    baseline = _baseline(traffic.rows(500, seed=1))
    flat, *others = baseline.features

    def alike(*autocorrelation):
        streams = tuple(s.model_copy(update={"autocorrelation": autocorrelation}) for s in flat.streams)
        return baseline.model_copy(update={"features": (flat.model_copy(update={"streams": streams}), *others)})

    assert capacity(alike(0.25), HOURLY).carried == 1
    assert capacity(alike(0.6, 0.4), HOURLY).carried == 60


def test_a_reference_that_drifts_itself_is_said():
    table = traffic.rows(8000, seed=1)
    drifting = table.assign(temp=table["temp"] + np.linspace(0, 20, len(table)))
    found = capacity(traffic.baseline_of(drifting), traffic.MONITORING)
    assert found.carried == 30
    assert "the reference itself drifts: temp" in found.reasons


def test_without_times_the_promise_has_a_condition():
    found = capacity(traffic.baseline_of(traffic.rows(500, seed=1), times=False), traffic.MONITORING)
    assert found.carried == found.asked
    assert "no times" in found.reasons[0]


def test_the_shares_of_the_budget_are_all_of_it():
    assert sum(share.value for share in Share) == pytest.approx(1)
    assert sorted(share.name for spent in SPENT_BY.values() for share in spent) == sorted(s.name for s in Share)


def test_every_verdict_says_which_budget_is_kept_and_what_it_cost(judge):
    budget = judged(judge, traffic.rows(500, seed=2)).budget
    assert (budget.asked, budget.carried) == (1.0, 1.0)
    assert budget.spent == pytest.approx(1 / 30 * (0.5 + 0.1 + 0.08))


def test_the_stated_power_is_that_of_simulated_windows(judge, baseline):
    """60 windows with the stated shift of one column alarm about 54 times; fewer than 46 have a chance below 0.002."""
    stated = judged(judge, traffic.rows(500, seed=2)).power
    assert stated.rows == 500
    assert 0.2 < stated.shift_sd < 0.5
    sd = traffic.rows(8000, seed=1)["temp"].std()
    moved = 0
    for seed in range(60):
        table = traffic.rows(500, seed=1000 + seed)
        verdict = judged(judge, table.assign(temp=table["temp"] + stated.shift_sd * sd))
        temp = next(test for test in verdict.features if test.feature == "temp")
        moved += temp.p_value < temp.threshold
    assert moved >= 46
    fewer = judged(judge, traffic.rows(250, seed=2)).power
    assert fewer.shift_sd > stated.shift_sd
    assert fewer.shift_share > stated.shift_share >= traffic.MONITORING.min_effect_size


def _baseline(table: pd.DataFrame):
    from driftloop.monitor.baseline import build_baseline

    known = table.rename(columns={"label": "late"})
    figures = {"metric": "roc_auc", "metric_value": 0.8, "metric_standard_error": 0.01}
    outputs = known[["prediction", "probability"]]
    return build_baseline(known, known, outputs, traffic.SCHEMA, window=timedelta(hours=1), **figures)
