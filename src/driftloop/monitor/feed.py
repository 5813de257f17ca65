"""What a healthy feed looks like: the part of the baseline that the checks of the inputs compare with.

Rates, how unevenly they come over time, and the range of each column's middle and spread from block to block; no row is
kept. Written with the baseline, read by `checks`; it knows columns and nothing of verdicts.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.monitor.columns import Column, ColumnKind, Numbers
from driftloop.monitor.effective import intraclass_correlation
from driftloop.spec import DataSchema, FeatureType
from driftloop.spec.boundary import Boundary

Blocks: TypeAlias = npt.NDArray[np.int64]

LEVELS = (0.05, 0.5, 0.95)
SD_BETWEEN_LEVELS = 3.29
"""Standard deviations between the outer levels of a normal distribution: so much makes a robust one."""
FRESH_LEVEL = 0.1
"""Quantile of the ages of a date that stands for how fresh the dates are."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""The golden ratio of 64 bits: multiplying by it spreads a key over all of them (Knuth, "Sorting and searching")."""
FEWEST_BLOCK_ROWS = 20
"""Quantiles of fewer rows say nothing about the block."""
SWINGS_SECONDS, SWINGS_BLOCKS = 3 * 86_400, 21
"""A reference of less than three days, or of fewer blocks than three weeks have days, does not show how far the middle
swings."""
FEWEST_BLOCKS = 8
"""With fewer such blocks the whole reference stands for one."""


class Rate(Boundary):
    """How often something happens, as a share of rows, and how unevenly over blocks of time."""

    events: float = 0.0
    """How often it happened."""
    rows: int = 0
    """Among how many rows."""
    correlation: float = 0.0
    """Correlation of rows in the same block of time, 0 to 1."""
    blocks: int = 0
    """Blocks of time from which the correlation was estimated; 0 without times."""

    @property
    def share(self) -> float:
        """Share of rows, 0 to 1."""
        return self.events / self.rows if self.rows else 0.0


class Extent(Boundary):
    """The range over the reference's blocks of a numeric column's middle and spread."""

    middle: tuple[float, float]
    """Smallest and largest median."""
    spread: tuple[float, float]
    """Smallest and largest robust standard deviation."""
    usual_spread: float
    """Robust standard deviation of the whole reference; above 0."""
    slack: float = 0.0
    """How much farther the middle may go: as far again as it went in a reference too short to show its swings."""


class Ages(Boundary):
    """How fresh a date usually is: the logarithm of a low quantile of its age in seconds, over blocks."""

    mean: float
    sd: float
    blocks: int
    rows_per_block: float
    oldest: float
    """The largest such quantile of a block, in seconds."""


class ColumnFeed(Boundary):
    """One input column of a healthy feed."""

    name: str
    missing: Rate
    worst_missing: float = 0.0
    """Largest share of rows without a value in a block of some rows, 0 to 1."""
    new: Rate = Rate()
    """Categorical: rows of the later half with a category that the earlier half did not have."""
    repeats: Rate = Rate()
    """Rows of a block that have its most frequent value, from above: the root of Simpson's index, the share of pairs of
    rows that are equal, which unlike the share itself does not depend on how densely the reference was sampled."""
    extent: Extent | None = None
    """Numeric columns that vary."""
    ages: Ages | None = None
    """Dates."""


class FeedBaseline(Boundary):
    """A healthy feed, as the reference shows it."""

    columns: tuple[ColumnFeed, ...] = ()
    duplicates: Rate = Rate()
    """Rows of a block whose values all occur in another row of the block."""
    rows_per_block: float = 0.0
    """Mean number of rows in a block; all rows without times."""


