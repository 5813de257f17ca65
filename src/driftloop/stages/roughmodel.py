"""A rough model of a target: additive over the bins of the columns, fitted by ridge regression. For checks only.

It sees curves and categories, and no interactions; it is fitted in milliseconds with numpy alone. Its figure is the
explained share of the target's variance, for classes as for numbers: for classes that is Brier's skill score.
"""

import numpy as np

from driftloop.stages.codedrows import CodedColumn, Codes, Numbers

FOLDS = 5
_RIDGE = 3.0
"""Rows' worth of doubt in each bin."""
_FEWEST_ROWS = 60
_BLOCKS = 10


class RoughModel:
    """Coded rows prepared for many fits: on folds, on fewer rows, without some columns.

    Args:
        columns: what to explain with.
        target: shape (n_rows, n_outputs).
        seed: deals the rows into folds.
        is_ordered: whether neighbours resemble each other, and so belong into one fold.
    """

    def __init__(
        self, columns: tuple[CodedColumn, ...], target: Numbers, *, seed: int, is_ordered: bool = False
    ) -> None:
        self.columns = columns
        self.target = target
        sizes = np.array([column.size for column in columns])
        self._starts = np.cumsum(sizes) - sizes
        self._width = int(sizes.sum()) + 1
        design = np.zeros((len(target), self._width), dtype=np.float32)
        design[:, -1] = 1
        for start, column in zip(self._starts, columns, strict=True):
            design[np.arange(len(target)), start + column.codes] = 1
        self._design = design
        blocks = np.array_split(np.arange(len(target)), min(_BLOCKS if is_ordered else len(target), len(target)))
        self._random = np.random.default_rng(seed)
        order = self._random.permutation(len(blocks))
        self._folds = [np.concatenate([blocks[place] for place in part]) for part in np.array_split(order, FOLDS)]
        self._grams = [self._gram(rows) for rows in self._folds]

    def out_of_fold(self, without: tuple[int, ...] = ()) -> Numbers:
        """Return the answer to each row of the model fitted on the other folds, shape (n_rows, n_outputs)."""
        answers = np.zeros_like(self.target)
        keep = self._bins_without(without)
        for number, rows in enumerate(self._folds):
            others = [gram for place, gram in enumerate(self._grams) if place != number]
            gram, moments = (np.sum([pair[place] for pair in others], axis=0) for place in (0, 1))
            weights = _solve(gram, moments, keep)
            answers[rows] = self._design[rows][:, keep] @ weights
        return answers

    def explained(self, without: tuple[int, ...] = ()) -> float:
        """Return the share that is explained out of fold; `without` names columns to leave out, by position."""
        return explained_share(self.target, self.out_of_fold(without))

    def explained_by_each(self) -> Numbers:
        """Return what each column explains alone, out of fold, shape (n_columns,)."""
        shares = np.zeros(len(self.columns))
        for place, column in enumerate(self.columns):
            span = slice(self._starts[place], self._starts[place] + column.size)
            counts = [gram[span, -1] for gram, _ in self._grams]
            sums = [moments[span] for _, moments in self._grams]
            totals = [moments[-1] for _, moments in self._grams]
            answers = np.zeros_like(self.target)
            for number, rows in enumerate(self._folds):
                count = sum(counts) - counts[number]
                mean = (sum(totals) - totals[number]) / max(float(count.sum()), 1.0)
                bins = (sum(sums) - sums[number] + _RIDGE * mean) / (count[:, None] + _RIDGE)
                answers[rows] = bins[column.codes[rows]]
            shares[place] = explained_share(self.target, answers)
        return shares

    def learning_curve(self, shares: tuple[float, ...], repeats: int) -> list[tuple[int, float]]:
        """Return training rows and explained share, rising: fitted on so much of four folds, judged on the fifth."""
        points = []
        training = [
            self._random.permutation(
                np.concatenate([rows for place, rows in enumerate(self._folds) if place != number])
            )
            for number in range(repeats)
        ]
        for share in shares:
            values, size = [], 0
            for number in range(repeats):
                judged, others = self._folds[number], training[number]
                size = int(len(others) * share)
                if size < _FEWEST_ROWS:
                    continue
                gram, moments = self._gram(others[:size])
                weights = _solve(gram, moments, np.arange(self._width))
                values.append(explained_share(self.target[judged], self._design[judged] @ weights))
            if values:
                points.append((size, float(np.mean(values))))
        return points

    def _gram(self, rows: Codes) -> tuple[Numbers, Numbers]:
        part = self._design[rows]
        return (part.T @ part).astype(np.float64), part.T.astype(np.float64) @ self.target[rows]

    def _bins_without(self, without: tuple[int, ...]) -> Codes:
        keep = np.ones(self._width, dtype=bool)
        for place in without:
            keep[self._starts[place] : self._starts[place] + self.columns[place].size] = False
        return np.flatnonzero(keep)


def explained_share(truth: Numbers, answers: Numbers) -> float:
    """Return 1 - squared errors / squared deviations from the mean; 0 where the target does not vary.

    >>> explained_share(np.array([[0.0], [2.0]]), np.array([[0.0], [2.0]]))
    1.0
    """
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1 - float(((truth - answers) ** 2).sum()) / spread if spread else 0.0


def _solve(gram: Numbers, moments: Numbers, keep: Codes) -> Numbers:
    """Solve the normal equations; the constant, last, is not shrunk."""
    part = gram[np.ix_(keep, keep)]
    penalty = np.full(len(keep), _RIDGE)
    penalty[-1] = 1e-6
    part[np.diag_indices_from(part)] += penalty
    weights: Numbers = np.linalg.solve(part, moments[keep])
    return weights
