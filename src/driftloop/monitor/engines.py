"""The one place where two distributions are compared: the `DriftTest` protocol, and its engine on SciPy.

An engine computes a statistic and a p-value per column; it knows no thresholds, windows or missing values. The p-value
holds for independent rows: whether a difference is significant on live traffic, the calibration decides.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from driftloop.monitor.columns import ColumnKind, Numbers


class Comparison(StrEnum):
    """The two-sided tests of every engine; the value stands in reports."""

    KOLMOGOROV_SMIRNOV = "KolmogorovSmirnov"
    """Numbers: the largest distance of the two distributions, asymptotic."""
    CRAMER_VON_MISES = "CramerVonMises"
    """Numbers: their mean squared distance; sees a small shift of the whole better, one of a part worse."""
    CHI_SQUARE = "ChiSquare"
    """Indices of categories: the table of their counts."""
    FISHER = "Fisher"
    """Rates, as zeros and ones: exact, for events as rare as missing values and errors. The statistic is the odds
    ratio, the odds in the window over those of the reference."""


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
    """What an engine says of one column."""

    statistic: float
    p_value: float

    @classmethod
    def of(cls, test: Comparison, statistic: float, p_value: float) -> "TwoSampleResult":
        """Return a test's figures as a report can hold them: no infinity, and no NaN from two rates of 0.

        >>> TwoSampleResult.of(Comparison.FISHER, math.nan, 1.0)
        TwoSampleResult(statistic=1.0, p_value=1.0)
        """
        if math.isnan(statistic):
            statistic = 1.0 if test is Comparison.FISHER else 0.0
        return cls(min(float(statistic), LARGEST_STATISTIC), float(p_value))


NO_DIFFERENCE = TwoSampleResult(statistic=0.0, p_value=1.0)


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
        return [_compare(column) if is_testable(column) else NO_DIFFERENCE for column in columns]


def _compare(column: Samples) -> TwoSampleResult:
    return TwoSampleResult.of(column.test, *_TESTS[column.test](column.reference, column.window))


def _kolmogorov_smirnov(reference: Numbers, window: Numbers) -> tuple[float, float]:
    from scipy.stats import kstwo

    # Sorts in linear time what is sorted already, as it is where it comes from the baseline.
    reference, window = np.sort(reference, kind="stable"), np.sort(window, kind="stable")
    n, m = len(reference), len(window)
    # Where one distribution is furthest above the other, it has a step.
    above = np.arange(1, n + 1) / n - np.searchsorted(window, reference, side="right") / m
    below = np.arange(1, m + 1) / m - np.searchsorted(reference, window, side="right") / n
    distance = max(above.max(), below.max(), 0.0)
    # The distribution that `ks_2samp(method="asymp")` takes.
    return distance, np.clip(kstwo.sf(distance, np.round(n * m / (n + m))), 0, 1)


def _cramer_von_mises(reference: Numbers, window: Numbers) -> tuple[float, float]:
    from scipy.stats import cramervonmises_2samp

    result = cramervonmises_2samp(reference, window)
    return result.statistic, result.pvalue


def _chi_square(reference: Numbers, window: Numbers) -> tuple[float, float]:
    from scipy.stats import chi2_contingency

    categories, codes = np.unique(np.concatenate([reference, window]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(categories)) for part in np.split(codes, [len(reference)])]
    result = chi2_contingency(counts)
    return result.statistic, result.pvalue


def _fisher(reference: Numbers, window: Numbers) -> tuple[float, float]:
    from scipy.stats import fisher_exact

    before, now = int(reference.sum()), int(window.sum())
    result = fisher_exact([[now, before], [len(window) - now, len(reference) - before]])
    return result.statistic, result.pvalue


_TESTS: dict[Comparison, Callable[[Numbers, Numbers], tuple[float, float]]] = {
    Comparison.KOLMOGOROV_SMIRNOV: _kolmogorov_smirnov,
    Comparison.CRAMER_VON_MISES: _cramer_von_mises,
    Comparison.CHI_SQUARE: _chi_square,
    Comparison.FISHER: _fisher,
}
