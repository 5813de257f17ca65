"""What chance does to a share of rows: the beta-binomial predictive limit.

A window's rate varies around the reference's by as much as the reference's own blocks did, and the reference's rate is
itself an estimate: both are in the limit, so neither a lucky reference nor clustered events alarm.
"""

from functools import lru_cache

import numpy as np

from driftloop.monitor.feed import Rate

_LARGEST_CORRELATION = 0.999


def chance_limit(rate: Rate, rows: int, durations: int, significance: float, observed: float = 0.0) -> float:
    """Return the largest share of `rows` that passes: chance exceeds it with at most `significance`.

    Shares below are common, and a Beta distribution of the same mean and variance says nearly the same in no time: the
    exact limit is worked out where `observed` is above that one's or close to it.
    Source: Skellam, "A probability distribution derived from the binomial distribution", 1948.
    """
    from scipy.special import betainccinv

    mean, correlation = _predicted(rate, durations, significance)
    of_share = correlation + (1 - correlation) / rows
    total = 1 / of_share - 1
    quick = float(betainccinv(mean * total, (1 - mean) * total, significance)) if total > 0 else 1.0
    return quick if observed < quick / 2 else _exact_limit(mean, correlation, rows, significance)


def _exact_limit(mean: float, correlation: float, rows: int, significance: float) -> float:
    from scipy.special import betaln, gammaln

    total = 1 / correlation - 1
    a, b = mean * total, (1 - mean) * total
    counts = np.arange(rows + 1.0)
    ways = gammaln(rows + 1) - gammaln(counts + 1) - gammaln(rows - counts + 1)
    chances = np.exp(ways + betaln(counts + a, rows - counts + b) - betaln(a, b))
    above = np.cumsum(chances[::-1])[::-1] - chances  # of more than each count
    return int(np.argmax(above <= significance)) / rows


def _predicted(rate: Rate, durations: int, significance: float) -> tuple[float, float]:
    """Return mean and correlation of a window's rows, with the reference's uncertainty about both."""
    correlation = min(rate.correlation * _widening(rate.blocks, significance), _LARGEST_CORRELATION)
    per_block = rate.rows / max(rate.blocks, 1)
    worth = rate.rows / (1 + max(per_block - 1, 0) * correlation)
    mean = (rate.share * worth + 0.5) / (worth + 1)
    return mean, min(correlation / durations + 1 / (worth + 1), _LARGEST_CORRELATION)


@lru_cache(maxsize=64)
def _widening(blocks: int, significance: float) -> float:
    """Return by how much a correlation estimated from so few blocks is taken higher: Student's t against the normal."""
    if blocks < 2:  # noqa: PLR2004 - one block has nothing to differ from
        return 1.0
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(blocks - 1, significance) / ndtri(significance)) ** 2
