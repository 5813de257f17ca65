"""How many independent rows a window is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitor.effective import effective_rows, evenly_spaced, intraclass_correlation

BLOCKS = np.repeat(np.arange(50), 40)


def test_independent_rows_have_no_correlation():
    assert intraclass_correlation(np.random.default_rng(0).standard_normal(2000), BLOCKS) < 0.02


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_variance_between_blocks_is_found(share):
    random = np.random.default_rng(1)
    scores = np.sqrt(share) * random.standard_normal(50)[BLOCKS] + np.sqrt(1 - share) * random.standard_normal(2000)
    assert intraclass_correlation(scores, BLOCKS) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize(
    ("scores", "blocks"),
    [(np.ones(100), np.arange(100) // 10), (np.arange(10.0), np.zeros(10)), (np.arange(3.0), np.arange(3)), ([], [])],
)
def test_what_says_nothing_about_correlation_gives_none(scores, blocks):
    assert intraclass_correlation(np.asarray(scores, float), np.asarray(blocks, int)) == 0


def test_correlated_rows_are_worth_fewer():
    few, many = (effective_rows(1000, 1000, correlation, 100, 0.01) for correlation in (0.1, 0.001))
    assert few < 10
    assert 300 < many < 1000


def test_a_correlation_known_from_few_blocks_is_trusted_less():
    assert effective_rows(1000, 1000, 0.01, 9, 1e-4) < 0.5 * effective_rows(1000, 1000, 0.01, 500, 1e-4)


def test_without_blocks_rows_count_in_full():
    assert effective_rows(1000, 1000, 0.0, 0, 0.01) == 1000


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 80))
def test_evenly_spaced_values_keep_the_distribution(values, count):
    ordered = np.sort(np.array(values, float))
    few = evenly_spaced(ordered, count)
    assert len(few) == count
    for value in set(values):
        assert abs((few <= value).mean() - (ordered <= value).mean()) <= 0.5 / count + 1e-9
