"""What a check looks at: a column of the window beside its reference, how the window arrived, and what is allowed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.checks.knownvalues import KnownValues, known_values
from driftloop.monitor.columns import Column, ColumnKind, Numbers, distinct
from driftloop.monitor.feed import ColumnFeed, levels_of
from driftloop.spec import Feature, FeatureType


@dataclass(frozen=True)
class Stretch:
    """A closed window of the loop's feed, whatever model answered."""

    start: datetime
    end: datetime
    rows: int
    """Predictions in it."""
    newest: datetime | None = None
    """Event time of the last one; None where it is not known."""


@dataclass(frozen=True)
class Arrival:
    """How the rows of a window came."""

    seconds: Numbers
    """Event times, seconds since the Unix epoch, shape (n,)."""
    start: datetime
    end: datetime
    duration: timedelta
    """Length of a usual window."""
    feed: Sequence[Stretch] = ()
    """The window itself as the last, and those before it; empty where that is not known."""

    @property
    def past(self) -> Sequence[Stretch]:
        """The windows before, in order of time."""
        return self.feed[:-1]

    @property
    def durations(self) -> int:
        """How many usual windows it is long."""
        return max(round((self.end - self.start) / self.duration), 1)


@dataclass(frozen=True)
class Limits:
    """When a violation counts."""

    significance: float
    """Chance of a false alarm of one check in one window."""
    min_effect_size: float
    """Share of traffic that must be affected, 0 to 1."""
    durations: int
    """How many usual windows the window is long."""


@dataclass(frozen=True)
class Subject:
    """One input column of a window beside the reference."""

    feature: Feature
    column: Column
    reference: ColumnBaseline
    feed: ColumnFeed

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.feature.name

    @property
    def numeric(self) -> bool:
        """Whether it is compared as numbers."""
        return self.reference.kind is ColumnKind.NUMERIC and self.column.kind is ColumnKind.NUMERIC

    @property
    def rows(self) -> int:
        """Rows of the window."""
        return len(self.column.cells)

    @cached_property
    def counts(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """The different values, and how many rows have each."""
        if self.column.kind is ColumnKind.CATEGORICAL:
            codes, values = self.column.codes
            return values, np.bincount(codes[codes >= 0], minlength=len(values))
        values, firsts = distinct(self.column.ordered)
        return values, np.diff(firsts, append=len(self.column.ordered))

    @cached_property
    def levels(self) -> tuple[float, float] | None:
        """Median and robust standard deviation of a numeric column; None without values."""
        return levels_of(self.column.ordered) if len(self.column.ordered) else None

    @cached_property
    def known_values(self) -> KnownValues | None:
        """Values that repeat in the reference of a numeric column that is no date."""
        if not self.numeric or self.feature.type is FeatureType.DATE:
            return None
        return known_values(np.array(self.reference.quantiles))

    @cached_property
    def known_categories(self) -> set[str]:
        """Categories of the reference and of the champion before it."""
        return self.reference.counts.keys() | set(self.feature.categories)
