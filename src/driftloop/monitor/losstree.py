"""Metrics of a regression without labels: how large the model's errors are for answers and features such as these.

DLE, direct loss estimation (NannyML documentation, "Estimating performance of regression models"), with one small tree
instead of a boosted forest: it ships as numbers, and each of its leaves says how many test rows it knows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.monitor.columns import PREDICTION, Column, ColumnKind, Numbers
from driftloop.monitor.confidence import Expected
from driftloop.spec.boundary import Boundary

LEAVES = (1, 8, 32)
FOLDS = 5
SMALLEST_LEAF = 20
SMALLEST_LEAF_SHARE = 0.01
_LARGEST = 3e38
_CATEGORY_PRIOR_ROWS = 20
"""A category's mean error is drawn towards the overall mean as if by so many more rows."""


class LossColumn(Boundary):
    """A number by which the tree splits rows."""

    name: str
    """Of the feature, or `prediction`."""
    categories: dict[str, float] | None = None
    """Of a categorical feature: the number of each category, its mean absolute error; the others are missing."""

    def read(self, column: Column) -> Numbers:
        """Return the column as numbers, NaN where missing, shape (n,)."""
        if self.categories is None:
            return np.asarray(column.cells, dtype=np.float64)
        return np.array([self.categories.get(value, np.nan) for value in column.cells], dtype=np.float64)


class LossNode(Boundary):
    """A node of the tree and the test rows that came to it."""

    column: int = -1
    """Index of the column that splits here; -1 for a leaf."""
    threshold: float = 0.0
    """Rows at or below it go left."""
    left: int = -1
    right: int = -1
    missing_left: bool = False
    """Where rows go that have no value."""
    rows: int
    error: float
    """Mean of truth - prediction."""
    absolute: float
    """Mean absolute error."""
    square: float
    """Mean squared error."""
    fourth: float
    """Mean of the error's fourth power."""


class LossTree(Boundary):
    """The expected loss as a function of prediction and features."""

    columns: tuple[LossColumn, ...]
    nodes: tuple[LossNode, ...]
    """The root first."""

    def leaves(self, prediction: Numbers, features: Mapping[str, Column]) -> npt.NDArray[np.int64]:
        """Return the index of each row's leaf among the nodes, shape (n,)."""
        asked = {node.column for node in self.nodes if node.column >= 0}
        values = {column: _values(self.columns, column, prediction, features) for column in asked}
        place = np.zeros(len(prediction), dtype=np.int64)
        for index, node in enumerate(self.nodes):  # children stand behind their parents
            if node.column >= 0:
                rows = np.flatnonzero(place == index)
                value = values[node.column][rows]
                goes_left = np.where(np.isnan(value), node.missing_left, value <= node.threshold)
                place[rows] = np.where(goes_left, node.left, node.right)
        return place


def fit_losses(truth: Numbers, prediction: Numbers, features: Mapping[str, Column]) -> LossTree:
    """Fit the tree on n > 0 test rows in order of time; the number of leaves that is best on held-out stretches."""
    error = truth - prediction
    loss = np.abs(error)
    columns = tuple(_column(name, column, loss) for name, column in features.items() if _is_readable(column))
    columns = (LossColumn(name=PREDICTION), *columns)
    values = np.column_stack([_values(columns, place, prediction, features) for place in range(len(columns))])
    count = _best_count(values, loss)
    if count == 1:
        return LossTree(columns=columns, nodes=(LossNode(**_facts(error)),))
    grown = _grow(values, loss, count)
    inside = grown.decision_path(values).toarray().astype(bool)
    tree = grown.tree_
    nodes = [
        LossNode(
            column=max(int(tree.feature[k]), -1),
            threshold=float(np.clip(tree.threshold[k], -_LARGEST, _LARGEST)) if tree.feature[k] >= 0 else 0.0,
            left=int(tree.children_left[k]),
            right=int(tree.children_right[k]),
            missing_left=bool(tree.missing_go_to_left[k]),
            **_facts(error[inside[:, k]]),
        )
        for k in range(tree.node_count)
    ]
    return LossTree(columns=columns, nodes=tuple(nodes))


