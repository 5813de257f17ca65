"""The segment: the part of the traffic where a change is worst, among categories and quarters of the numbers.

The baseline keeps, for each part, where each column usually lies in it and how large the model's errors are: means, no
rows. A part is named only where it is worse than the rest by more than looking at so many parts explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers
from driftloop.monitor.columns import Column, ColumnKind, Numbers
from driftloop.spec import FeatureDrift, Segment
from driftloop.spec.boundary import Boundary

if TYPE_CHECKING:  # the baseline holds what this module defines
    from driftloop.monitor.baseline import ColumnBaseline

MOST_COLUMNS = 40
"""Columns that split the traffic, and columns followed in each part; the schema's first. More make a baseline large."""
_MOST_CATEGORIES = 8
_PARTS = 4
_FEWEST_ROWS = 20
_SIGNIFICANCE = 0.05
"""Chance of naming a part where none is worse, whatever the number of parts."""
_MOST_MOVED = 3


class Part(Boundary):
    """A part of the traffic, and what is usual in it."""

    feature: str
    """Column that splits."""
    category: str | None = None
    """Its rows have this category, ..."""
    low: float | None = None
    high: float | None = None
    """... or a number with `low < x <= high`; None: without end."""
    rows: int = 0
    places: tuple[float, ...] = ()
    """Mean place of each column's values in its own distribution, 0 to 1; in the order of `SegmentBaseline.columns`."""
    error_rows: int = 0
    error: float = 0.0
    """Mean error of the model's answers on test rows."""

    @property
    def clause(self) -> str:
        """The part in plain words."""
        if self.category is not None:
            return f"{self.feature} is {self.category}"
        if self.low is None:
            return f"{self.feature} is {self.high:.4g} or below"
        return f"{self.feature} is above {self.low:.4g}" + ("" if self.high is None else f", up to {self.high:.4g}")


class SegmentBaseline(Boundary):
    """What is usual in every part of the traffic."""

    columns: tuple[str, ...] = ()
    """Columns whose places the parts hold."""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class _Worst:
    """The part that is worse than the rest."""

    part: Part
    rows: int
    share: float
    here: float
    elsewhere: float
    effect: float
    """What is worse there, drawn towards the whole for small parts."""


def build_segment_baseline(
    columns: Mapping[str, Column],
    references: Sequence["ColumnBaseline"],
    test_columns: Mapping[str, Column],
    errors: Numbers | None,
) -> SegmentBaseline:
    """Describe the parts of a run's rows.

    Args:
        columns: features of all rows of the run.
        references: their baselines.
        test_columns: features of the n test rows.
        errors: of the model's answers on them, shape (n,), NaN where unknown; None without labels.
    """
    references = [reference for reference in references if reference.kind is not ColumnKind.PRESENCE][:MOST_COLUMNS]
    parts = [part for reference in references for part in _parts(reference)]
    names = tuple(reference.name for reference in references)
    if not parts:
        return SegmentBaseline()
    places = np.column_stack([_places(columns[reference.name], reference) for reference in references])
    rows, means = _means(_members(parts, columns), places)
    error_rows, error_means = np.zeros(len(parts)), np.zeros(len(parts))
    if errors is not None:
        counts, found = _means(_members(parts, test_columns), errors[:, np.newaxis])
        error_rows, error_means = counts[:, 0], found[:, 0]
    return SegmentBaseline(
        columns=names,
        parts=tuple(
            part.model_copy(
                update={
                    "rows": int(rows[index].max(initial=0)),
                    "places": tuple(round(float(mean), 4) for mean in means[index]),
                    "error_rows": int(error_rows[index]),
                    "error": float(error_means[index]),
                }
            )
            for index, part in enumerate(parts)
        ),
    )


def row_errors(truth: Numbers, answers: Answers) -> Numbers:
    """Return how wrong each answer is, shape (n,): the probability not given to the truth, or the absolute error."""
    if answers.probabilities is None:
        return np.abs(truth - answers.predictions)
    errors = np.full(len(truth), np.nan)
    known = np.flatnonzero(~np.isnan(truth))
    errors[known] = 1 - answers.probabilities[known, truth[known].astype(np.int64)]
    return errors


