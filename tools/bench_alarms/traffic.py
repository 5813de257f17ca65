"""Made-up traffic with fixed seeds: a time-ordered reference and 25 days of hourly windows that go on from it.

Every feature has standard deviation 1 around its mean (heavy-tailed ones: a middle half as wide as a normal's), so a
shift is stated in that unit whatever the traffic.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.monitor.columns import Column, ColumnKind

REFERENCE_ROWS = 10_000
TRUE_SHARE, MISSING_SHARE, MISSING_CATEGORY_SHARE = 0.2, 0.03, 0.02
"""Mixed types: shares of rows."""
HOURS = 600
"""Hourly windows of live traffic: 25 days."""
HOUR_SECONDS = 3600.0
BURN_IN = 500
"""Rows after which an autoregressive feature has forgotten where it began."""

Numbers = npt.NDArray[np.float64]


class Kind(StrEnum):
    """What the traffic is like; the value stands in the tables."""

    IID = "i.i.d. normal"
    AR5 = "AR(1) .5"
    AR9 = "AR(1) .9"
    SEASON = "daily season"
    HEAVY = "heavy-tailed"
    MIXED = "mixed types"


class Move(StrEnum):
    """How the traffic changes."""

    MEAN = "mean"
    SPREAD = "spread"
    MIX = "mix"


@dataclass(frozen=True)
class Shift:
    """A change of some features from one window on."""

    move: Move
    size: float
    """Mean: standard deviations. Spread: factor. Mix: share of rows that take the rarest category instead."""
    features: int = 1
    """How many of the features change."""

    def __str__(self) -> str:
        what = {Move.MEAN: f"{self.size:g} sd", Move.SPREAD: f"sd x {self.size:g}", Move.MIX: f"mix {self.size:.0%}"}
        return f"{what[self.move]} in {self.features}"


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    kind: Kind
    features: int
    rows: int
    """Rows of an hourly window; of the largest one where they swing."""
    shift: Shift
    smallest_rows: int | None = None
    """Rows of the window at midnight where the number swings through the day."""

    @property
    def traffic(self) -> str:
        """Kind, features and rows, as the table says them."""
        rows = f"{self.rows:,}" if self.smallest_rows is None else f"{self.smallest_rows:,}-{self.rows:,}"
        return f"{self.kind}, {self.features} features, {rows} rows"

    def rows_at(self, hour: int) -> int:
        """Return the rows of the window that begins at this hour since the live traffic's start, a midnight."""
        if self.smallest_rows is None:
            return self.rows
        daytime = (1 - np.cos(2 * np.pi * (hour % 24 + 0.5) / 24)) / 2
        return round(self.smallest_rows + (self.rows - self.smallest_rows) * float(daytime))


@dataclass(frozen=True)
class Stream:
    """The rows of one reference and of the live traffic after it, in order of time."""

    columns: dict[str, npt.NDArray[Any]]
    """Per feature: float64 with NaN, or category names with None."""
    seconds: Numbers
    """Times of the rows, from the live traffic's start; negative in the reference."""
    edges: npt.NDArray[np.int64]
    """First row of each window, and the last one's end, shape (HOURS + 1,); the reference ends where they begin."""
    numeric: tuple[str, ...] = field(init=False)
    """Names of the numeric features."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "numeric", tuple(n for n, cells in self.columns.items() if cells.dtype != object))

    @property
    def reference(self) -> dict[str, npt.NDArray[Any]]:
        """The reference's cells by feature, 10,000 each."""
        return {name: cells[: self.edges[0]] for name, cells in self.columns.items()}

    def window(self, hour: int) -> dict[str, npt.NDArray[Any]]:
        """Return one window's cells by feature."""
        rows = slice(self.edges[hour], self.edges[hour + 1])
        return {name: cells[rows] for name, cells in self.columns.items()}

    def shifted(self, hour: int, shift: Shift, random: np.random.Generator, moved: tuple[str, ...]) -> dict[str, Any]:
        """Return one window's cells after the shift of the features `moved`."""
        return {n: _move(cells, shift, random) if n in moved else cells for n, cells in self.window(hour).items()}

    def movable(self, shift: Shift) -> tuple[str, ...]:
        """Return the features that a shift can move."""
        return (
            self.numeric if shift.move is not Move.MIX else tuple(n for n in self.columns if n.startswith("category"))
        )


