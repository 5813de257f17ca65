"""Faults that explain columns which moved: another unit, or two columns that hold each other's values.

`checks` finds what lies far outside of all that was ever seen. Here are columns that are known to have moved, within
what was seen: a fault that undoes the move to the point explains it better than the world does. It looks at nothing
that did not drift, and so costs no false-alarm budget. Of drifts that halve or double the spread while the mean moves,
about one in 25 is taken for another unit by accident; a mean that moves alone is not.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.checks.names import SWAPPED, UNIT
from driftloop.monitor.checks.units import CONVERSIONS, Conversion
from driftloop.monitor.columns import Column, ColumnKind, Numbers
from driftloop.monitor.drift import numeric_shift
from driftloop.monitor.feed import levels_of
from driftloop.spec import CheckResult, DataSchema, FeatureDrift, FeatureType

_FEWEST_ROWS = 50
_MOST_COLUMNS = 20
"""Columns looked at, those that moved most: pairs of them are many."""
_FITS_CONVERTED, _FITS_SWAPPED = 1.73, 1.95
"""Kolmogorov's distances, times the root of the rows, that chance exceeds once in 200 and once in 1,000: one of
many conversions comes near a drift by accident, two columns hardly ever come near each other both ways."""
_CLEARLY_MOVED = 3.4
"""The same between window and reference as they are; with less, a repair could fit by chance."""
_MULTIPLYING = tuple(conversion for conversion in CONVERSIONS if abs(conversion.factor) != 1)
"""A conversion that only adds can't be told from a mean that moved as far."""
_ROUNDING = 1e-6
_NEAR, _ALIKE = 0.5, 1.5
"""Reference spreads by which a repaired median may be off, and ratio of the spreads: what is worth a closer look."""


def explain(
    moved: Sequence[FeatureDrift],
    columns: Mapping[str, Column],
    references: Mapping[str, ColumnBaseline],
    schema: DataSchema,
) -> list[CheckResult]:
    """Return failed checks that explain columns which moved; none where the world may have moved them.

    Args:
        moved: the features that drifted, largest effect first.
        columns: cells of the window.
        references: their baselines, by name.
        schema: types of the features.
    """
    # Neither ages of dates nor numbers of texts have units, or hold each other's values.
    values = {f.name for f in schema.features if f.type not in (FeatureType.DATE, FeatureType.TEXT)}
    names = [
        drift.feature
        for drift in moved
        if drift.feature in references and drift.feature in values and len(columns[drift.feature].known)
    ][:_MOST_COLUMNS]
    found, explained = [], set[str]()
    for one, other in combinations(names, 2):
        if explained.isdisjoint((one, other)) and _is_swapped(columns, references[one], references[other]):
            explained |= {one, other}
            message = f"{one} holds values as {other} had them, and {other} as {one} had: swapped?"
            found.append(_failed(SWAPPED, one, message))
    for name in names:
        if name not in explained and references[name].kind is ColumnKind.NUMERIC:
            found += _converted(columns[name], references[name])
    return found


def _failed(check: str, feature: str, message: str) -> CheckResult:
    return CheckResult(check=check, feature=feature, passed=False, observed=1.0, limit=0.0, message=message)


def _is_swapped(columns: Mapping[str, Column], one: ColumnBaseline, other: ColumnBaseline) -> bool:
    if one.kind is not other.kind:
        return False
    here, there = columns[one.name], columns[other.name]
    return _fits(here, other, _distance(here, one)) and _fits(there, one, _distance(there, other))


def _fits(column: Column, reference: ColumnBaseline, moved: float) -> bool:
    left = _distance(column, reference)
    return _is_undone(left, moved, len(column.known), reference, _FITS_SWAPPED)


def _is_undone(left: float, moved: float, rows: int, reference: ColumnBaseline, fits: float) -> bool:
    """Whether a repair leaves no more of a move than chance does."""
    if min(rows, reference.present) < _FEWEST_ROWS:
        return False
    noise = (1 / rows + 1 / reference.present) ** 0.5
    return bool(moved > _CLEARLY_MOVED * noise and left <= fits * noise)


def _distance(column: Column, reference: ColumnBaseline) -> float:
    """Return the share of traffic that differs: Kolmogorov-Smirnov, or total variation distance."""
    if reference.kind is ColumnKind.NUMERIC:
        return numeric_shift(np.array(reference.quantiles), column.ordered)[0]
    names, counts = np.unique(column.known.astype(str), return_counts=True)
    now = dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))
    before = {name: count / reference.present for name, count in reference.counts.items()}
    return float(sum(abs(now.get(name, 0.0) - before.get(name, 0.0)) for name in now.keys() | before.keys())) / 2


def _converted(column: Column, reference: ColumnBaseline) -> list[CheckResult]:
    """Return the change of unit that fits best, if one does."""
    ordered, quantiles = column.ordered, np.array(reference.quantiles)
    moved, levels = numeric_shift(quantiles, ordered)[0], levels_of(quantiles)
    if levels[1] <= 0 or levels_of(ordered)[1] <= 0:
        return []
    left = {
        conversion: numeric_shift(quantiles, _snapped(_undone(ordered, conversion), quantiles))[0]
        for conversion in _MULTIPLYING
        if _is_near(levels_of(_undone(ordered, conversion)), levels)
    }
    if not left:
        return []
    best = min(left, key=lambda conversion: left[conversion])
    if not _is_undone(left[best], moved, len(ordered), reference, _FITS_CONVERTED):
        return []
    end = "" if best.done.endswith("?") else "."
    medians = f"Its median is {np.median(ordered):.4g}, it was {levels[0]:.4g}."
    return [_failed(UNIT, reference.name, f"{reference.name} looks {best.done}{end} {medians}")]


def _undone(ordered: Numbers, conversion: Conversion) -> Numbers:
    values = (ordered - conversion.offset) / conversion.factor
    return values if conversion.factor > 0 else values[::-1]


def _snapped(values: Numbers, quantiles: Numbers) -> Numbers:
    """Return values with those that differ from a known one by rounding put back on it; sorted both."""
    above = np.clip(np.searchsorted(quantiles, values), 0, len(quantiles) - 1)
    for places in (above, np.maximum(above - 1, 0)):
        values = np.where(np.isclose(values, quantiles[places], rtol=_ROUNDING, atol=0), quantiles[places], values)
    return values


def _is_near(found: tuple[float, float], usual: tuple[float, float]) -> bool:
    return abs(found[0] - usual[0]) <= _NEAR * usual[1] and 1 / _ALIKE <= found[1] / usual[1] <= _ALIKE
