"""The values a column repeats: whole degrees, prices, distances between places. Converted, they are no longer the same.

They tell a change of unit, or a swapped column, that middle and spread can't tell from drift: traffic that moves still
takes its values from the same set.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftloop.monitor.columns import Numbers, distinct

_FEWEST = 8
"""Different values that must be there, in the reference and among those found, to tell anything."""
_REPEATED = 0.5
"""Share of the reference's rows that must have a value that repeats."""
_TOLERANCE = 0.02
"""Of the distance to the next known value: rounding; by chance a value is found with twice this probability."""
_LOST, _FOUND = 0.3, 0.8
"""Of the usual share of rows: at most so many have a known value as they are, at least so many once put right."""


@dataclass(frozen=True)
class KnownValues:
    """Values that repeat in the reference."""

    values: Numbers
    """Sorted, at least eight."""
    share: float
    """Share of the reference's rows that have one of them, 0 to 1."""

    def lost(self, values: Numbers, counts: npt.NDArray[np.int64]) -> bool:
        """Whether a window's rows hardly have any of them; `values` are different ones, sorted, and how often each."""
        return len(values) >= _FEWEST and self._found(values, counts)[0] <= _LOST * self.share

    def found(self, values: Numbers, counts: npt.NDArray[np.int64]) -> float | None:
        """Return the share of a window's rows that have one of them; None where they are fewer than usual."""
        share, different = self._found(values, counts)
        enough = share >= _FOUND * self.share and different >= max(_FEWEST, len(values) / 2)
        return share if enough else None

    def _found(self, values: Numbers, counts: npt.NDArray[np.int64]) -> tuple[float, int]:
        """Return the share of rows that have a known value, and how many different ones these are."""
        known = self.values
        after = np.clip(np.searchsorted(known, values), 1, len(known) - 1)
        nearest = np.where(values - known[after - 1] < known[after] - values, after - 1, after)
        gaps = np.diff(known)
        room = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))[nearest]
        hit = np.abs(values - known[nearest]) <= _TOLERANCE * room
        different = len(np.unique(nearest[hit]))  # values that all end near one known value are not known ones
        return float(counts[hit].sum() / counts.sum()), different


def known_values(quantiles: Numbers) -> KnownValues | None:
    """Return the values that repeat among the quantiles of a reference, sorted; None where too few rows repeat any."""
    values, firsts = distinct(quantiles)
    counts = np.diff(firsts, append=len(quantiles))
    repeated = counts > 1
    share = float(counts[repeated].sum() / max(len(quantiles), 1))
    return KnownValues(values[repeated], share) if repeated.sum() >= _FEWEST and share >= _REPEATED else None
