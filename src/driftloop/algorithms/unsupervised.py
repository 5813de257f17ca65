"""The metrics of clusters and of anomaly scores: what can be said of answers without a truth to hold them against.

NumPy only but for distances. Names and values are those of scikit-learn where it has them; rows of no cluster (-1) are
neither a cluster of their own nor left out, unless a metric says so.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from driftloop.algorithms.metrics import Answers, Numbers

NOISE = -1
"""Cluster of the rows that belong to none."""
MOST_PAIRED_ROWS = 4000
"""Silhouettes are computed among at most so many rows, evenly chosen: each needs the distances to all others."""
_TWO = 2


def adjusted_rand(first: "Numbers", second: "Numbers", weights: "Numbers | None" = None) -> float:
    """Return how far two partitions agree beyond chance: 1 is perfect, 0 chance (Hubert and Arabie 1985).

    >>> adjusted_rand(np.array([0.0, 0, 1, 1]), np.array([7.0, 7, 3, 3]))
    1.0
    """
    counts = contingency(first, second, weights)
    pairs, of_first, of_second = (
        float((n * (n - 1) / 2).sum()) for n in (counts, counts.sum(axis=1), counts.sum(axis=0))
    )
    total = counts.sum() * (counts.sum() - 1) / 2
    expected = of_first * of_second / total if total > 0 else 0.0
    highest = (of_first + of_second) / 2
    return (pairs - expected) / (highest - expected) if highest != expected else 1.0


def contingency(first: "Numbers", second: "Numbers", weights: "Numbers | None" = None) -> "Numbers":
    """Return how many rows fall in each pair of groups, shape (groups of first, groups of second), both rising."""
    _, rows = np.unique(first, return_inverse=True)
    names, columns = np.unique(second, return_inverse=True)
    counts = np.bincount(rows * len(names) + columns, weights, minlength=(rows.max(initial=0) + 1) * len(names))
    return counts.astype(np.float64).reshape(-1, len(names))


def rank_correlation(first: "Numbers", second: "Numbers", weights: "Numbers | None" = None) -> float:
    """Return Spearman's correlation, ties at their mean rank; NaN where one of the two is constant."""
    weights = np.ones(len(first)) if weights is None else weights
    centred = [ranks - np.average(ranks, weights=weights) for ranks in (_ranks(first), _ranks(second))]
    spread = [float(weights @ ranks**2) for ranks in centred]
    product = float(weights @ (centred[0] * centred[1]))
    return product / (spread[0] * spread[1]) ** 0.5 if min(spread) > 0 else np.nan


def _ranks(values: "Numbers") -> "Numbers":
    _, level, size = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (np.cumsum(size) - (size + 1) / 2)[level]
    return ranks


def _silhouette(answers: "Answers") -> Callable[["Numbers"], float]:
    """Mean silhouette (Rousseeuw 1987); 0 for a row of no cluster, and where there is one cluster only."""
    space, chosen = _space(answers), _evenly(len(answers.predictions), MOST_PAIRED_ROWS)
    values = silhouettes(space[chosen], answers.predictions[chosen])

    def scored(weights: "Numbers") -> float:
        counted = weights[chosen]
        return float(np.average(values, weights=counted)) if counted.sum() > 0 else np.nan

    return scored


