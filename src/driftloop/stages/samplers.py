"""imbalanced-learn's samplers on the training matrix: which rows are fitted on, and rows made up between them.

Part of the stage `resample`. Neighbours are looked for in the matrix, where numbers have one scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.stages.matrices import Matrices, MatrixColumnKind

NEIGHBOURS = 5
"""Neighbours that rows are made up between; fewer where the class has fewer."""
FEWEST_OF_CLASS = 2
MOST_COMPARED_ROWS = 100_000
"""Samplers that compare rows take no more training rows: their time grows with the square."""

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class SamplerError(InvalidInputError):
    """A sampler can't work on these rows."""

    def __init__(self, sampler: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The 'preparation.sampling' {sampler} {constraint}. Got {got}. {remedy}")


@dataclass(frozen=True)
class Draw:
    """What a sampler gives."""

    rows: Rows | None
    """Rows to fit on, by position, one as often as it was drawn; None for all, once."""
    made_x: Numbers | None = None
    """Rows made up, shape (n_made, n_columns)."""
    made_y: npt.NDArray[Any] | None = None


def draw(method: str, y: npt.NDArray[Any], load: Callable[[], Matrices], seed: int) -> Draw:
    """Balance the classes.

    Args:
        method: a choice of `preparation.sampling` that names one of imbalanced-learn's samplers.
        y: classes of the training rows, shape (n_rows,).
        load: gives the matrices; called only where a sampler looks at more than classes.
        seed: of the draws.

    Raises:
        SamplerError: too few rows of a class, too many rows, or no categories for SMOTENC.
    """
    if method in _BLIND:
        return _BLIND[method](y, seed)
    if len(y) > MOST_COMPARED_ROWS:
        remedy = "Use ClassWeights or RandomUnderSampler, or take fewer rows by 'data.sample'."
        raise SamplerError(method, f"compares at most {MOST_COMPARED_ROWS:,} training rows", f"{len(y):,}", remedy)
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < FEWEST_OF_CLASS:
        rarest = labels[counts.argmin()]
        remedy = "Use RandomOverSampler or ClassWeights, or collect more rows of it."
        constraint = f"needs at least {FEWEST_OF_CLASS} training rows of each class"
        raise SamplerError(method, constraint, f"{counts.min()} of {rarest!r}", remedy)
    return _COMPARING[method](load(), y, seed, min(NEIGHBOURS, int(counts.min()) - 1))


def _over(y: npt.NDArray[Any], seed: int) -> Draw:
    from imblearn.over_sampling import RandomOverSampler

    return Draw(_chosen(RandomOverSampler(random_state=seed), np.empty((len(y), 1)), y))


def _under(y: npt.NDArray[Any], seed: int) -> Draw:
    from imblearn.under_sampling import RandomUnderSampler

    return Draw(_chosen(RandomUnderSampler(random_state=seed), np.empty((len(y), 1)), y))


def _near_miss(matrices: Matrices, y: npt.NDArray[Any], _seed: int, neighbours: int) -> Draw:
    from imblearn.under_sampling import NearMiss

    return Draw(_chosen(NearMiss(n_neighbors=min(neighbours, 3)), matrices.train_x, y))


def _tomek(matrices: Matrices, y: npt.NDArray[Any], _seed: int, _neighbours: int) -> Draw:
    from imblearn.under_sampling import TomekLinks

    return Draw(_chosen(TomekLinks(), matrices.train_x, y))


def _smote(matrices: Matrices, y: npt.NDArray[Any], seed: int, neighbours: int) -> Draw:
    from imblearn.over_sampling import SMOTE

    return _made(SMOTE(random_state=seed, k_neighbors=neighbours), matrices.train_x, y)


def _adasyn(matrices: Matrices, y: npt.NDArray[Any], seed: int, neighbours: int) -> Draw:
    from imblearn.over_sampling import ADASYN

    try:
        return _made(ADASYN(random_state=seed, n_neighbors=neighbours), matrices.train_x, y)
    except (ValueError, RuntimeError) as error:  # how it says that nobody has neighbours of another class
        remedy = "Use SMOTE: the classes are apart, or equally frequent."
        constraint = "needs rows of the rare class with neighbours of another"
        raise SamplerError("ADASYN", constraint, "none", remedy) from error


def _smoteenn(matrices: Matrices, y: npt.NDArray[Any], seed: int, neighbours: int) -> Draw:
    from imblearn.under_sampling import EditedNearestNeighbours

    more = _smote(matrices, y, seed, neighbours)
    made_x = matrices.train_x[:0] if more.made_x is None else more.made_x
    made_y = y[:0] if more.made_y is None else more.made_y
    both_x, both_y = np.concatenate([matrices.train_x, made_x]), np.concatenate([y, made_y])
    kept = _chosen(EditedNearestNeighbours(sampling_strategy="all"), both_x, both_y)
    if len(np.unique(both_y[kept])) < len(np.unique(y)):
        remedy = "Use SMOTE: neighbours contradict every row of a class."
        raise SamplerError("SMOTEENN", "must leave rows of each class", "none of one", remedy)
    of_made = kept[kept >= len(y)] - len(y)
    return Draw(kept[kept < len(y)], made_x[of_made], made_y[of_made])


def _smotenc(matrices: Matrices, y: npt.NDArray[Any], seed: int, neighbours: int) -> Draw:
    """One code stands for the one-hot columns of a feature, so that a made-up row has one category."""
    from imblearn.over_sampling import SMOTENC

    codes = _Codes(matrices)
    if not codes.categorical or len(codes.categorical) == codes.width:
        remedy = "Use SMOTE for numbers, RandomOverSampler for categories."
        got = "no categories" if not codes.categorical else "no numbers"
        raise SamplerError("SMOTENC", "needs numbers and one-hot encoded categories", got, remedy)
    sampler = SMOTENC(codes.categorical, random_state=seed, k_neighbors=neighbours)
    drawn = _made(sampler, codes.encode(matrices.train_x), y)
    return drawn if drawn.made_x is None else Draw(None, codes.decode(drawn.made_x), drawn.made_y)


class _Codes:
    """The matrix with one column of codes in the place of a feature's one-hot columns."""

    def __init__(self, matrices: Matrices) -> None:
        self._groups: Mapping[str, Any] = matrices.groups
        grouped = {place for places in self._groups.values() for place in places}
        self._columns = matrices.train_x.shape[1]
        self._others = [place for place in range(self._columns) if place not in grouped]
        self.width = len(self._others) + len(self._groups)
        discrete = (MatrixColumnKind.BOOLEAN, MatrixColumnKind.ORDINAL)
        kinds = [column.kind for column in matrices.columns]
        self.categorical = [i for i, place in enumerate(self._others) if kinds and kinds[place] in discrete]
        self.categorical += list(range(len(self._others), self.width))

    def encode(self, x: Numbers) -> Numbers:
        """A row of no known category has the code behind the last."""
        codes = [
            np.where(x[:, places].any(axis=1), x[:, places].argmax(axis=1), len(places))
            for places in self._groups.values()
        ]
        return np.column_stack([x[:, self._others], *codes]).astype(np.float64)

    def decode(self, coded: Numbers) -> Numbers:
        x = np.zeros((len(coded), self._columns))
        x[:, self._others] = coded[:, : len(self._others)]
        for offset, places in enumerate(self._groups.values(), len(self._others)):
            x[:, places] = coded[:, [offset]] == np.arange(len(places))
        return x


def _chosen(sampler: Any, x: Numbers, y: npt.NDArray[Any]) -> Rows:
    sampler.fit_resample(x, y)
    return np.sort(sampler.sample_indices_).astype(np.int64)


def _made(sampler: Any, x: Numbers, y: npt.NDArray[Any]) -> Draw:
    """These samplers put what they make behind the rows that there are."""
    all_x, all_y = sampler.fit_resample(x, y)
    if len(all_y) == len(y):
        return Draw(None)
    return Draw(None, np.asarray(all_x[len(y) :], dtype=np.float64), all_y[len(y) :])


_BLIND: Mapping[str, Callable[[npt.NDArray[Any], int], Draw]] = {
    "RandomOverSampler": _over,
    "RandomUnderSampler": _under,
}
_COMPARING: Mapping[str, Callable[[Matrices, npt.NDArray[Any], int, int], Draw]] = {
    "SMOTE": _smote,
    "SMOTENC": _smotenc,
    "ADASYN": _adasyn,
    "NearMiss": _near_miss,
    "TomekLinks": _tomek,
    "SMOTEENN": _smoteenn,
}