def build_feed_baseline(
    columns: Mapping[str, Column], schema: DataSchema, times: "pd.Series[Any] | None", blocks: Blocks | None
) -> FeedBaseline:
    """Describe the feed of n rows.

    Args:
        columns: the inputs as `read_features` gives them.
        schema: their types.
        times: event times, n of them, or None where the reference has none.
        blocks: each row's block of time, as long as a live window, shape (n,), later ones larger; None without times:
            rows are then taken to be independent.
    """
    rows = len(next(iter(columns.values())).cells) if columns else 0
    if blocks is None or times is None:
        index, seconds = np.zeros(rows, dtype=np.int64), None
    else:
        index, seconds = np.unique(blocks, return_inverse=True)[1], seconds_of(times)
    dates = dates_of(schema) if seconds is not None else frozenset()
    return FeedBaseline(
        columns=tuple(
            _describe(f.name, columns[f.name], index, dated=f.name in dates, brief=_is_brief(seconds, index))
            for f in schema.features
        ),
        duplicates=_duplicates(repeated_rows(columns, dates, seconds, index), index),
        rows_per_block=rows / max(int(index.max(initial=0)) + 1, 1),
    )


def dates_of(schema: DataSchema) -> frozenset[str]:
    """Return the names of the columns that are read as ages."""
    return frozenset(feature.name for feature in schema.features if feature.type is FeatureType.DATE)


def seconds_of(times: "pd.Series[Any]") -> Numbers:
    """Return seconds since the Unix epoch, NaN where there is no time, shape (n,)."""
    aware = isinstance(times.dtype, pd.DatetimeTZDtype)
    stamps = (times if aware else pd.to_datetime(times, utc=True, cache=False)).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.view(np.int64) / 1e6)


def _is_brief(seconds: Numbers | None, index: Blocks) -> bool:
    if seconds is None or np.isnan(seconds).all():
        return False
    return bool(np.nanmax(seconds) - np.nanmin(seconds) < SWINGS_SECONDS or index.max() + 1 < SWINGS_BLOCKS)


def _describe(name: str, column: Column, index: Blocks, *, dated: bool, brief: bool) -> ColumnFeed:
    present = column.present
    values, places = column.known, index[present]
    codes = pd.factorize(values)[0]
    numeric = column.kind is ColumnKind.NUMERIC and len(values) > 0
    return ColumnFeed(
        name=name,
        missing=_rate((~present).astype(np.float64), index),
        worst_missing=_worst(~present, index),
        new=_new(codes, places) if column.kind is ColumnKind.CATEGORICAL else Rate(),
        repeats=_repeats(codes, places),
        extent=_extent(values, places, brief=brief) if numeric else None,
        ages=_ages(values, places) if numeric and dated else None,
    )


def _rate(happened: Numbers, index: Blocks) -> Rate:
    blocks = len(np.unique(index))
    return Rate(
        events=float(happened.sum()),
        rows=len(happened),
        correlation=intraclass_correlation(happened, index),
        blocks=blocks if blocks > 1 else 0,
    )


def _worst(happened: npt.NDArray[np.bool_], index: Blocks) -> float:
    rows = np.bincount(index, minlength=1)
    enough = rows >= FEWEST_BLOCK_ROWS
    return float((np.bincount(index, happened, minlength=len(rows))[enough] / rows[enough]).max(initial=0))


def _rate_of_shares(shares: Numbers, rows: int) -> Rate:
    """Return the rate whose share varies from block to block as `shares` does."""
    if len(shares) == 0:
        return Rate()
    mean = float(shares.mean())
    possible = mean * (1 - mean)
    variance = float(shares.var(ddof=1)) if len(shares) > 1 and possible > 0 else 0.0
    return Rate(
        events=mean * rows,
        rows=rows,
        correlation=min(variance / possible, 1.0) if possible > 0 else 0.0,
        blocks=len(shares) if len(shares) > 1 else 0,
    )


def _new(codes: Blocks, index: Blocks) -> Rate:
    """Ask what the check would have seen of the later half of the reference, had the earlier half been all of it.

    Without times every other row stands for the later half.
    """
    later = index > np.median(index) if len(codes) and index.max() > index.min() else np.arange(len(codes)) % 2 == 1
    return _rate((~np.isin(codes[later], codes[~later])).astype(np.float64), index[later])


