"""How many independent rows a window is worth: rows close in time resemble each other, and tests must know.

Estimated once from the time-ordered baseline, applied to every window. Without it, autocorrelated traffic alarms in
most windows.
"""

import numpy as np
import numpy.typing as npt


def intraclass_correlation(scores: npt.NDArray[np.float64], blocks: npt.NDArray[np.int64]) -> float:
    """Return the correlation of rows in the same block of time, 0 to 1, by analysis of variance.

    `scores` has shape (n,) or (n, k), pooled over k; `blocks` names each row's block, shape (n,). Fewer than two blocks
    say nothing: 0. Source: Donner, "A review of inference procedures for the intraclass correlation", 1986.
    """
    if scores.ndim == 1:
        scores = scores[:, np.newaxis]
    codes, sizes = np.unique(blocks, return_inverse=True, return_counts=True)[1:]
    rows, groups = len(scores), len(sizes)
    if groups < 2 or rows <= groups:  # noqa: PLR2004 - one block has nothing to differ from
        return 0.0
    sums = np.stack([np.bincount(codes, weights=column, minlength=groups) for column in scores.T], axis=1)
    means = sums / sizes[:, np.newaxis]
    between = float((sizes[:, np.newaxis] * (means - scores.mean(axis=0)) ** 2).sum()) / (groups - 1)
    within = float(((scores - means[codes]) ** 2).sum()) / (rows - groups)
    usual_size = (rows - float((sizes**2).sum()) / rows) / (groups - 1)
    total = between + (usual_size - 1) * within
    return float(np.clip((between - within) / total, 0, 1)) if total > 0 else 0.0


def effective_rows(rows: int, rows_per_block: float, correlation: float, blocks: int, significance: float) -> float:
    """Return the number of independent rows that tell as much as `rows` rows do.

    Kish's design effect, 1 + (rows per block - 1) x correlation. It was itself estimated, from `blocks` blocks: it is
    widened by Student's t against the normal at the two-sided `significance`, so that a lucky baseline does not decide.
    Without blocks nothing is known of the order of rows, and they are taken to be independent.
    """
    if blocks < 2:  # noqa: PLR2004 - one block has nothing to differ from
        return float(rows)
    from scipy.stats import norm, t

    widening = float((t.isf(significance / 2, blocks - 1) / norm.isf(significance / 2)) ** 2)
    return rows / ((1 + max(rows_per_block - 1, 0) * correlation) * widening)


def evenly_spaced(ordered: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Return `count` values that represent a sorted sample: its evenly spaced quantiles, shape (count,).

    Unlike a random subsample it adds no noise of its own: the distance between two samples stays what it was.
    """
    places = (np.arange(count) + 0.5) / count * len(ordered)
    return ordered[places.astype(np.int64)]
