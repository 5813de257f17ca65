"""The one place where two distributions are compared: the `DriftTest` protocol, and its engine on SciPy.

An engine computes a statistic and a p-value per column; it knows no thresholds, windows or missing values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from driftloop.monitor.columns import ColumnKind, Numbers

KOLMOGOROV_SMIRNOV = "KolmogorovSmirnov"
CHI_SQUARE = "ChiSquare"
TEST_OF_KIND = {ColumnKind.NUMERIC: KOLMOGOROV_SMIRNOV, ColumnKind.CATEGORICAL: CHI_SQUARE}


@dataclass(frozen=True)
class Samples:
    """One column's two samples, both with at least one value and none missing."""

    kind: ColumnKind
    reference: Numbers
    """Shape (n,): numbers, or indices of categories."""
    window: Numbers
    """Shape (m,): numbers, or indices of the same categories."""


@dataclass(frozen=True)
class TwoSampleResult:
    """What an engine says of one column."""

    statistic: float
    p_value: float


class DriftTest(Protocol):
    """Compares columns: two-sided asymptotic Kolmogorov-Smirnov for numbers, chi-square for categories."""

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
        return [_ks(column) if column.kind is ColumnKind.NUMERIC else _chi_square(column) for column in columns]


def _ks(column: Samples) -> TwoSampleResult:
    from scipy.stats import ks_2samp

    result = ks_2samp(column.reference, column.window, method="asymp")
    return TwoSampleResult(float(result.statistic), float(result.pvalue))


def _chi_square(column: Samples) -> TwoSampleResult:
    import numpy as np
    from scipy.stats import chi2_contingency

    categories = np.union1d(column.reference, column.window)
    table = [[int((sample == c).sum()) for c in categories] for sample in (column.reference, column.window)]
    result = chi2_contingency(table)
    return TwoSampleResult(float(result.statistic), float(result.pvalue))
