"""Checks of the inputs before any test of distributions: is the feed whole?

A failed check is a data fault: the numbers are broken, not the world. Ordinary change passes here and is left to the
drift tests.
"""

from collections.abc import Mapping

from driftloop.monitor.baseline import Baseline, ColumnBaseline
from driftloop.monitor.columns import Column
from driftloop.monitor.drift import Sensitivity
from driftloop.monitor.effective import effective_rows
from driftloop.spec import CheckResult, DataSchema, Feature, FeatureType

MISSING, COLUMN, TYPE, NEW_CATEGORY, RANGE = "missing", "column", "type", "new_category", "range"

# Seasons bring values beyond those seen, and new categories open; only changed units and codes do so on this scale.
FOREIGN_SHARE_LIMIT = 0.2


def check_inputs(
    window: Mapping[str, Column], baseline: Baseline, schema: DataSchema, sensitivity: Sensitivity
) -> list[CheckResult]:
    """Return the checks of every input that failed or saw a violation, worst first."""
    references = {reference.name: reference for reference in baseline.features}
    results = []
    for feature in schema.features:
        column, reference = window[feature.name], references[feature.name]
        results.append(_missing(feature, column, reference, sensitivity))
        results.append(_unreadable(feature, column))
        if feature.type is FeatureType.CATEGORICAL:  # a boolean has no new categories, only unreadable values
            results.append(_new_categories(feature, column, reference))
        elif reference.quantiles:
            results.append(_range(feature, column, reference))
    seen = [result for result in results if not result.passed or result.observed > 0]
    return sorted(seen, key=lambda result: (result.passed, -result.observed, result.feature))


def _missing(feature: Feature, column: Column, reference: ColumnBaseline, sensitivity: Sensitivity) -> CheckResult:
    rows = len(column.cells)
    usual = reference.missing_rate
    missing = rows - int(column.present.sum())
    worth = effective_rows(
        rows,
        rows / sensitivity.durations,
        reference.missing_correlation,
        reference.blocks,
        sensitivity.significance,
    )
    limit = max(usual + sensitivity.min_effect_size, _binomial_limit(usual, worth, sensitivity.significance))
    share = missing / rows
    gone = missing == rows and share > limit
    return CheckResult(
        check=COLUMN if gone else MISSING,
        feature=feature.name,
        passed=share <= limit,
        observed=share,
        limit=min(limit, 1.0),
        message=(
            f"No row has a value of {feature.name}; {1 - usual:.0%} had."
            if gone
            else f"{share:.1%} of the rows have no value of {feature.name}, {usual:.1%} had none."
        ),
    )


def _binomial_limit(rate: float, rows: float, significance: float) -> float:
    """Return the share that chance exceeds with at most the given probability."""
    from scipy.stats import binom

    count = max(int(rows), 1)
    return float(binom.isf(significance, count, rate)) / count


def _unreadable(feature: Feature, column: Column) -> CheckResult:
    share = column.unreadable / len(column.cells)
    return CheckResult(
        check=TYPE,
        feature=feature.name,
        passed=share <= FOREIGN_SHARE_LIMIT,
        observed=share,
        limit=FOREIGN_SHARE_LIMIT,
        message=f"{share:.1%} of the rows have a value of {feature.name} that is not {feature.type}.",
    )


def _new_categories(feature: Feature, column: Column, reference: ColumnBaseline) -> CheckResult:
    known = reference.counts.keys() | set(feature.categories)
    values = column.known
    new = [value for value in values if value not in known]
    share = len(new) / max(len(values), 1)
    named = ", ".join(repr(name) for name in sorted(set(new))[:3])
    return CheckResult(
        check=NEW_CATEGORY,
        feature=feature.name,
        passed=share <= FOREIGN_SHARE_LIMIT,
        observed=share,
        limit=FOREIGN_SHARE_LIMIT,
        message=f"{share:.1%} of the values of {feature.name} were never seen before" + (f": {named}." if new else "."),
    )


def _range(feature: Feature, column: Column, reference: ColumnBaseline) -> CheckResult:
    """Judge values that lie outside the seen range by more than its own width: another unit, not another season."""
    values = column.known
    seen = list(reference.quantiles)
    if feature.type is not FeatureType.DATE:  # the baseline of a date is its age, the schema's range is not
        seen += [bound for bound in (feature.minimum, feature.maximum) if bound is not None]
    low, high = min(seen), max(seen)
    width = (high - low) or abs(high) or 1.0
    outside = (values < low - width) | (values > high + width)
    share = float(outside.mean()) if len(values) else 0.0
    return CheckResult(
        check=RANGE,
        feature=feature.name,
        passed=share <= FOREIGN_SHARE_LIMIT,
        observed=share,
        limit=FOREIGN_SHARE_LIMIT,
        message=f"{share:.1%} of the values of {feature.name} lie far outside {low:.4g} to {high:.4g}, the range seen.",
    )
