"""The one place where two distributions are compared: the `DriftTest` protocol, and its engine on SciPy.

An engine computes a statistic and a p-value per column; it knows no thresholds, windows or missing values. The p-value
holds for independent rows: whether a difference is significant on live traffic, the calibration decides.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np

from driftloop.monitor.columns import ColumnKind, Numbers


class Comparison(StrEnum):
    """The two-sided tests of every engine; the value stands in reports."""

    KOLMOGOROV_SMIRNOV = "KolmogorovSmirnov"
    """Numbers: the largest distance of the two distributions, asymptotic."""
    CRAMER_VON_MISES = "CramerVonMises"
    """Numbers: their mean squared distance; sees a small shift of the whole better, one of a part worse. Stands beside
    the pictures of what moved."""
    CHI_SQUARE = "ChiSquare"
    """Indices of categories: the table of their counts."""
    FISHER = "Fisher"
    """Rates, as zeros and ones: exact, however rare the event; for columns of two categories. The statistic is the odds
    ratio of the rarer one, the odds in the window over those of the reference."""


TEST_OF_KIND = {ColumnKind.NUMERIC: Comparison.KOLMOGOROV_SMIRNOV, ColumnKind.CATEGORICAL: Comparison.CHI_SQUARE}

LARGEST_STATISTIC = 1e9
"""In place of infinity, which a report can't hold: the odds ratio to a rate of 0."""


@dataclass(frozen=True)
class Samples:
    """One column's two samples, both with at least one value and none missing."""

    test: Comparison
    reference: Numbers
    """Shape (n,): numbers, indices of categories, or zeros and ones."""
    window: Numbers
    """Shape (m,): of the same meaning."""


@dataclass(frozen=True)
class TwoSampleResult:
    """What an engine says of one column; a report can hold it: no infinity, and no NaN from two rates of 0."""

    test: Comparison
    found: float
    """The statistic as it was computed."""
    chance: Callable[[], float] = field(compare=False)
    """Computes the p-value, which is slow for some tests, and of use where rows are independent only."""

    @property
    def statistic(self) -> float:
        """The test's statistic.

        >>> TwoSampleResult(Comparison.FISHER, math.nan, lambda: 1.0).statistic
        1.0
        """
        if math.isnan(self.found):
            return 1.0 if self.test is Comparison.FISHER else 0.0
        return min(float(self.found), LARGEST_STATISTIC)

    @property
    def p_value(self) -> float:
        """Probability of such a difference, were rows independent and nothing moved."""
        return float(self.chance())


def no_difference(test: Comparison) -> TwoSampleResult:
    """Return the result of samples too small to differ."""
    return TwoSampleResult(test, math.nan, lambda: 1.0)


def is_testable(column: Samples) -> bool:
    """Return whether the test has a distribution at these sizes; one value against one differs by nothing."""
    numeric = column.test in (Comparison.KOLMOGOROV_SMIRNOV, Comparison.CRAMER_VON_MISES)
    return not numeric or min(len(column.reference), len(column.window)) > 1


class DriftTest(Protocol):
    """Compares columns."""

    name: str
    """Library behind the engine; stands in every verdict."""

    def compare(self, columns: Sequence[Samples]) -> list[TwoSampleResult]:
        """Return one result per column, in the same order."""
        ...


class SciPyEngine:
    """The tests on SciPy, under a permissive licence."""

    name = "SciPy"

    def compare(self, columns: Sequence[Samples]) -> list[TwoSampleResult]:
        """Return one result per column, in the same order."""
        return [_compare(column) if is_testable(column) else no_difference(column.test) for column in columns]


def _compare(column: Samples) -> TwoSampleResult:
    return TwoSampleResult(column.test, *_TESTS[column.test](column.reference, column.window))


_Found: TypeAlias = tuple[float, Callable[[], float]]


def _kolmogorov_smirnov(reference: Numbers, window: Numbers) -> _Found:
    from scipy.stats import kstwo

    # Sorts in linear time what is sorted already, as it is where it comes from the baseline.
    few, many = sorted((np.sort(sample, kind="stable") for sample in (reference, window)), key=len)
    n, m = len(few), len(many)
    # Between two steps of the one distribution only the other moves: both are looked at on each step and just below it.
    above = np.arange(1, n + 1) / n - np.searchsorted(many, few, side="right") / m
    below = np.searchsorted(many, few, side="left") / m - np.arange(n) / n
    distance = max(above.max(), below.max())
    # The distribution that `ks_2samp(method="asymp")` takes.
    return distance, lambda: np.clip(kstwo.sf(distance, np.round(n * m / (n + m))), 0, 1)


def _cramer_von_mises(reference: Numbers, window: Numbers) -> _Found:
    from scipy.stats import cramervonmises_2samp

    result = cramervonmises_2samp(reference, window)
    return result.statistic, lambda: result.pvalue


def _chi_square(reference: Numbers, window: Numbers) -> _Found:
    from scipy.stats import chi2_contingency

    categories, codes = np.unique(np.concatenate([reference, window]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(categories)) for part in np.split(codes, [len(reference)])]
    result = chi2_contingency(counts)
    return result.statistic, lambda: result.pvalue


def _fisher(reference: Numbers, window: Numbers) -> _Found:
    from scipy.stats import fisher_exact
    from scipy.stats.contingency import odds_ratio

    before, now = int(reference.sum()), int(window.sum())
    table = [[now, before], [len(window) - now, len(reference) - before]]
    return odds_ratio(table, kind="sample").statistic, lambda: fisher_exact(table).pvalue


_TESTS: dict[Comparison, Callable[[Numbers, Numbers], _Found]] = {
    Comparison.KOLMOGOROV_SMIRNOV: _kolmogorov_smirnov,
    Comparison.CRAMER_VON_MISES: _cramer_von_mises,
    Comparison.CHI_SQUARE: _chi_square,
    Comparison.FISHER: _fisher,
}
