"""The beta-binomial limit: exact where it decides, wide where the reference tells little."""

import numpy as np
import pytest
from scipy.stats import betabinom

from driftloop.monitor.checks.chance import largest_share
from driftloop.monitor.checks.subject import Limits
from driftloop.monitor.feed import Rate

LIMITS = Limits(significance=2e-6, min_effect_size=0.1, durations=1)


def limit(rate, rows, *, observed=1.0, material=0.0, limits=LIMITS, correlation=None):
    return largest_share(rate, rows, limits, material=material, observed=observed, correlation=correlation)


@pytest.mark.parametrize("events", [0, 7, 500, 9_900])
@pytest.mark.parametrize("rows", [1, 50, 2_000])
def test_independent_rows_have_the_predictive_limit_of_the_reference_as_prior(events, rows):
    known = betabinom(rows, events + 0.5, 10_000 - events + 0.5)
    count = round(limit(Rate(events=events, rows=10_000), rows) * rows)
    assert known.sf(count) <= 2e-6
    assert count == 0 or known.sf(count - 1) > 2e-6


def test_one_missing_value_is_no_alarm_though_none_of_ten_thousand_ever_was():
    assert limit(Rate(rows=10_000), 50) >= 2 / 50
    assert limit(Rate(rows=10_000), 1) == 1.0


def test_clumps_few_blocks_and_a_short_reference_widen_it():
    even = Rate(events=500, rows=10_000, correlation=0.0, blocks=50)
    clumped = even.model_copy(update={"correlation": 0.1})
    fewer_blocks = clumped.model_copy(update={"blocks": 10})
    limits = [limit(rate, 200) for rate in (even, clumped, fewer_blocks)]
    assert limits == sorted(limits)
    assert len(set(limits)) == 3
    assert limit(Rate(events=5, rows=100), 200) > limit(even, 200)


def test_a_window_of_several_durations_averages_clumps_away():
    clumped = Rate(events=500, rows=10_000, correlation=0.1, blocks=50)
    assert limit(clumped, 600, limits=Limits(2e-6, 0.1, 3)) < limit(clumped, 600)


def test_what_is_not_material_is_passed_by_a_quick_limit_that_is_nearly_the_exact_one():
    for events in (0, 100, 1_000):
        for correlation in (0.0, 0.05, 0.3):
            rate = Rate(events=events, rows=10_000, correlation=correlation, blocks=50)
            exact, quick = limit(rate, 200), limit(rate, 200, observed=0.01, material=0.01)
            assert quick == pytest.approx(exact, abs=0.04)


def test_no_row_or_nothing_material_passes_all():
    assert limit(Rate(rows=10), 0, material=0.3) == 0.3
    assert limit(Rate(rows=10), 5, material=1.2) == 1.0


def test_chance_exceeds_the_limit_as_rarely_as_it_says():
    """Windows of a rate that varies from block to block: 1 in 100 may exceed; of 4,000 not 61 (probability 0.0008)."""
    random = np.random.default_rng(11)
    limits, exceeded = Limits(0.01, 0.1, 1), 0
    for _ in range(40):
        counts = random.binomial(200, random.beta(0.9, 8.1, 150))
        shares = counts[:50] / 200
        within = (shares * (1 - shares)).sum() / (50 - 50 / 200)
        between = 200 * shares.var(ddof=1)
        rho = (between - within) / (between + 199 * within)
        rate = Rate(events=counts[:50].sum(), rows=10_000, correlation=max(rho, 0), blocks=50)
        exceeded += int((counts[50:] / 200 > limit(rate, 200, limits=limits)).sum())
    assert exceeded <= 60