def worst_of_inputs(
    reference: SegmentBaseline,
    columns: Mapping[str, Column],
    references: Sequence["ColumnBaseline"],
    moved: Sequence[FeatureDrift],
) -> Segment | None:
    """Return the part in which one of the columns that moved most moved further than elsewhere; None without one."""
    known = {found.name: found for found in references}
    followed = [drift.feature for drift in moved if drift.feature in reference.columns][:_MOST_MOVED]
    found = []
    for name in followed:
        index = reference.columns.index(name)
        usable = [part for part in reference.parts if part.feature != name and part.rows >= _FEWEST_ROWS]
        usual = np.array([part.places[index] for part in usable])
        rows = np.array([part.rows for part in usable])
        worst = _worst(usable, columns, _places(columns[name], known[name]), usual, rows, len(followed))
        if worst is not None:
            found.append((worst, name))
    if not found:
        return None
    worst, name = max(found, key=lambda pair: pair[0].effect)
    there = f"at least {worst.here:.0%} of the traffic moved in {name} there, {worst.elsewhere:.0%} elsewhere"
    return _segment(worst, there)


def worst_of_missing(
    reference: SegmentBaseline, columns: Mapping[str, Column], baseline: "ColumnBaseline"
) -> Segment | None:
    """Return the part in which a column lacks more values than elsewhere; None without one."""
    missing = (~columns[baseline.name].present).astype(np.float64)
    usable = [part for part in reference.parts if part.feature != baseline.name and part.rows >= _FEWEST_ROWS]
    usual = np.full(len(usable), baseline.missing_rate)
    worst = _worst(usable, columns, missing, usual, np.array([part.rows for part in usable]), 1)
    if worst is None:
        return None
    here, elsewhere = worst.here + baseline.missing_rate, worst.elsewhere + baseline.missing_rate
    return _segment(worst, f"{here:.0%} of the rows there have no value of {baseline.name}, {elsewhere:.0%} elsewhere")


def worst_of_errors(reference: SegmentBaseline, columns: Mapping[str, Column], errors: Numbers) -> Segment | None:
    """Return the part in which answers got worse by more than elsewhere; None without one.

    `errors` are those of the window's rows as `row_errors` returns them, NaN where unknown.
    """
    usable = [part for part in reference.parts if part.error_rows >= _FEWEST_ROWS]
    usual, rows = np.array([part.error for part in usable]), np.array([part.error_rows for part in usable])
    worst = _worst(usable, columns, errors, usual, rows, 1)
    if worst is None or worst.here <= 0:
        return None
    return _segment(worst, f"the mean error rose by {worst.here:.3g} there, by {worst.elsewhere:.3g} elsewhere")


def _segment(worst: _Worst, there: str) -> Segment:
    part = worst.part
    return Segment(
        feature=part.feature,
        values=part.clause,
        rows=worst.rows,
        share=worst.share,
        effect=worst.effect,
        message=f"It is worst where {part.clause} ({worst.share:.0%} of the rows): {there}.",
    )


def _worst(
    parts: Sequence[Part],
    columns: Mapping[str, Column],
    values: Numbers,
    usual: Numbers,
    usual_rows: npt.NDArray[Any],
    looks: int,
) -> _Worst | None:
    """Return the part whose mean value rose most beyond the rest's, or, where the whole fell, fell most.

    Differences from the rest are drawn towards none by how sure they are (empirical Bayes with the method of moments:
    Efron and Morris, "Data analysis using Stein's estimator", 1975), and must pass a one-sided test at 5 % divided by
    all the parts looked at.
    """
    if not parts or not len(values):
        return None
    from scipy.stats import norm

    members = _members(parts, columns) & ~np.isnan(values)[:, np.newaxis]
    filled = np.nan_to_num(values)
    rows = members.sum(axis=0).astype(np.float64)
    known = ~np.isnan(values)
    others = known.sum() - rows
    enough = (rows >= _FEWEST_ROWS) & (others >= _FEWEST_ROWS) & (usual_rows >= _FEWEST_ROWS)
    if not enough.any():
        return None
    sums, squares = filled @ members, filled**2 @ members
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, rest = sums / rows, (filled.sum() - sums) / others
        spread = np.maximum(squares / rows - mean**2, 0.0)
        rest_spread = np.maximum(((filled**2).sum() - squares) / others - rest**2, 0.0)
    change = mean - usual
    # The usual mean of the rest: of the other parts of the same column, weighted by their rows in the window.
    rest_usual = _rest_usual(parts, usual, rows)
    rest_change = rest - rest_usual
    sign = 1.0 if (rows * np.nan_to_num(change)).sum() >= 0 else -1.0
    excess = sign * (change - rest_change)
    pooled = filled[known].var()
    error = np.sqrt(spread / rows + rest_spread / np.maximum(others, 1) + pooled / np.maximum(usual_rows, 1))
    enough &= np.isfinite(excess) & (error > 0)
    if not enough.any():
        return None
    between = max(float((excess[enough] ** 2 - error[enough] ** 2).mean()), 0.0)
    shrunk = np.where(enough, excess * between / np.where(enough, between + error**2, 1.0), -np.inf)
    limit = norm.isf(_SIGNIFICANCE / (int(enough.sum()) * looks))
    shrunk[~(enough & (excess > limit * np.where(enough, error, 1.0)))] = -np.inf
    best = int(np.argmax(shrunk))
    if not np.isfinite(shrunk[best]):
        return None
    here, elsewhere = sign * float(change[best]), sign * float(rest_change[best])
    effect = elsewhere + float(shrunk[best])
    return _Worst(parts[best], int(rows[best]), float(rows[best] / known.sum()), here, elsewhere, effect)


