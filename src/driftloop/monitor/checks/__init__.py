"""Checks of the inputs before any test of distributions: is the feed whole?

A failed check is a data fault: the numbers are broken, not the world. Ordinary change passes here and is left to the
drift tests. Every check compares a window with what the reference, or the live feed before it, is known to do, and all
of them together stay within their share of the false-alarm budget. Not for outputs or labels.
"""

from collections.abc import Mapping

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.checks.arrival import REMEMBERED_WINDOWS, check_dates, check_silence, check_volume, remembered
from driftloop.monitor.checks.missing import check_missing
from driftloop.monitor.checks.names import BY_CAUSE, FRESHNESS, MISSING, NEW_CATEGORY, RANGE, SWAPPED, TYPE, UNIT
from driftloop.monitor.checks.repetition import check_duplicates, check_stuck
from driftloop.monitor.checks.subject import Arrival, Limits, Stretch, Subject
from driftloop.monitor.checks.units import check_swapped, check_unit
from driftloop.monitor.checks.values import check_new_categories, check_range, check_type
from driftloop.monitor.columns import Column
from driftloop.monitor.feed import dates_of
from driftloop.spec import CheckResult, DataSchema, FeatureType

__all__ = ["REMEMBERED_WINDOWS", "Arrival", "Stretch", "check_inputs", "remembered"]

CHECKS_OF_COLUMN = 5
"""Missing, type, stuck; new categories, or range and unit."""
CHECKS_OF_DATE = 1
"""Freshness, beside these."""
CHECKS_OF_WINDOW = 4
"""Swapped, duplicates, volume, freshness."""

_SHARES_OF_VIOLATIONS = {MISSING, TYPE, NEW_CATEGORY, RANGE}
"""Checks that say nothing where nothing is amiss; what passes with a few violations is told, too."""
_EXPLAINED = {
    UNIT: {RANGE},
    FRESHNESS: {RANGE},
    SWAPPED: {UNIT, RANGE, NEW_CATEGORY},
}
"""What a failed check explains of the same column: one cause, one sentence."""


def check_inputs(
    window: Mapping[str, Column],
    baseline: Baseline,
    schema: DataSchema,
    arrival: Arrival,
    *,
    significance: float,
    min_effect_size: float,
) -> list[CheckResult]:
    """Return the checks that failed and those that passed with a violation: failures first, causes before effects.

    Args:
        window: the inputs as `read_features` gives them, at least one row.
        baseline: what they are compared with.
        schema: types and known categories.
        arrival: when the rows came, and what came before.
        significance: chance of a false alarm by all checks of this window together, divided among them (Bonferroni).
        min_effect_size: share of traffic that must be affected, 0 to 1.
    """
    references = {reference.name: reference for reference in baseline.features}
    feeds = {feed.name: feed for feed in baseline.feed.columns}
    subjects = [Subject(f, window[f.name], references[f.name], feeds[f.name]) for f in schema.features]
    limits = Limits(significance / count_checks(schema), min_effect_size, arrival.durations)
    found: list[CheckResult | None] = [
        *check_swapped(subjects),
        check_duplicates(window, dates_of(schema), baseline.feed, arrival, limits),
        check_silence(arrival, limits),
        check_volume(arrival, limits),
    ]
    for subject in subjects:
        found += [check_missing(subject, limits), check_type(subject, limits), check_stuck(subject, arrival, limits)]
        if subject.feature.type is FeatureType.CATEGORICAL:  # a boolean has no new categories, only unreadable values
            found.append(check_new_categories(subject, limits))
        if subject.numeric:
            found += [check_range(subject, limits), check_unit(subject)]
        if subject.feature.type is FeatureType.DATE and subject.numeric:
            found.append(check_dates(subject, arrival, limits))
    return _reported([check for check in found if check is not None])


def count_checks(schema: DataSchema) -> int:
    """Return among how many checks the budget of a window is divided; the same for every window."""
    dates = len(dates_of(schema))
    return CHECKS_OF_COLUMN * len(schema.features) + CHECKS_OF_DATE * dates + CHECKS_OF_WINDOW


def _reported(checks: list[CheckResult]) -> list[CheckResult]:
    explained = {
        (check.feature, effect) for check in checks if not check.passed for effect in _EXPLAINED.get(check.check, ())
    }
    seen = [
        check
        for check in checks
        if not check.passed or check.check in _SHARES_OF_VIOLATIONS
        if (check.feature, check.check) not in explained
    ]
    return sorted(seen, key=lambda check: (check.passed, BY_CAUSE.index(check.check), -check.observed, check.feature))
