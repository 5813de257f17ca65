"""The power of a window's tests against simulation by the engine that judges: seeded, with stated tolerance."""

from datetime import timedelta

import numpy as np
import pytest

from driftloop.monitor.columns import ColumnKind
from driftloop.monitor.engines import TEST_OF_KIND, Samples, SciPyEngine
from driftloop.monitor.power import (
    chi_square_power,
    ks_power,
    rows_to_see_drift,
    rows_to_see_drop,
    shortest_window,
    significance_of_test,
)
from driftloop.spec import FalseAlarmBudget

BUDGET = FalseAlarmBudget(max=1, per=timedelta(days=30))
SIGNIFICANCE = 0.001
RUNS = 300


def share_of_alarms(draw, kind, significance=SIGNIFICANCE):
    random, engine = np.random.default_rng(0), SciPyEngine()
    samples = [Samples(TEST_OF_KIND[kind], *map(np.sort, draw(random))) for _ in range(RUNS)]
    return np.mean([result.p_value < significance for result in engine.compare(samples)])


@pytest.mark.parametrize("power", [0.5, 0.8, 0.9])
def test_a_moved_number_is_seen_at_least_as_often_as_stated_and_not_much_more(power):
    effect, reference = 0.15, 5000
    rows = rows_to_see_drift(effect, reference, SIGNIFICANCE, power)

    def draw(random):
        """A share of the window's rows below the median moves above it: the functions part there, by that much."""
        window = random.random(rows)
        moved = (window < 0.5) & (random.random(rows) < 2 * effect)
        return random.random(reference), np.where(moved, window + 0.5, window)

    seen = share_of_alarms(draw, ColumnKind.NUMERIC)
    assert power - 0.06 <= seen <= power + 0.15


def test_without_drift_the_alarm_is_as_rare_as_the_significance():
    seen = share_of_alarms(lambda random: (random.random(2000), random.random(400)), ColumnKind.NUMERIC, 0.05)
    assert seen <= 0.08


@pytest.mark.parametrize("rows", [150, 400])
def test_a_category_that_lost_rows_is_seen_as_often_as_stated(rows):
    effect, reference, categories = 0.1, 3000, 4

    def draw(random):
        before = random.integers(categories, size=reference)
        now = random.choice(categories, p=[0.25 + effect, 0.25 - effect, 0.25, 0.25], size=rows)
        return before.astype(float), now.astype(float)

    stated = chi_square_power(effect, rows, reference, SIGNIFICANCE, categories)
    assert share_of_alarms(draw, ColumnKind.CATEGORICAL) == pytest.approx(stated, abs=0.08)


def test_a_reference_that_is_too_small_sees_nothing_however_long_the_window():
    assert rows_to_see_drift(0.1, 100, SIGNIFICANCE, 0.8) is None


def test_a_drop_of_the_metric_needs_the_rows_at_which_its_error_is_small_enough():
    """Accuracy: one-sided, so that 0.8 of windows lie below the limit; simulated as a binomial share."""
    rows = rows_to_see_drop("accuracy", 0.8, 0.02, 0.01, 0.8, rate=0.5)
    accuracies = np.random.default_rng(0).binomial(rows, 0.78, size=4000) / rows
    limit = 0.8 - 2.326 * np.sqrt(0.78 * 0.22 / rows)
    assert np.mean(accuracies < limit) == pytest.approx(0.8, abs=0.03)
    assert rows_to_see_drop("neg_log_loss", -0.5, 0.02, 0.01, 0.8, rate=0.5) is None


def test_the_shortest_window_has_rows_enough_and_one_hour_less_has_not():
    length = shortest_window(0.1, 10_000, BUDGET, tests=20, rows_per_day=1000, power=0.8)

    def power(hours):
        significance = significance_of_test(BUDGET, timedelta(hours=hours), 20)
        return ks_power(0.1, int(1000 * hours / 24), 10_000, significance)

    hours = length // timedelta(hours=1)
    assert power(hours) >= 0.8 > power(hours - 1)


def test_a_trickle_of_traffic_has_no_window():
    assert shortest_window(0.1, 200, BUDGET, tests=20, rows_per_day=1, power=0.8) is None