def _rest_usual(parts: Sequence[Part], usual: Numbers, rows: Numbers) -> Numbers:
    names = pd.factorize(np.array([part.feature for part in parts], dtype=object))[0]
    weighted, weights = np.bincount(names, usual * rows), np.bincount(names, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weighted[names] - usual * rows) / (weights[names] - rows))


def _parts(reference: "ColumnBaseline") -> list[Part]:
    if reference.kind is ColumnKind.CATEGORICAL:
        common = list(reference.counts)[:_MOST_CATEGORIES]
        return [Part(feature=reference.name, category=name) for name in common] if len(common) > 1 else []
    if not reference.quantiles:
        return []
    edges = np.quantile(reference.quantiles, np.arange(1, _PARTS) / _PARTS, method="inverted_cdf")
    inner = [float(edge) for edge in np.unique(edges) if edge < reference.quantiles[-1]]
    if not inner:
        return []
    return [
        Part(feature=reference.name, low=low, high=high)
        for low, high in zip([None, *inner], [*inner, None], strict=True)
    ]


def _members(parts: Sequence[Part], columns: Mapping[str, Column]) -> npt.NDArray[np.bool_]:
    """Return which rows are in which part, shape (n, number of parts)."""
    found = []
    for part in parts:
        cells = columns[part.feature].cells
        if part.category is not None:
            found.append(cells == part.category)
        else:
            with np.errstate(invalid="ignore"):
                above = ~np.isnan(cells) if part.low is None else cells > part.low
                found.append(above if part.high is None else above & (cells <= part.high))
    return np.column_stack(found).astype(np.bool_)


def _means(members: npt.NDArray[np.bool_], values: Numbers) -> tuple[Numbers, Numbers]:
    """Return rows with a value and their mean, both of shape (number of parts, number of columns)."""
    present = ~np.isnan(values)
    weights = members.T.astype(np.float64)
    rows = weights @ present
    return rows, (weights @ np.nan_to_num(values)) / np.maximum(rows, 1)


def _places(column: Column, reference: "ColumnBaseline") -> Numbers:
    """Return where each value lies in the reference's distribution, 0 to 1, shape (n,); NaN where missing.

    The mean of two such places differs by no more than the share of traffic that moved. Categories lie in order of
    their frequency, new ones at the end.
    """
    if reference.kind is ColumnKind.NUMERIC:
        quantiles = np.array(reference.quantiles)
        sides = [np.searchsorted(quantiles, column.cells, side=side) for side in ("left", "right")]
        places = (sides[0] + sides[1]) / 2 / max(len(quantiles), 1)
        return np.where(np.isnan(column.cells), np.nan, places)
    shares = np.array(list(reference.counts.values()), dtype=np.float64) / max(reference.present, 1)
    middles = np.cumsum(shares) - shares / 2
    places_of: dict[Any, float] = dict(zip(reference.counts, middles.tolist(), strict=True))
    return np.array([np.nan if name is None else places_of.get(name, 1.0) for name in column.cells], dtype=np.float64)