def silhouettes(space: "Numbers", clusters: "Numbers") -> "Numbers":
    """Return the silhouette of each row, shape (n,)."""
    from scipy.spatial.distance import cdist

    names, codes = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    is_cluster = names != NOISE
    if is_cluster.sum() < _TWO:
        return np.zeros(len(clusters))
    members = np.eye(len(names))[codes]
    values = np.zeros(len(clusters))
    for rows in np.array_split(np.arange(len(clusters)), max(len(clusters) // 500, 1)):
        totals = cdist(space[rows], space) @ members
        own = codes[rows]
        at = np.arange(len(rows))
        within = totals[at, own] / np.maximum(sizes[own] - 1, 1)
        means = totals / sizes
        means[:, ~is_cluster] = np.inf
        means[at, own] = np.inf
        between = means.min(axis=1)
        larger = np.maximum(within, between)
        found = np.divide(between - within, larger, out=np.zeros_like(within), where=larger > 0)
        values[rows] = np.where((sizes[own] > 1) & is_cluster[own], found, 0.0)
    return values


def _calinski_harabasz(answers: "Answers") -> Callable[["Numbers"], float]:
    """Spread between clusters over spread within (Caliński and Harabasz 1974); rows of no cluster are one more."""
    space, codes = _space(answers), np.unique(answers.predictions, return_inverse=True)[1]

    def scored(weights: "Numbers") -> float:
        sizes, centres, squares = _moments(space, codes, weights)
        if len(sizes) < _TWO:
            return 0.0
        rows = sizes.sum()
        between = float(sizes @ ((centres - np.average(centres, axis=0, weights=sizes)) ** 2).sum(axis=1))
        within = float(squares.sum())
        return between / within * (rows - len(sizes)) / (len(sizes) - 1) if within > 0 else 1.0

    return scored


def _neg_davies_bouldin(answers: "Answers") -> Callable[["Numbers"], float]:
    """Mean likeness of each cluster and its nearest (Davies and Bouldin 1979), negated; NaN for a single cluster."""
    space, codes = _space(answers), np.unique(answers.predictions, return_inverse=True)[1]

    def scored(weights: "Numbers") -> float:
        from scipy.spatial.distance import cdist

        sizes, centres, _ = _moments(space, codes, weights)
        if len(sizes) < _TWO:
            return np.nan
        kept = np.unique(codes[weights > 0], return_inverse=True)[1]
        reach = np.linalg.norm(space[weights > 0] - centres[kept], axis=1)
        scatter = np.bincount(kept, weights[weights > 0] * reach) / sizes
        apart = cdist(centres, centres)
        likeness = np.divide(scatter[:, np.newaxis] + scatter, apart, out=np.zeros_like(apart), where=apart > 0)
        return -float(likeness.max(axis=1).mean())

    return scored


def _stability_of_clusters(answers: "Answers") -> Callable[["Numbers"], float]:
    halves = _halves(answers)
    return lambda weights: adjusted_rand(halves[:, 0], halves[:, 1], weights)


def _stability_of_scores(answers: "Answers") -> Callable[["Numbers"], float]:
    halves = _halves(answers)
    return lambda weights: rank_correlation(halves[:, 0], halves[:, 1], weights)


def _stability(answers: "Answers") -> Callable[["Numbers"], float]:
    """Agreement of two models fitted on halves: adjusted Rand of clusters, rank correlation of anomaly scores."""
    return _stability_of_scores(answers) if answers.space is None else _stability_of_clusters(answers)


def _moments(
    space: "Numbers", codes: npt.NDArray[np.int64], weights: "Numbers"
) -> tuple["Numbers", "Numbers", "Numbers"]:
    """Return size, centre and sum of squared distances to it of each cluster that has weight."""
    sizes = np.bincount(codes, weights).astype(np.float64)
    members = np.eye(len(sizes))[codes] * weights[:, np.newaxis]
    kept = sizes > 0
    centres = (members.T @ space)[kept] / sizes[kept, np.newaxis]
    lengths = np.bincount(codes, weights * (space**2).sum(axis=1), minlength=len(sizes))[kept]
    return sizes[kept], centres, np.maximum(lengths - sizes[kept] * (centres**2).sum(axis=1), 0.0)


def _evenly(rows: int, most: int) -> npt.NDArray[np.int64]:
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(np.int64)


def _space(answers: "Answers") -> "Numbers":
    if answers.space is None:
        raise ValueError("The metrics of a clustering need the rows as the clusters see them.")
    return answers.space


def _halves(answers: "Answers") -> "Numbers":
    if answers.halves is None:
        raise ValueError("Stability needs the answers of models fitted on halves of the rows.")
    return answers.halves


WITHOUT_TRUTH: dict[str, Callable[["Answers"], Callable[["Numbers"], float]]] = {
    "silhouette": _silhouette,
    "calinski_harabasz": _calinski_harabasz,
    "neg_davies_bouldin": _neg_davies_bouldin,
    "stability": _stability,
}
"""Each takes the answers and returns the metric as a function of the rows' weights, shape (n,)."""
