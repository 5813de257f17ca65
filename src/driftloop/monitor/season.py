"""The season of a score stream: daily and weekly harmonics of the block means, as many as pay for themselves."""

import numpy as np

from driftloop.monitor.columns import Numbers

DAY, WEEK = 86400.0, 7 * 86400.0
HARMONICS = 3
CYCLES = 1.95
"""Cycles a reference must span before a season can be told from chance (two, but for its ragged ends)."""


def basis(seconds: Numbers, periods: tuple[float, ...]) -> Numbers:
    """Return a constant, then cosine and sine of every period, shape (n, 1 + 2 periods)."""
    angles = 2 * np.pi * seconds[:, np.newaxis] / np.array(periods)
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(seconds), -1)
    return np.concatenate([np.ones((len(seconds), 1)), waves], axis=1)


def find_periods(
    middles: Numbers, means: Numbers, weights: Numbers, block_seconds: float, span: float
) -> tuple[float, ...]:
    """Return the periods that the block means follow.

    Harmonics of a day, then of a week, are added as long as the Bayesian information criterion falls (Schwarz,
    "Estimating the dimension of a model", 1978).

    Args:
        middles: of the blocks, in seconds since the Unix epoch, shape (blocks,).
        means: of the blocks.
        weights: rows of the blocks.
        block_seconds: length of a block; a period must be longer than two.
        span: seconds that the reference covers; a period must fit in twice.
    """
    filled = weights > 0
    times, values, root = middles[filled], means[filled], np.sqrt(weights[filled])
    chosen: tuple[float, ...] = ()
    best = _criterion(times, values, root, chosen)
    for period in (DAY, WEEK):
        if span < CYCLES * period:
            continue
        kept = chosen
        for harmonics in range(1, HARMONICS + 1):
            if period / harmonics <= 2 * block_seconds:
                break
            tried = (*kept, *(period / harmonic for harmonic in range(1, harmonics + 1)))
            if 1 + 2 * len(tried) > len(times) // 3:
                break
            criterion = _criterion(times, values, root, tried)
            if criterion < best:
                best, chosen = criterion, tried
    return chosen


def _criterion(times: Numbers, values: Numbers, root: Numbers, periods: tuple[float, ...]) -> float:
    design = basis(times, periods) * root[:, np.newaxis]
    coefficients = np.linalg.lstsq(design, values * root, rcond=None)[0]
    squares = float(((values * root - design @ coefficients) ** 2).sum())
    return float(len(times) * np.log(max(squares, 1e-12)) + design.shape[1] * np.log(len(times)))
