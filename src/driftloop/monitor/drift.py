"""Drift tests of a window's columns against the baseline, on as many rows as the window is worth.

A difference counts as drift when it is both significant within the budget and material (`minEffectSize`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.columns import Categories, Column, ColumnKind, Numbers
from driftloop.monitor.effective import effective_rows, evenly_spaced
from driftloop.monitor.engines import TEST_OF_KIND, DriftTest, Samples
from driftloop.spec import FeatureDrift

# The asymptotic distributions mean nothing below; a category must be expected this often for chi-square, too.
MINIMUM_EFFECTIVE_ROWS = 5
# Representing a reference by more values than this costs time and changes nothing.
MAXIMUM_REFERENCE_ROWS = 10_000
RARE = "(rare or new)"


@dataclass(frozen=True)
class Sensitivity:
    """When a difference counts."""

    significance: float
    """p-value per test below which a difference is no chance."""
    min_effect_size: float
    """Share of traffic that must have moved, 0 to 1."""
    durations: int
    """How many times the usual length the window has; rows of different stretches are independent."""


@dataclass(frozen=True)
class ColumnDrift:
    """The test of one column, with the facts for people."""

    result: FeatureDrift
    shift: str
    """What moved, as a clause: `temp: 62 % of the values lie below 31, 20 % did`."""


@dataclass(frozen=True)
class _Pair:
    """A column's two samples, full and represented by as many values as they are worth."""

    name: str
    samples: Samples
    effect_size: float
    shift: str


def compare_columns(
    window: Mapping[str, Column],
    baselines: Sequence[ColumnBaseline],
    *,
    sensitivity: Sensitivity,
    engine: DriftTest,
) -> tuple[list[ColumnDrift], list[str]]:
    """Test every column of the baseline; return the tests, largest effect first, and the columns that can't be judged.

    A column can't be judged where the window or the baseline is worth fewer than five
    independent values.
    """
    pairs, unjudged = [], []
    for baseline in baselines:
        pair = _pair(window[baseline.name], baseline, sensitivity)
        if pair is None:
            unjudged.append(baseline.name)
        else:
            pairs.append(pair)
    drifts = []
    for pair, found in zip(pairs, engine.compare([pair.samples for pair in pairs]), strict=True):
        result = FeatureDrift(
            feature=pair.name,
            test=pair.samples.test,
            statistic=found.statistic,
            p_value=found.p_value,
            threshold=sensitivity.significance,
            effect_size=pair.effect_size,
            drifted=found.p_value < sensitivity.significance and pair.effect_size >= sensitivity.min_effect_size,
        )
        drifts.append(ColumnDrift(result, pair.shift))
    return sorted(drifts, key=lambda drift: (-drift.result.effect_size, drift.result.feature)), unjudged


def _pair(column: Column, baseline: ColumnBaseline, sensitivity: Sensitivity) -> _Pair | None:
    values = column.known

    def worth(rows: int, stretches: int) -> int:
        per_block = rows / max(stretches, 1)
        return int(effective_rows(rows, per_block, baseline.correlation, baseline.blocks, sensitivity.significance))

    window_rows = worth(len(values), sensitivity.durations)
    reference_rows = min(worth(baseline.present, baseline.blocks), MAXIMUM_REFERENCE_ROWS)
    if baseline.kind is ColumnKind.PRESENCE or min(window_rows, reference_rows) < MINIMUM_EFFECTIVE_ROWS:
        return None
    if baseline.kind is ColumnKind.NUMERIC:
        window, reference = np.sort(values), np.array(baseline.quantiles)
        effect_size, shift = numeric_shift(reference, window)
    else:
        reference, window, names = _as_bins(values, baseline, window_rows)
        effect_size, shift = _category_shift(reference, window, names)
    samples = Samples(
        TEST_OF_KIND[baseline.kind], evenly_spaced(reference, reference_rows), evenly_spaced(window, window_rows)
    )
    return _Pair(baseline.name, samples, effect_size, f"{baseline.name}: {shift}")


def _as_bins(
    values: Categories | Numbers, baseline: ColumnBaseline, window_rows: int
) -> tuple[Numbers, Numbers, list[str]]:
    """Return both samples as sorted bin indices, with the bins' names.

    Categories too rare to be expected five times share a bin with those never seen: a test on them would be wrong, and
    the tail of a distribution always brings new ones.
    """
    common = [
        name
        for name, count in baseline.counts.items()
        if count / baseline.present * window_rows >= MINIMUM_EFFECTIVE_ROWS
    ]
    bins = {name: index for index, name in enumerate(common)}
    rare = len(bins)
    reference = np.repeat([float(bins.get(name, rare)) for name in baseline.counts], list(baseline.counts.values()))
    window = pd.Series(values, dtype=object).map(bins).fillna(rare).to_numpy(dtype=np.float64)
    return np.sort(reference), np.sort(window), [*common, RARE]


def numeric_shift(reference: Numbers, window: Numbers) -> tuple[float, str]:
    """Return the Kolmogorov-Smirnov distance of two sorted samples, and where it is largest, as a clause."""
    places = np.concatenate([reference, window])
    below_before = np.searchsorted(reference, places, side="right") / len(reference)
    below_now = np.searchsorted(window, places, side="right") / len(window)
    widest = int(np.argmax(np.abs(below_now - below_before)))
    before, now = below_before[widest], below_now[widest]
    side = "at or below" if now > before else "above"
    if side == "above":
        before, now = 1 - before, 1 - now
    return float(abs(now - before)), f"{now:.0%} of the values lie {side} {places[widest]:.4g}, {before:.0%} did"


def _category_shift(reference: Numbers, window: Numbers, names: Sequence[str]) -> tuple[float, str]:
    """Total variation distance of two samples of bin indices, and the bin that gained or lost most."""
    before = np.bincount(reference.astype(np.int64), minlength=len(names)) / len(reference)
    now = np.bincount(window.astype(np.int64), minlength=len(names)) / len(window)
    widest = int(np.argmax(np.abs(now - before)))
    return float(
        np.abs(now - before).sum() / 2
    ), f"{now[widest]:.0%} of the rows are {names[widest]}, {before[widest]:.0%} were"
