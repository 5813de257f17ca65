"""What columns have to do with each other: pairs worth watching, and how correlated the columns' locations are."""

from collections.abc import Sequence

import numpy as np

from driftloop.monitor.calibration import StreamBaseline
from driftloop.monitor.columns import Numbers
from driftloop.spec.boundary import Boundary

MAXIMUM_PAIRS = 10
RELATED = 0.3
"""Smallest rank correlation of a pair worth watching."""


class PairBaseline(Boundary):
    """Two numeric features that go together."""

    first: str
    second: str
    stream: StreamBaseline
    """What is usual of the product of their locations; its mean is about Spearman's correlation."""


class JointBaseline(Boundary):
    """How the locations of all features vary together on stable traffic."""

    columns: tuple[str, ...]
    """Features whose first stream counts."""
    squares: float
    """Sum of the squared correlations of block means, each column with itself included."""
    largest: float
    """Largest eigenvalue of the rows' correlations."""


def related_pairs(names: Sequence[str], locations: Numbers) -> tuple[tuple[str, str], ...]:
    """Return the most correlated pairs, those first that bring in a column not seen yet.

    `locations` are the location scores of numeric columns, shape (n, columns), NaN where missing.
    """
    correlations = np.triu(correlate(locations), 1)
    order = np.argsort(-np.abs(correlations), axis=None)
    strong = [divmod(int(place), len(names)) for place in order if abs(correlations.flat[place]) >= RELATED]
    covered: set[int] = set()
    first = []
    for pair in strong:
        if not covered.issuperset(pair):
            first.append(pair)
            covered.update(pair)
    chosen = (first + [pair for pair in strong if pair not in first])[:MAXIMUM_PAIRS]
    return tuple((names[a], names[b]) for a, b in chosen)


def joint_baseline(names: Sequence[str], scores: Numbers, residuals: Numbers) -> JointBaseline | None:
    """Describe how columns vary together; None for fewer than two.

    Args:
        names: of the columns.
        scores: of the rows, shape (n, columns), NaN where missing.
        residuals: of the block means without their season, shape (blocks, columns).
    """
    if len(names) < 2:  # noqa: PLR2004 - one column has nobody to move with
        return None
    between = correlate(residuals) ** 2
    # A squared correlation of n pairs is 1 / n too large where there is none.
    chance = (1 - between) ** 2 / max(len(residuals), 1)
    others = float((between - chance).sum() - (np.diag(between) - np.diag(chance)).sum())
    largest = float(np.linalg.eigvalsh(correlate(scores))[-1])
    return JointBaseline(columns=tuple(names), squares=len(names) + max(others, 0.0), largest=max(largest, 1.0))


def correlate(values: Numbers) -> Numbers:
    """Return correlations over the rows where both are known, shape (columns, columns); 0 where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, values - mean, 0.0)
        filled /= np.sqrt((filled**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
        both = known.T.astype(np.float64) @ known
        correlations = (np.nan_to_num(filled).T @ np.nan_to_num(filled)) / np.maximum(both, 1)
    np.fill_diagonal(correlations, 1.0)
    return np.asarray(np.clip(correlations, -1.0, 1.0))
