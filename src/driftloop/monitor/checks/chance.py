"""What chance does to a share of rows: the beta-binomial predictive limit.

A window's rate varies around the reference's by as much as the reference's own blocks did, and the reference's rate is
itself an estimate: both are in the limit, so neither a lucky reference nor clustered events alarm.
"""

from functools import lru_cache

import numpy as np

from driftloop.monitor.checks.subject import Limits
from driftloop.monitor.feed import Rate

_LARGEST_CORRELATION = 0.999


def largest_share(
    rate: Rate, rows: int, limits: Limits, *, material: float, observed: float, correlation: float | None = None
) -> float:
    """Return the largest share of `rows` that passes: what is material, or what chance may bring if that is more.

    Below what is material nobody asks how likely it is, and a Beta distribution of the same mean and variance nearly
    says the limit in no time. Above it the limit is exact.
    Source: Skellam, "A probability distribution derived from the binomial distribution", 1948.

    Args:
        rate: of the reference.
        rows: of the window that can show it.
        limits: chance allowed.
        material: share that matters at all.
        observed: share seen.
        correlation: of rows in a block; None for the rate's own, `cautious`.
    """
    from scipy.special import betainccinv

    if rows == 0 or material >= 1:
        return min(material, 1.0)
    own = cautious(rate, limits.significance) if correlation is None else correlation
    mean, spread = _predicted(rate, min(own, _LARGEST_CORRELATION), limits.durations)
    if observed > material:
        return max(material, _exact_limit(mean, spread, rows, limits.significance))
    of_share = spread + (1 - spread) / rows
    total = 1 / of_share - 1
    quick = float(betainccinv(mean * total, (1 - mean) * total, limits.significance)) if total > 0 else 1.0
    return max(material, quick)


def cautious(rate: Rate, significance: float) -> float:
    """Return the rate's correlation, taken higher the fewer blocks it was estimated from."""
    return rate.correlation * _widening(rate.blocks, significance)


def _exact_limit(mean: float, correlation: float, rows: int, significance: float) -> float:
    from scipy.special import betaln, gammaln

    total = 1 / correlation - 1
    a, b = mean * total, (1 - mean) * total
    counts = np.arange(rows + 1.0)
    ways = gammaln(rows + 1) - gammaln(counts + 1) - gammaln(rows - counts + 1)
    chances = np.exp(ways + betaln(counts + a, rows - counts + b) - betaln(a, b))
    above = np.cumsum(chances[::-1])[::-1] - chances  # of more than each count
    return int(np.argmax(above <= significance)) / rows


def _predicted(rate: Rate, correlation: float, durations: int) -> tuple[float, float]:
    """Return mean and correlation of a window's rows, with the reference's uncertainty about its mean."""
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