def _repeats(codes: Blocks, index: Blocks) -> Rate:
    if len(codes) == 0 or index.max() == 0:  # one block of all rows does not tell what comes within an hour
        return Rate()
    rows = np.bincount(index, minlength=1).astype(np.float64)
    cells, counts = np.unique(index * (codes.max(initial=0) + 1) + codes, return_counts=True)
    equal = np.bincount(cells // (codes.max(initial=0) + 1), counts * (counts - 1.0), minlength=len(rows))
    told = rows > 1
    return _rate_of_shares(np.sqrt(equal[told] / (rows[told] * (rows[told] - 1))), len(codes))


def _duplicates(repeated: Numbers, index: Blocks) -> Rate:
    rows = np.bincount(index, minlength=1)
    told = rows > 1
    return _rate_of_shares(np.bincount(index, repeated, minlength=len(rows))[told] / rows[told], len(index))


def repeated_rows(
    columns: Mapping[str, Column], dates: frozenset[str], seconds: Numbers | None, index: Blocks | None = None
) -> Numbers:
    """Return 1 for rows whose values all occur in another row (of the same block), else 0; shape (n,).

    Rows without any value are no duplicates of each other. The age of a date is turned back into the date, because a
    row that is sent again is older.
    """
    if not columns:
        return np.zeros(0)
    rows = len(next(iter(columns.values())).cells)
    key = np.zeros(rows, dtype=np.uint64) if index is None else index.astype(np.uint64)
    some = np.zeros(rows, dtype=bool)
    for name, column in columns.items():
        some |= column.present
        if column.kind is ColumnKind.CATEGORICAL:
            bits = column.codes[0].astype(np.uint64)
        else:
            numbers = np.asarray(column.cells, dtype=np.float64)
            if name in dates and seconds is not None:
                numbers = np.round(seconds - numbers, 3)
            numbers = numbers + 0.0  # one zero
            if not column.present.all():
                numbers[np.isnan(numbers)] = np.nan  # one NaN
            bits = numbers.view(np.uint64)
        key ^= bits
        key *= _MIX  # wraps around
        key ^= key >> np.uint64(29)
    ordered = np.sort(key)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.where(some & np.isin(key, repeated), 1.0, 0.0)


def levels_of(ordered: Numbers) -> tuple[float, float]:
    """Return median and robust standard deviation of a sorted sample; 0 where nine tenths of it are one value."""
    low, middle, high = (float(ordered[round(level * (len(ordered) - 1))]) for level in LEVELS)
    return middle, (high - low) / SD_BETWEEN_LEVELS


def _parts(values: Numbers, index: Blocks) -> list[Numbers]:
    """Return the sorted values of each block that has enough of them; none where too few blocks have."""
    ordered = values[np.lexsort((values, index))]
    parts = np.split(ordered, np.cumsum(np.bincount(index))[:-1])
    enough = [part for part in parts if len(part) >= FEWEST_BLOCK_ROWS]
    return enough if len(enough) >= FEWEST_BLOCKS else []


def _extent(values: Numbers, index: Blocks, *, brief: bool) -> Extent | None:
    ordered = np.sort(values)
    _, usual = levels_of(ordered)
    if usual <= 0:
        return None
    levels = np.array([levels_of(part) for part in _parts(values, index)])
    if len(levels) == 0:  # what blocks would look like is unknown: anywhere in the usual range, and narrower than it
        low, high = np.quantile(ordered, [0.1, 0.9])
        return Extent(middle=(float(low), float(high)), spread=(usual / 5, usual), usual_spread=usual)
    return Extent(
        middle=(float(levels[:, 0].min()), float(levels[:, 0].max())),
        spread=(float(levels[:, 1].min()), float(levels[:, 1].max())),
        usual_spread=usual,
        slack=float(np.ptp(levels[:, 0])) if brief else 0.0,
    )


def fresh_age(ordered: Numbers) -> float:
    """Return the low quantile of a sorted sample of ages that says how fresh they are, in seconds, at least 1."""
    return max(float(ordered[int(FRESH_LEVEL * (len(ordered) - 1))]), 1.0)


def _ages(values: Numbers, index: Blocks) -> Ages | None:
    ages = np.array([fresh_age(part) for part in _parts(values, index)])
    if len(ages) == 0:
        return None
    logarithms = np.log(ages)
    return Ages(
        mean=float(logarithms.mean()),
        sd=float(logarithms.std(ddof=1)),
        blocks=len(ages),
        rows_per_block=len(values) / len(ages),
        oldest=float(ages.max()),
    )
