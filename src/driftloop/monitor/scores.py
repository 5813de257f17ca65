"""Score streams: every watched column as a few bounded scores whose means stand still while the column does.

Numbers score by shifted Legendre polynomials of their mid-rank in the reference, as in Neyman's smooth test ("'Smooth
test' for goodness of fit", 1937): location, spread and skewness; and by their value in robust standard deviations,
which goes on rising where ranks have reached the end of what the reference knows. Categories score by one indicator
each, the rare ones together. Two related columns score by the product of their locations, which sees a broken relation.
The scores are fixed by the reference, so a window is summed up by counts and totals: they merge, and no row is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.monitor.columns import Column, Numbers

LOCATION, SPREAD, SKEWNESS, VALUE = "location", "spread", "skewness", "value"
SHAPES = (LOCATION, SPREAD, SKEWNESS, VALUE)
RARE = "(rare or new)"
RELATION = "relation"
MAXIMUM_CATEGORIES = 12
"""Indicators of one column beside the pooled rest; more only make every one of them weaker."""

FARTHEST = 6.0
"""Robust standard deviations from the median at which values are clipped: no single one decides."""
_QUARTILES_SD = 1.349
"""Standard deviations between the quartiles of a normal distribution."""

Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sums:
    """What a stretch of event time adds up to over k score streams of one model version."""

    start: datetime
    end: datetime
    rows: int
    counts: Numbers
    """Rows that have a score, shape (k,); those with a missing value have none."""
    totals: Numbers
    """Sum of their scores, shape (k,)."""

    def __add__(self, other: "Sums") -> "Sums":
        """Return what both add up to, in any order; both are of the same streams."""
        return Sums(
            min(self.start, other.start),
            max(self.end, other.end),
            self.rows + other.rows,
            self.counts + other.counts,
            self.totals + other.totals,
        )


class ColumnScores(Protocol):
    """How the cells of one column score."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its streams."""

    def codes(self, column: Column) -> Indices:
        """Return the kind of value, counted from 0, of each that is there, in the order of the rows."""

    def first(self, column: Column) -> Numbers:
        """Return the first stream's scores of the values that are there, in the order of the rows."""

    def rows(self, column: Column) -> Numbers:
        """Return the scores of the values that are there, in the order of the rows, shape (values, streams)."""

    def totals(self, column: Column) -> tuple[int, Numbers]:
        """Return how many values are there, and the sum of their scores, shape (streams,)."""


@dataclass(frozen=True)
class RankScores:
    """Scores of numbers: Legendre polynomials of the mid-rank, each of mean 0 and variance 1 over the reference.

    The last is the clipped distance from the median in robust standard deviations. Between two knots of the sketch, and
    on each of them, the mid-rank is the same: a table is enough for it.
    """

    quantiles: Numbers
    """Evenly spaced quantiles of the reference, sorted, with repetitions."""
    names: tuple[str, ...] = SHAPES

    @cached_property
    def _knots(self) -> tuple[Numbers, Indices]:
        return np.unique(self.quantiles, return_counts=True)

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """Median and robust standard deviation; of a column that hardly ever changes, its size."""
        if not len(self.quantiles):
            return 0.0, 1.0
        low, median, high = np.quantile(self.quantiles, (0.25, 0.5, 0.75))
        with np.errstate(over="ignore"):
            deviation = (high - low) / _QUARTILES_SD or self.quantiles.std() or abs(median) or 1.0
        return float(median), float(deviation) if np.isfinite(deviation) else 1.0

    def _values(self, values: Numbers) -> Numbers:
        median, deviation = self._scale
        with np.errstate(over="ignore"):
            return np.asarray(np.clip((values - median) / deviation, -FARTHEST, FARTHEST))

    @cached_property
    def table(self) -> Numbers:
        """Scores by code: 2 i for values below knot i and above the one before, 2 i + 1 for those equal to it."""
        _, repeated = self._knots
        below = np.concatenate([[0], np.cumsum(repeated)]) / max(len(self.quantiles), 1)
        ranks = np.empty(2 * len(repeated) + 1)
        ranks[0::2] = below
        ranks[1::2] = (below[:-1] + below[1:]) / 2
        x = 2 * ranks - 1
        legendre = (x, (3 * x**2 - 1) / 2, (5 * x**3 - 3 * x) / 2)
        return np.stack([np.sqrt(2 * degree + 1) * p for degree, p in enumerate(legendre, 1)], axis=1)

    @cached_property
    def agreement(self) -> float:
        """Correlation of location and value over the reference; 0 of a constant."""
        knots, repeated = self._knots
        if len(knots) < 2:  # noqa: PLR2004 - a constant agrees with everything
            return 0.0
        (location, _), (both, value) = np.cov(self.table[1::2, 0], self._values(knots), fweights=repeated)
        return float(both / np.sqrt(location * value)) if value > 0 else 0.0

    def codes(self, column: Column) -> Indices:
        """Return the row in the table of each value that is there, in the order of the rows."""
        knots, _ = self._knots
        known = column.known
        if not len(knots):
            return np.zeros(len(known), dtype=np.int64)
        places = np.searchsorted(knots, known)
        return np.asarray(2 * places + (knots[np.minimum(places, len(knots) - 1)] == known))

    def first(self, column: Column) -> Numbers:
        """Return the locations of the values that are there, in the order of the rows."""
        return np.asarray(self.table[self.codes(column), 0])

    def rows(self, column: Column) -> Numbers:
        """Return the scores of the values that are there, in the order of the rows, shape (values, streams)."""
        return np.column_stack([self.table[self.codes(column)], self._values(column.known)])

    def totals(self, column: Column) -> tuple[int, Numbers]:
        """Return how many values are there, and the sum of their scores, shape (streams,)."""
        knots, _ = self._knots
        # The few knots are found faster among the sorted values than the many values among the knots.
        values = column.ordered
        upto, below = (np.searchsorted(values, knots, side=side) for side in ("right", "left"))
        counts = np.empty(2 * len(knots) + 1)
        counts[1::2] = upto - below
        counts[0::2] = np.append(below, len(values)) - np.append(0, upto)
        return len(values), np.append(counts @ self.table, self._values(values).sum())