def as_columns(cells: dict[str, npt.NDArray[Any]]) -> dict[str, Column]:
    """Return the cells as the monitor reads them."""
    return {
        name: Column(ColumnKind.CATEGORICAL if values.dtype == object else ColumnKind.NUMERIC, values)
        for name, values in cells.items()
    }


def generate(cell: Cell, seed: int) -> Stream:
    """Return one independent reference with its live traffic."""
    random = np.random.default_rng([seed, cell.features, cell.rows, list(Kind).index(cell.kind)])
    before = []
    while sum(before) < REFERENCE_ROWS:
        before.append(cell.rows_at(-len(before) - 1))
    sizes = np.array(before[::-1] + [cell.rows_at(hour) for hour in range(HOURS)])
    hours = np.repeat(np.arange(-len(before), HOURS), sizes)
    seconds = (hours + _sorted_within(sizes, random)) * HOUR_SECONDS
    surplus = sum(before) - REFERENCE_ROWS
    seconds = seconds[surplus:]
    edges = REFERENCE_ROWS + np.concatenate([[0], np.cumsum(sizes[len(before) :])])
    return Stream(dict(_features(cell, seconds, random)), seconds, edges)


def _sorted_within(sizes: npt.NDArray[np.int64], random: np.random.Generator) -> Numbers:
    """Return places within the hour, 0 to 1, in order."""
    return np.concatenate([np.sort(random.random(size)) for size in sizes])


def _features(cell: Cell, seconds: Numbers, random: np.random.Generator) -> Any:
    rows = len(seconds)
    for place in range(cell.features):
        if cell.kind is Kind.MIXED and place % 3 == 1:
            yield f"category_{place}", _categories(rows, place, random)
        elif cell.kind is Kind.MIXED and place % 6 == 2:  # noqa: PLR2004 - every sixth
            yield f"flag_{place}", np.array(["false", "true"], dtype=object)[(random.random(rows) < TRUE_SHARE) * 1]
        else:
            yield f"number_{place}", _numbers(cell.kind, place, seconds, random)


def _numbers(kind: Kind, place: int, seconds: Numbers, random: np.random.Generator) -> Numbers:
    from scipy.signal import lfilter

    rows = len(seconds)
    match kind:
        case Kind.AR5 | Kind.AR9:
            correlation = 0.5 if kind is Kind.AR5 else 0.9
            noise = random.standard_normal(rows + BURN_IN) * np.sqrt(1 - correlation**2)
            return np.ascontiguousarray(lfilter([1.0], [1.0, -correlation], noise)[BURN_IN:])
        case Kind.SEASON:
            phase, amplitude = random.random(), (1.0 if place % 2 == 0 else 0.0)
            season = np.sin(2 * np.pi * (seconds / (24 * HOUR_SECONDS) + phase))
            return random.standard_normal(rows) + amplitude * season
        case Kind.HEAVY if place % 2 == 0:
            return random.standard_t(2, rows) / 1.21  # so that its middle half is as wide as a normal's
        case Kind.HEAVY:
            return np.exp(random.standard_normal(rows)) / 1.08  # likewise
        case Kind.MIXED:
            values = random.standard_normal(rows)
            if place % 3 == 0:
                values[random.random(rows) < MISSING_SHARE] = np.nan
            if place % 5 == 0:
                values = np.round(values)  # a count: ties
            return values
    return random.standard_normal(rows)


def _categories(rows: int, place: int, random: np.random.Generator) -> npt.NDArray[np.object_]:
    count = 3 + place % 10
    shares = 1 / np.arange(1, count + 1)
    names = np.array([*(f"c{number}" for number in range(count)), None], dtype=object)
    codes = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], random.random(rows), side="right")
    if place % 2 == 0:
        codes[random.random(rows) < MISSING_CATEGORY_SHARE] = count
    return names[codes]


def _move(cells: npt.NDArray[Any], shift: Shift, random: np.random.Generator) -> npt.NDArray[Any]:
    match shift.move:
        case Move.MEAN:
            return cells + shift.size
        case Move.SPREAD:
            return cells * shift.size  # every feature's middle is near 0
    rarest = max((name for name in set(cells) if name is not None), key=lambda name: (len(name), name))
    return np.where(random.random(len(cells)) < shift.size, rarest, cells)
