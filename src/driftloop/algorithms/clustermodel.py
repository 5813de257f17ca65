"""Clusters that answer for new rows: the last link of a chain for the task Clustering.

The number of clusters is chosen while fitting, on the training rows alone. Imported late: it loads scikit-learn.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.metaestimators import available_if

from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.unsupervised import NOISE, WITHOUT_TRUTH
from driftloop.errors import InvalidInputError

Numbers: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]

MOST_COUNTS = 16
"""Numbers of clusters that are tried at most; of a wider range, these many with equal ratios."""
MOST_JUDGED_ROWS = 2000
"""Rows that a number of clusters is judged on."""
MOST_PAIRED_ROWS = 5000
"""Agglomerative needs the distances of all pairs: more rows are drawn down to so many."""
MOST_DENSITY_ROWS = 10_000
"""HDBSCAN: more rows are drawn down to so many; it keeps those that lie in clusters."""
_SWEPT = ("silhouette", "calinski_harabasz", "neg_davies_bouldin")
BIC = "bic"
_FEWEST = 2


class TooFewClustersError(InvalidInputError):
    """There are not enough different rows, or no clusters among them."""

    def __init__(self, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The training rows {constraint}. Got {got}. {remedy}")


class Centres:
    """A row belongs to the nearest centre."""

    def __init__(self, centres: Numbers) -> None:
        self.centres = centres

    def __len__(self) -> int:
        return len(self.centres)

    def assign(self, x: Numbers) -> Codes:
        """Return the place of each row's centre, shape (n,)."""
        # Not scikit-learn's, whose threads wait for one another on a busy server.
        return np.asarray(((self.centres**2).sum(axis=1) - 2 * x @ self.centres.T).argmin(axis=1), dtype=np.int64)


