"""A change of unit, and two columns swapped: values that fit badly as they are, and well when put right.

Middle and spread of the window are compared with the range that they had over the reference's blocks. Only a window far
outside of it is looked at, whichever way traffic usually swings, and it must fit inside once put right: chance alone
does neither. Where a column repeats its values, whether they are still the same tells as much. Units of a column that
repeats none and spreads wider than they differ can't be told from drift, and are left to it; so is a window of which
only a part was converted, beyond what `range` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import exp, log

from driftloop.monitor.checks.names import SWAPPED, UNIT
from driftloop.monitor.checks.subject import Subject
from driftloop.monitor.columns import ColumnKind, Numbers
from driftloop.monitor.feed import Extent, levels_of
from driftloop.spec import CheckResult, FeatureType

_FEWEST_VALUES = 20
_FOREIGN, _AT_HOME = 0.5, 0.9
"""Share of a swapped column's categories that it never had, and that the other column knows."""


@dataclass(frozen=True)
class Conversion:
    """`y = factor * x + offset`, done to the values of a column by mistake."""

    factor: float
    offset: float
    done: str
    """What was done to them, as a participle."""


def _conversions() -> tuple[Conversion, ...]:
    factors = [(float(10**power), "", "") for power in range(1, 10)]
    factors += [
        (60.0, ": minutes became seconds?", ": seconds became minutes?"),
        (3600.0, ": hours became seconds?", ": seconds became hours?"),
        (24.0, ": days became hours?", ": hours became days?"),
        (1.609344, ": miles became km?", ": km became miles?"),
        (2.2046226, ": kg became lb?", ": lb became kg?"),
        (2.54, ": inches became cm?", ": cm became inches?"),
        (3.2808399, ": metres became feet?", ": feet became metres?"),
    ]
    return (
        *(Conversion(factor, 0.0, f"multiplied by {factor:,.10g}{up}") for factor, up, _ in factors),
        *(Conversion(1 / factor, 0.0, f"divided by {factor:,.10g}{down}") for factor, _, down in factors),
        Conversion(1.8, 32.0, "multiplied by 1.8 plus 32: °C became °F?"),
        Conversion(1 / 1.8, -32 / 1.8, "reduced by 32 and divided by 1.8: °F became °C?"),
        Conversion(1.0, 273.15, "raised by 273.15: °C became K?"),
        Conversion(1.0, -273.15, "lowered by 273.15: K became °C?"),
        Conversion(-1.0, 0.0, "to have changed sign"),
    )


CONVERSIONS = _conversions()
_UNLIKE_DRIFT = tuple(c for c in CONVERSIONS if not 0.1 < abs(c.factor) < 10)  # noqa: PLR2004 - powers of ten and more
_DISTANCE_OF_NEIGHBOURS = 3.0
"""Standard deviations beyond the usual that a window must be away before units of similar size explain it: a shift of
fewer, with some change of spread, is ordinary drift."""


@dataclass(frozen=True)
class _Levels:
    """Middle and spread of some values, and how well so many tell them."""

    middle: float
    spread: float
    rows: int

    def undone(self, conversion: Conversion) -> "_Levels":
        factor = conversion.factor
        return _Levels((self.middle - conversion.offset) / factor, self.spread / abs(factor), self.rows)

    def is_far_from(self, extent: Extent, *, distance: float = 1.0) -> bool:
        """Whether no window of this size could have come here by chance, or by a season."""
        noise = 6 / self.rows**0.5
        allowance = (distance + noise) * extent.usual_spread + extent.slack
        scale = 3 * exp(noise)
        return (
            not extent.middle[0] - allowance <= self.middle <= extent.middle[1] + allowance
            or not extent.spread[0] / scale <= self.spread <= extent.spread[1] * scale
        )

    def misfit(self, extent: Extent, *, narrower: bool = False) -> float | None:
        """Return the distance from the centre of the usual; None outside of it.

        Args:
            extent: the usual.
            narrower: a spread below the usual one fits, too.
        """
        noise = 3 / self.rows**0.5
        allowance, scale = (0.2 + noise) * extent.usual_spread, exp(0.1 + noise)
        low, high = extent.spread[0] / scale, extent.spread[1] * scale
        if not extent.middle[0] - allowance <= self.middle <= extent.middle[1] + allowance:
            return None
        if self.spread > high or (self.spread < low and not narrower) or self.spread <= 0:
            return None
        usual = (extent.spread[0] * extent.spread[1]) ** 0.5 or extent.usual_spread
        off = abs(self.middle - sum(extent.middle) / 2) / extent.usual_spread
        return off + abs(log(self.spread / usual))


