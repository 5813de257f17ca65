"""The peers of the honesty table: alibi-detect's plain detectors, the same tests tuned to a rate, Evidently's preset.

alibi-detect's `TabularDrift` runs Kolmogorov-Smirnov for numbers and chi-square for categories and alarms at p = .05
with Bonferroni's correction. What it decides is computed here from the same statistics, thousands of times as fast; its
own class confirms a sample of windows. Missing values are left out for it: one would silence a column.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.bench_alarms.traffic import Numbers

PLAIN_SIGNIFICANCE = 0.05

Cells = dict[str, npt.NDArray[Any]]


class TabularTests:
    """The tests of `TabularDrift` against one reference."""

    def __init__(self, reference: Cells) -> None:
        known = {n: np.sort(cells[~np.isnan(cells)]) for n, cells in reference.items() if cells.dtype != object}
        self._sorted = {name: (cells, bool((np.diff(cells) == 0).any())) for name, cells in known.items()}
        self._counts = {n: _count(cells) for n, cells in reference.items() if cells.dtype == object}
        self._significance = PLAIN_SIGNIFICANCE / len(reference)

    def judge(self, window: Cells) -> tuple[float, bool]:
        """Return the greatest evidence of all features, as -ln p, and whether the plain detector alarms."""
        from scipy.special import chdtrc

        furthest, alarms = 0.0, False
        for name, (reference, tied) in self._sorted.items():
            distance, size = _ks(reference, tied, window[name])
            if size:
                furthest = max(furthest, distance * size**0.5)
                alarms |= distance > _critical(self._significance, round(size))
        evidence = _ks_evidence(furthest)
        for name, counts in self._counts.items():
            statistic, freedom = _chi_square(counts, _count(window[name]))
            if freedom:
                p_value = float(chdtrc(freedom, statistic))
                evidence = max(evidence, -np.log(max(p_value, 1e-300)))
                alarms |= p_value < self._significance
        return evidence, bool(alarms)


def _ks(reference: Numbers, tied: bool, cells: Numbers) -> tuple[float, float]:
    """Return the distance to the sorted reference, and the size at which it has its distribution."""
    cells = np.sort(cells)  # NaN go last
    n, m = len(reference), len(cells)
    if m and np.isnan(cells[-1]):
        m = int(np.searchsorted(cells, np.nan))
        cells = cells[:m]
    if not m:
        return 0.0, 0.0
    at = np.searchsorted(reference, cells, side="right") / n
    before = np.searchsorted(reference, cells, side="left") / n if tied else at
    steps = _steps(m)
    return max(float((steps[1:] - at).max()), float((before - steps[:-1]).max())), n * m / (n + m)


@lru_cache(maxsize=10_000)
def _steps(count: int) -> Numbers:
    return np.arange(count + 1) / count


def _ks_evidence(scaled: float) -> float:
    from scipy.special import kolmogorov

    # The function underflows at about 18; its first term does not.
    return float(-np.log(kolmogorov(scaled)) if scaled < 15 else 2 * scaled**2 - np.log(2))  # noqa: PLR2004


@lru_cache(maxsize=10_000)
def _critical(significance: float, size: int) -> float:
    from scipy.stats import kstwo

    return float(kstwo.isf(significance, size))


def _count(cells: npt.NDArray[Any]) -> dict[Any, int]:
    names, counts = np.unique(cells[cells != None].astype(str), return_counts=True)  # noqa: E711 - elementwise
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _chi_square(reference: dict[Any, int], window: dict[Any, int]) -> tuple[float, int]:
    """Return what `chi2_contingency` does: Yates's correction with two categories."""
    names = sorted(reference.keys() | window.keys())
    table = np.array([[counts.get(name, 0) for name in names] for counts in (reference, window)], dtype=float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    away = np.abs(table - expected)
    if len(names) == 2:  # noqa: PLR2004
        away = np.maximum(away - 0.5, 0)
    return float((away**2 / expected).sum()), len(names) - 1


class AlibiDetect:
    """`TabularDrift` itself."""

    def __init__(self, reference: Cells) -> None:
        from alibi_detect.cd import TabularDrift

        self._codes = {n: _codes(cells) for n, cells in reference.items() if cells.dtype == object}
        categories = {place: None for place, name in enumerate(reference) if name in self._codes}
        self._detector = TabularDrift(
            self._matrix(reference), p_val=PLAIN_SIGNIFICANCE, categories_per_feature=categories or None
        )

    def alarms(self, window: Cells) -> bool:
        """Return its verdict; rows with a missing value have to be left out."""
        return bool(self._detector.predict(self._matrix(window))["data"]["is_drift"])

    def _matrix(self, cells: Cells) -> Numbers:
        columns = [
            np.array([self._codes[name].get(value, np.nan) for value in values]) if name in self._codes else values
            for name, values in cells.items()
        ]
        matrix = np.stack(columns, axis=1).astype(np.float64)
        return matrix[~np.isnan(matrix).any(axis=1)]


def _codes(cells: npt.NDArray[Any]) -> dict[Any, int]:
    return {name: code for code, name in enumerate(sorted({value for value in cells if value is not None}))}


def threshold_for(evidence: npt.NDArray[np.float64], episodes: int) -> float:
    """Return the lowest threshold at which null traffic has at most so many episodes of alarms.

    Args:
        evidence: shape (references, windows), in order of time.
        episodes: the most to allow.
    """
    highest = np.sort(evidence.ravel())[::-1]
    # Lowering the threshold past one more window can join two episodes, but rarely: the first excess decides.
    for threshold in highest:
        if count_episodes(evidence > threshold) > episodes:
            return float(highest[np.searchsorted(-highest, -threshold) - 1])
    return 0.0


def count_episodes(alarms: npt.NDArray[np.bool_]) -> int:
    """Return the number of runs of alarming windows, along the last axis."""
    return int(alarms[..., 0].sum() + (alarms[..., 1:] & ~alarms[..., :-1]).sum())


class Evidently:
    """Evidently's default preset: it alarms when half of the columns drift by its own choice of test."""

    def __init__(self, reference: Cells) -> None:
        from evidently import DataDefinition, Dataset

        self._definition = DataDefinition(
            numerical_columns=[name for name, cells in reference.items() if cells.dtype != object],
            categorical_columns=[name for name, cells in reference.items() if cells.dtype == object],
        )
        self._reference = self._dataset(Dataset, reference)
        self._make = Dataset

    def _dataset(self, make: Any, cells: Cells) -> Any:
        import pandas as pd

        return make.from_pandas(pd.DataFrame(cells), data_definition=self._definition)

    def drifted(self, window: Cells) -> tuple[int, bool]:
        """Return how many columns drifted, and whether the preset calls it dataset drift."""
        from evidently import Report
        from evidently.presets import DataDriftPreset

        result = Report([DataDriftPreset()]).run(self._dataset(self._make, window), self._reference)
        found = next(m["value"] for m in result.dict()["metrics"] if "DriftedColumnsCount" in m["metric_name"])
        return int(found["count"]), found["share"] >= 0.5  # noqa: PLR2004 - the preset's default