class CoreRows:
    """A row belongs to the cluster of the nearest training row in one, unless it is farther than that cluster is dense.

    How far: the largest distance, within the cluster, of a row to its `min_samples`-th neighbour (its core distance).
    """

    def __init__(self, rows: Numbers, clusters: Codes, limits: Numbers) -> None:
        self.rows = rows
        self.clusters = clusters
        self.limits = limits

    def __len__(self) -> int:
        return len(self.limits)

    def assign(self, x: Numbers) -> Codes:
        """Return the cluster of each row, -1 for none, shape (n,)."""
        from scipy.spatial.distance import cdist

        found = []
        for rows in np.array_split(x, len(x) // 500 + 1):
            distances = cdist(rows, self.rows)
            clusters = self.clusters[distances.argmin(axis=1)]
            found.append(np.where(distances.min(axis=1) <= self.limits[clusters], clusters, NOISE))
        return np.concatenate(found)


class Mixture:
    """A row belongs to the most probable component."""

    def __init__(self, mixture: Any) -> None:
        self.mixture = mixture

    def __len__(self) -> int:
        return int(self.mixture.n_components)

    def assign(self, x: Numbers) -> Codes:
        """Return the component of each row, shape (n,)."""
        return np.asarray(self.mixture.predict(x), dtype=np.int64)


Assigner: TypeAlias = Centres | CoreRows | Mixture


class ClusterModel(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """One method of clustering, with the number of clusters that its rows ask for."""

    def __init__(
        self,
        method: str = "KMeans",
        params: Mapping[str, Any] | None = None,
        counts: Sequence[int] = (2, 12),
        metric: str = "silhouette",
        seed: int = 0,
    ) -> None:
        self.method = method
        self.params = params
        self.counts = counts
        self.metric = metric
        self.seed = seed

    def fit(self, x: Numbers, y: Any = None) -> Self:  # noqa: ARG002 - as scikit-learn calls it
        """Fit on all rows, and once on either half, shape (n_rows, n_columns).

        Raises:
            TooFewClustersError: the rows can't be parted.
        """
        different = len(np.unique(x, axis=0))
        if different < self.counts[0]:
            raise TooFewClustersError(
                f"must have at least {self.counts[0]} different rows, one a cluster ('training.clusters.min')",
                str(different),
                "Collect more rows, or lower 'training.clusters.min'.",
            )
        generator = np.random.default_rng(self.seed)
        self.assigner_, self.tried_ = self._choose(x, different, generator)
        self.names_ = np.arange(len(self.assigner_))
        order = generator.permutation(len(x))
        self.halves_ = [self._fit_half(x[np.sort(half)]) for half in np.array_split(order, 2)]
        return self

    @property
    def clusters_(self) -> list[int]:
        """Every number that it answers with, rising; -1 for rows of no cluster."""
        noise = [NOISE] if isinstance(self.assigner_, CoreRows) else []
        return noise + sorted(self.names_.tolist())

    def predict(self, x: Numbers) -> Codes:
        """Return the cluster of each row, shape (n_rows,)."""
        codes = self.assigner_.assign(np.asarray(x, dtype=np.float64))
        return np.where(codes == NOISE, NOISE, self.names_[codes])

    @available_if(lambda self: isinstance(self.assigner_, Mixture))  # type: ignore[untyped-decorator]
    def predict_proba(self, x: Numbers) -> Numbers:
        """Return the probability of each of `clusters_`, shape (n_rows, n_clusters); mixtures only."""
        mixture: Any = self.assigner_
        probabilities: Numbers = mixture.mixture.predict_proba(x)[:, np.argsort(self.names_)]
        return probabilities

    def halves(self, x: Numbers) -> Numbers:
        """Return the clusters by the models of both halves, shape (n_rows, 2); their numbers mean nothing."""
        return np.stack([half.assign(x) for half in self.halves_], axis=1).astype(np.float64)

    def rename(self, names: Mapping[int, int]) -> None:
        """Give clusters other numbers."""
        self.names_ = np.array([names[name] for name in self.names_.tolist()], dtype=np.int64)

    def _choose(self, x: Numbers, different: int, generator: np.random.Generator) -> tuple[Assigner, dict[str, float]]:
        """Return the clusters of the best number, and how each number did."""
        fit = _METHODS[self.method](x, dict(self.params or {}), self.seed)
        if self.method == "HDBSCAN":
            return fit(0), {}
        judged = np.sort(generator.permutation(len(x))[:MOST_JUDGED_ROWS])
        best, tried, highest = None, {}, -np.inf
        for count in counts_to_try(self.counts[0], min(self.counts[1], different)):
            found = fit(count)
            value = self._judge(found, x, judged)
            tried[str(count)] = value
            if best is None or value > highest:
                best, highest = found, value
        if best is None:
            raise ValueError("There is a number of clusters to try.")
        return best, tried

    @property
    def chosen_by(self) -> str:
        """What the number of clusters is chosen by."""
        if self.method == "GaussianMixture":
            return BIC
        return self.metric if self.metric in _SWEPT else _SWEPT[0]

    def _judge(self, found: Assigner, x: Numbers, judged: Codes) -> float:
        if isinstance(found, Mixture):
            return -float(found.mixture.bic(x))
        clusters = found.assign(x[judged]).astype(np.float64)
        value = WITHOUT_TRUTH[self.chosen_by](Answers(clusters, space=x[judged]))(np.ones(len(judged)))
        return value if np.isfinite(value) else -np.inf

    def _fit_half(self, x: Numbers) -> Assigner:
        count = min(len(self.assigner_), len(np.unique(x, axis=0)))
        try:
            return _METHODS[self.method](x, dict(self.params or {}), self.seed)(count)
        except TooFewClustersError:  # half of the rows are too thin for HDBSCAN: all are of one cluster
            return Centres(x.mean(axis=0, keepdims=True))


def counts_to_try(fewest: int, most: int) -> list[int]:
    """Return the numbers of clusters to try: all, or some with equal ratios where there are many.

    >>> counts_to_try(2, 6), len(counts_to_try(2, 1000))
    ([2, 3, 4, 5, 6], 16)
    """
    if most - fewest < MOST_COUNTS:
        return list(range(fewest, most + 1))
    return sorted({round(count) for count in np.geomspace(fewest, most, MOST_COUNTS)})


def align(model: ClusterModel, ours: Codes, theirs: Codes) -> dict[int, int]:
    """Give a model's clusters the numbers of the champion's that they share most rows with.

    The assignment with the most rows in common (Hungarian method, Kuhn 1955); clusters without a counterpart get new
    numbers, so that one number never means two things.

    Args:
        model: is changed.
        ours: its answers to some rows, shape (n,).
        theirs: the champion's answers to the same rows.

    Returns:
        Old number → new number.
    """
    from scipy.optimize import linear_sum_assignment

    old, taken = model.names_.tolist(), sorted(set(theirs.tolist()) - {NOISE})
    shared = np.array([[np.sum((ours == mine) & (theirs == other)) for other in taken] for mine in old]).reshape(
        len(old), len(taken)
    )
    rows, columns = linear_sum_assignment(-shared)
    names = {old[row]: taken[column] for row, column in zip(rows, columns, strict=True) if shared[row, column]}
    next_free = max([NOISE, *taken, *names.values()]) + 1
    for name in old:
        if name not in names:
            names[name] = next_free
            next_free += 1
    model.rename(names)
    return names


_Fit: TypeAlias = Callable[[int], Assigner]


def _k_means(x: Numbers, params: dict[str, Any], seed: int) -> _Fit:
    from sklearn.cluster import KMeans

    return lambda count: Centres(KMeans(count, n_init=4, random_state=seed, **params).fit(x).cluster_centers_)


def _mini_batch(x: Numbers, params: dict[str, Any], seed: int) -> _Fit:
    from sklearn.cluster import MiniBatchKMeans

    return lambda count: Centres(MiniBatchKMeans(count, n_init=4, random_state=seed, **params).fit(x).cluster_centers_)


def _agglomerative(x: Numbers, params: dict[str, Any], seed: int) -> _Fit:
    """One tree, cut at each number; a new row belongs to the nearest mean."""
    from scipy.cluster.hierarchy import fcluster, linkage

    drawn = draw(x, MOST_PAIRED_ROWS, seed)
    tree = linkage(drawn, params.get("linkage", "ward"))

    def cut(count: int) -> Centres:
        clusters = fcluster(tree, count, criterion="maxclust")
        return Centres(np.stack([drawn[clusters == cluster].mean(axis=0) for cluster in np.unique(clusters)]))

    return cut


def _mixture(x: Numbers, params: dict[str, Any], seed: int) -> _Fit:
    from sklearn.mixture import GaussianMixture

    return lambda count: Mixture(GaussianMixture(count, reg_covar=1e-4, random_state=seed, **params).fit(x))


def _density(x: Numbers, params: dict[str, Any], seed: int) -> _Fit:
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import NearestNeighbors

    drawn = draw(x, MOST_DENSITY_ROWS, seed)
    size = max(round(params.get("min_cluster_share", 0.02) * len(drawn)), 5)
    samples = min(int(params.get("min_samples", 5)), len(drawn) - 1)

    def fit(_: int) -> CoreRows:
        clusters = HDBSCAN(min_cluster_size=size, min_samples=samples, copy=True).fit(drawn).labels_
        found = int(clusters.max()) + 1
        if found < _FEWEST:
            raise TooFewClustersError(
                "must fall into at least two dense clusters for HDBSCAN",
                str(found),
                "Take it out of 'training.algorithms': the others part any rows.",
            )
        core = NearestNeighbors(n_neighbors=samples + 1).fit(drawn).kneighbors(drawn)[0][:, -1]
        inside = clusters >= 0
        limits = np.array([core[clusters == cluster].max() for cluster in range(found)])
        return CoreRows(drawn[inside], clusters[inside].astype(np.int64), limits)

    return fit


def draw(x: Numbers, most: int, seed: int) -> Numbers:
    """Return at most so many rows, at random, in their order."""
    return x if len(x) <= most else x[np.sort(np.random.default_rng(seed).permutation(len(x))[:most])]


_METHODS: dict[str, Callable[[Numbers, dict[str, Any], int], _Fit]] = {
    "KMeans": _k_means,
    "MiniBatchKMeans": _mini_batch,
    "Agglomerative": _agglomerative,
    "GaussianMixture": _mixture,
    "HDBSCAN": _density,
}