def likely_conversion(ordered: Numbers, extent: Extent | None, *, whole: bool = True) -> Conversion | None:
    """Return the conversion that best explains sorted values far from the usual; None where none does.

    Args:
        ordered: the values.
        extent: the usual middle and spread.
        whole: the values are all there are, not those in one tail: their spread must fit, too.
    """
    if extent is None or len(ordered) < _FEWEST_VALUES:
        return None
    levels = _Levels(*levels_of(ordered), len(ordered))
    if levels.spread <= 0 or not levels.is_far_from(extent):
        return None
    possible = CONVERSIONS if levels.is_far_from(extent, distance=_DISTANCE_OF_NEIGHBOURS) else _UNLIKE_DRIFT
    misfits = [(levels.undone(conversion).misfit(extent, narrower=not whole), conversion) for conversion in possible]
    fitting = [(misfit, conversion) for misfit, conversion in misfits if misfit is not None]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _conversion_of_known_values(subject: Subject) -> Conversion | None:
    """Return the conversion without which the values are the known ones again."""
    known = subject.known_values
    if known is None or not known.lost(*subject.counts):
        return None
    values, counts = subject.counts
    shares = [(known.found((values - c.offset) / c.factor, counts), c) for c in CONVERSIONS if c.factor > 0]
    return max(((s, c) for s, c in shares if s is not None), key=lambda pair: pair[0], default=(0.0, None))[1]


def check_unit(subject: Subject) -> CheckResult | None:
    """Judge whether all values look converted; dates have no unit. Says something only when they do."""
    if subject.feature.type is FeatureType.DATE:
        return None
    conversion = likely_conversion(subject.column.ordered, subject.feed.extent) or _conversion_of_known_values(subject)
    if conversion is None or subject.levels is None:
        return None
    usual = subject.reference.quantiles[len(subject.reference.quantiles) // 2]
    return CheckResult(
        check=UNIT,
        feature=subject.name,
        passed=False,
        observed=1.0,
        limit=0.0,
        message=f"{subject.name} looks {conversion.done}{'' if conversion.done.endswith('?') else '.'} "
        f"Its median is {subject.levels[0]:.4g}, it was {usual:.4g}.",
    )


def check_swapped(subjects: Sequence[Subject]) -> list[CheckResult]:
    """Judge whether two columns hold each other's values. Says something only where they do, once for each of them."""
    numbers, categories = [s for s in subjects if _is_far(s)], [s for s in subjects if _is_foreign(s)]
    return [
        CheckResult(
            check=SWAPPED,
            feature=one.name,
            passed=False,
            observed=1.0,
            limit=0.0,
            message=f"{one.name} holds values as {other.name} used to, and the other way round: swapped?",
        )
        for one, other in [*permutations(numbers, 2), *permutations(categories, 2)]
        if _belongs_to(one, other) and _belongs_to(other, one)
    ]


def _levels(subject: Subject) -> _Levels | None:
    rows = len(subject.column.ordered) if subject.numeric else 0
    return _Levels(*subject.levels, rows) if rows >= _FEWEST_VALUES and subject.levels else None


def _is_far(subject: Subject) -> bool:
    levels, extent, known = _levels(subject), subject.feed.extent, subject.known_values
    if levels is None:
        return False
    return (extent is not None and levels.is_far_from(extent)) or (known is not None and known.lost(*subject.counts))


def _is_foreign(subject: Subject) -> bool:
    return subject.column.kind is ColumnKind.CATEGORICAL and _known_share(subject, subject) < 1 - _FOREIGN


def _belongs_to(subject: Subject, other: Subject) -> bool:
    if subject.column.kind is ColumnKind.CATEGORICAL:
        return _known_share(subject, other) > _AT_HOME
    levels, extent, known = _levels(subject), other.feed.extent, other.known_values
    if known is not None:
        return known.found(*subject.counts) is not None
    return levels is not None and extent is not None and levels.misfit(extent) is not None


def _known_share(subject: Subject, other: Subject) -> float:
    """Return the share of one column's values that the other column knows; 1 where there are none."""
    values, counts = subject.counts
    known = other.known_categories
    total = int(counts.sum())
    if total == 0 or not known:
        return 1.0
    return sum(int(count) for value, count in zip(values, counts, strict=True) if value in known) / total