def expect_loss(metric: str, tree: LossTree, prediction: Numbers, features: Mapping[str, Column]) -> Expected:
    """Return the metric that the tree lets expect of n rows.

    `r2` compares with the variance of the truth, which is expected too; the noise of its own labels is left out.
    """
    leaf, n = tree.leaves(prediction, features), len(prediction)
    error, absolute, square, fourth, known = (
        np.array([getattr(node, name) for node in tree.nodes])
        for name in ("error", "absolute", "square", "fourth", "rows")
    )
    share = np.bincount(leaf, minlength=len(tree.nodes)) / n
    mean_square = float(square @ share)
    if metric == "neg_mean_absolute_error":
        value, slope, variance = -float(absolute @ share), -1.0, square - absolute**2
        influence = -(absolute[leaf] - absolute @ share) / n
    elif metric == "neg_root_mean_squared_error":
        value = -float(np.sqrt(mean_square))
        slope, variance = 0.5 / value if value else 0.0, fourth - square**2
        influence = slope * (square[leaf] - mean_square) / n
    else:
        centre = prediction + error[leaf]
        spread = (centre - centre.mean()) ** 2 + square[leaf] - error[leaf] ** 2
        total = float(spread.mean())
        value = 1 - mean_square / total if total > 0 else np.nan
        slope, variance = (mean_square / total - 1) / total if total > 0 else np.nan, fourth - square**2
        influence = (mean_square / total * spread - square[leaf]) / (total * n) if total > 0 else np.full(n, np.nan)
    return Expected(
        value=value,
        influence=influence,
        label_variance=slope**2 * float(variance @ share) / n,
        leverage=slope * share,
        cell_variance=variance / known,
    )


def _facts(error: Numbers) -> dict[str, float]:
    return {
        "rows": len(error),
        "error": float(error.mean()),
        "absolute": float(np.abs(error).mean()),
        "square": float((error**2).mean()),
        "fourth": float((error**4).mean()),
    }


def _is_readable(column: Column) -> bool:
    return column.kind is not ColumnKind.PRESENCE and bool(column.present.any())


def _column(name: str, column: Column, loss: Numbers) -> LossColumn:
    if column.kind is ColumnKind.NUMERIC:
        return LossColumn(name=name)
    categories, codes = np.unique(column.known, return_inverse=True)
    sums, rows = np.bincount(codes, loss[column.present]), np.bincount(codes)
    means = (sums + loss.mean() * _CATEGORY_PRIOR_ROWS) / (rows + _CATEGORY_PRIOR_ROWS)
    return LossColumn(name=name, categories=dict(zip(categories.tolist(), means.tolist(), strict=True)))


def _values(columns: Sequence[LossColumn], place: int, prediction: Numbers, features: Mapping[str, Column]) -> Numbers:
    """Return the column at a place as the tree sees it; the first is the prediction."""
    values = columns[place].read(features[columns[place].name]) if place else prediction
    # The tree learned its thresholds in single precision; so it must be asked.
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float32).astype(np.float64)


def _best_count(values: Numbers, loss: Numbers) -> int:
    n = len(loss)
    fold = np.arange(n) * FOLDS // n
    losses = np.zeros(len(LEAVES))
    for held_out in range(FOLDS):
        out = fold == held_out
        if not out.any() or (~out).sum() < 2 * SMALLEST_LEAF:
            return 1
        for place, count in enumerate(LEAVES):
            if count == 1:
                guess = np.full(out.sum(), loss[~out].mean())
            else:
                guess = _grow(values[~out], loss[~out], count).predict(values[out])
            losses[place] += ((guess - loss[out]) ** 2).sum()
    return LEAVES[int(losses.argmin())]


def _grow(values: Numbers, loss: Numbers, count: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    smallest = max(SMALLEST_LEAF, round(SMALLEST_LEAF_SHARE * len(loss)))
    return DecisionTreeRegressor(max_leaf_nodes=count, min_samples_leaf=smallest, random_state=0).fit(values, loss)
