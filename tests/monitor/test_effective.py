"""How much rows close in time resemble each other."""

import numpy as np
import pytest

from driftloop.monitor.effective import intraclass_correlation

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