@dataclass(frozen=True)
class ShareScores:
    """Scores of categories: an indicator of each common one, and one of all the others."""

    names: tuple[str, ...]
    """The common categories; the last is `RARE`, unless a single indicator says everything."""
    common: tuple[str, ...]
    """The categories that have a name of their own."""

    @cached_property
    def _index(self) -> "pd.Index[Any]":
        return pd.Index(self.common, dtype=object)

    def codes(self, column: Column) -> Indices:
        """Return the row in the table of each value that is there, in the order of the rows."""
        codes, values = column.codes
        places = self._index.get_indexer(pd.Index(values, dtype=object))
        of_value = np.where(places < 0, len(self.common), places).astype(np.int64)
        return np.asarray(of_value[codes[codes >= 0]])

    def first(self, column: Column) -> Numbers:
        """Return which values that are there are of the most frequent category, in the order of the rows."""
        return np.asarray(self.codes(column) == 0, dtype=np.float64)

    def rows(self, column: Column) -> Numbers:
        """Return the scores of the values that are there, in the order of the rows, shape (values, streams)."""
        return np.asarray(np.eye(len(self.names))[self.codes(column)])

    def totals(self, column: Column) -> tuple[int, Numbers]:
        """Return how many values are there, and the sum of their scores, shape (streams,)."""
        codes = self.codes(column)
        return len(codes), np.bincount(codes, minlength=len(self.names)).astype(np.float64)


def share_scores(counts: Mapping[str, int], rows_per_window: float) -> ShareScores:
    """Return the scores of a categorical column: categories that a window can expect five times stand alone.

    Args:
        counts: rows of the reference per category, the most frequent first.
        rows_per_window: usual number of rows with a value in a window.
    """
    rows = max(sum(counts.values()), 1)
    common = tuple(
        category
        for category, count in counts.items()
        if count / rows * rows_per_window >= 5  # noqa: PLR2004
    )[:MAXIMUM_CATEGORIES]
    return ShareScores((*common, RARE), common)


@dataclass(frozen=True)
class Scorer:
    """Turns columns into the sums of all score streams: the columns' in their order, then the pairs'."""

    columns: Mapping[str, ColumnScores]
    pairs: tuple[tuple[str, str], ...] = ()

    @cached_property
    def streams(self) -> list[tuple[str, str]]:
        """Return column (or `a ~ b`) and name of every stream."""
        own = [(column, name) for column, scores in self.columns.items() for name in scores.names]
        return own + [(pair_name(pair), RELATION) for pair in self.pairs]

    def sums(self, columns: Mapping[str, Column], start: datetime, end: datetime) -> Sums:
        """Sum up a window; a column that is absent or all missing counts no row, and disturbs no other."""
        counts, totals = np.zeros(len(self.streams)), np.zeros(len(self.streams))
        locations: dict[str, Numbers] = {}
        paired = {name for pair in self.pairs for name in pair}
        place = rows = 0
        for name, scores in self.columns.items():
            column = columns.get(name)
            width = len(scores.names)
            if column is not None:
                rows = max(rows, len(column.cells))
                counts[place : place + width], totals[place : place + width] = scores.totals(column)
                if name in paired:
                    locations[name] = _spread_out(scores.first(column), column.present)
            place += width
        for offset, (first, second) in enumerate(self.pairs, place):
            if first in locations and second in locations:
                product = locations[first] * locations[second]
                counts[offset] = int((~np.isnan(product)).sum())
                totals[offset] = np.nansum(product)
        return Sums(start, end, rows, counts, totals)

    def rows(self, columns: Mapping[str, Column]) -> Numbers:
        """Return every row's scores, shape (n, k), NaN where a value is missing."""
        parts = {
            name: _spread_out(scores.rows(columns[name]), columns[name].present)
            for name, scores in self.columns.items()
        }
        products = [(parts[a][:, 0] * parts[b][:, 0])[:, np.newaxis] for a, b in self.pairs]
        rows = max((len(column.cells) for column in columns.values()), default=0)
        return np.concatenate([np.empty((rows, 0)), *parts.values(), *products], axis=1)


def pair_name(pair: tuple[str, str]) -> str:
    """Return what a pair of columns is called."""
    return f"{pair[0]} ~ {pair[1]}"


def _spread_out(scores: Numbers, present: npt.NDArray[np.bool_]) -> Numbers:
    spread = np.full((len(present), *scores.shape[1:]), np.nan)
    spread[present] = scores
    return spread
