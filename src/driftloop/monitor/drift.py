"""What moved in a window: the calibrated tests' findings, with the engine's figures and words for people.

A difference counts as drift when it is both significant within the budget (`detector`) and material (`minEffectSize`).
How much moved is a share of traffic: a Kolmogorov-Smirnov distance for numbers, a total variation distance otherwise.
Where a column has a season, what moved is counted with the season taken out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.columns import Column, ColumnKind, Numbers, distinct
from driftloop.monitor.detector import Detector, Finding, Findings
from driftloop.monitor.engines import TEST_OF_KIND, Comparison, DriftTest, Samples
from driftloop.monitor.relations import PairBaseline
from driftloop.monitor.scores import RARE, SPREAD, Sums, pair_name
from driftloop.spec import FeatureDrift

# Representing a reference by more values than this costs time and changes nothing.
MAXIMUM_REFERENCE_ROWS = 10_000
MAXIMUM_WINDOW_ROWS = 1000
RELATION_TEST, JOINT_TEST = "Relation", "SumOfSquares"
# Total variation distance of the density 1 + shift x score from the uniform one, per unit of shift: half the mean
# absolute score, 0.433, 0.430 and 0.430 for the three polynomials and 0.375 for the product of two locations.
_SHARE_OF_SHIFT = 0.43
_SHARE_OF_RELATION = 0.375
_LOCATION_OF_SD = 0.977
"""Mean location score of a normal column that moved by one standard deviation, for small moves: sqrt(3 / pi)."""


@dataclass(frozen=True)
class Drifts:
    """What was found in a window."""

    columns: Sequence[FeatureDrift]
    """Tests of columns, the largest effect first."""
    pairs: Sequence[FeatureDrift]
    """Tests of pairs, the largest effect first."""
    joint: FeatureDrift | None
    """Test of all features together."""
    unjudged: Sequence[str]
    """Columns with too few values for a test."""
    findings: Findings
    """What they rest on."""


@dataclass(frozen=True)
class DriftWatch:
    """Watches columns and pairs of one model version."""

    detector: Detector
    engine: DriftTest

    @cached_property
    def _references(self) -> dict[str, Numbers]:
        """Each column's reference as the engine compares it: sorted numbers, or sorted places of categories."""
        return {column.name: _reference(column) for column in self.detector.columns if column.streams}

    def compare(
        self,
        columns: Mapping[str, Column],
        windows: Sequence[Sums],
        *,
        probability: float,
        min_effect_size: float,
    ) -> Drifts:
        """Test every column that has values, and every pair.

        Args:
            columns: cells of the newest window.
            windows: sums of this model version's windows, newest last.
            probability: with which a stable window may drift significantly.
            min_effect_size: share of traffic that must have moved.
        """
        findings = self.detector.find(windows, probability)
        baselines = {column.name: column for column in self.detector.columns}
        pairs = {pair_name((pair.first, pair.second)): pair for pair in self.detector.pairs}
        units = [unit for unit in findings.units if unit.name in baselines]
        samples = [self._samples(baselines[unit.name], columns[unit.name]) for unit in units]
        drifts = []
        for unit, sample, found in zip(units, samples, self.engine.compare(samples), strict=True):
            effect, moved = self._effect(baselines[unit.name], unit, sample, found.statistic, findings)
            drifts.append(_drift(unit, str(sample.test), found.statistic, effect, moved, findings, min_effect_size))
        related = [
            self._relation(pairs[unit.name], unit, findings, min_effect_size)
            for unit in findings.units
            if unit.name in pairs
        ]
        joint = None if findings.joint is None else self._joint(findings.joint, findings, min_effect_size)
        return Drifts(_by_effect(drifts), _by_effect(related), joint, findings.unjudged, findings)

    def _samples(self, baseline: ColumnBaseline, column: Column) -> Samples:
        test, reference = TEST_OF_KIND[baseline.kind], self._references[baseline.name]
        if baseline.kind is ColumnKind.NUMERIC:
            count = min(len(column.ordered), MAXIMUM_WINDOW_ROWS)
            return Samples(test, reference, evenly_spaced(column.ordered, count))
        window = np.sort(self.detector.scorer.columns[baseline.name].codes(column)).astype(np.float64)
        if len(baseline.counts) == 2 and window[-1] <= 1:  # noqa: PLR2004 - two categories, and no third came
            test = Comparison.FISHER
        return Samples(test, reference, window)

    def _effect(
        self, baseline: ColumnBaseline, unit: Finding, sample: Samples, distance: float, findings: Findings
    ) -> tuple[float, str]:
        places = self.detector.units[baseline.name]
        shifts = findings.assessment.shifts[places]
        if baseline.kind is not ColumnKind.NUMERIC:
            return float(np.abs(shifts).sum() / 2), _moved_category(baseline, sample)
        from scipy.special import ndtr

        _, moved = numeric_shift(sample.reference, sample.window)
        seasonal = any(stream.periods for stream in baseline.streams)
        by_rank, by_value = float(np.abs(shifts[:-1]).max()), float(abs(shifts[-1]))  # the value's stream is the last
        smooth = max(by_rank * _SHARE_OF_SHIFT, 2 * float(ndtr(by_value / 2)) - 1 if seasonal else 0.0)
        stream = baseline.streams[unit.stream - places.start]
        if unit.significant and stream.name == SPREAD:
            scatter = "more" if shifts[unit.stream - places.start] > 0 else "less"
            moved = f"the values scatter {scatter} than they did; {moved}"
        return min(smooth if seasonal else max(distance, smooth), 1.0), moved

    def _relation(self, pair: PairBaseline, unit: Finding, findings: Findings, min_effect_size: float) -> FeatureDrift:
        shift = float(findings.assessment.shifts[unit.stream])
        before = pair.stream.mean[0]
        moved = f"their rank correlation is {np.clip(before + shift, -1, 1):.2f}, it was {before:.2f}"
        effect = min(abs(shift) * _SHARE_OF_RELATION, 1.0)
        return _drift(unit, RELATION_TEST, before + shift, effect, moved, findings, min_effect_size)

    def _joint(self, unit: Finding, findings: Findings, min_effect_size: float) -> FeatureDrift:
        """Say how far apart the features' joint distributions are: two normals at the Mahalanobis distance.

        The distance is taken in the direction in which the features vary most, which understates it elsewhere, and
        what chance adds to a sum of squares is taken off.
        """
        from scipy.special import ndtr

        found, joint = findings.assessment, self.detector.joint
        places = [place for place in self.detector.joint_places if found.counts[place] > 0]
        spread = self.detector.calibration.usual_variance[places]
        squares = float(((found.shifts[places] ** 2 - found.errors[places] ** 2) / spread).sum())
        distance = np.sqrt(max(squares, 0.0) / (joint.largest if joint else 1.0)) / _LOCATION_OF_SD
        effect = float(2 * ndtr(distance / 2) - 1)
        moved = f"{len(places)} features together moved {distance:.2f} standard deviations"
        statistic = float((found.normal[places] ** 2).sum())
        return _drift(unit, JOINT_TEST, statistic, effect, moved, findings, min_effect_size, findings.joint_threshold)


def _drift(  # noqa: PLR0917 - one field of the report each
    unit: Finding,
    test: str,
    statistic: float,
    effect: float,
    moved: str,
    findings: Findings,
    min_effect_size: float,
    threshold: float | None = None,
) -> FeatureDrift:
    return FeatureDrift(
        feature=unit.name,
        test=test,
        statistic=statistic,
        p_value=unit.p_value,
        threshold=findings.threshold if threshold is None else threshold,
        effect_size=effect,
        drifted=unit.significant and effect >= min_effect_size,
        windows=unit.windows,
        moved=moved,
    )


def _by_effect(drifts: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    return sorted(drifts, key=lambda drift: (-drift.effect_size, drift.feature))


def _reference(baseline: ColumnBaseline) -> Numbers:
    if baseline.kind is ColumnKind.NUMERIC:
        return np.array(baseline.quantiles)
    scores = baseline.scores
    names = Column(ColumnKind.CATEGORICAL, np.array([*baseline.counts], dtype=object))
    codes = np.zeros(0, dtype=np.int64) if scores is None else scores.codes(names)
    counts = np.array([*baseline.counts.values()], dtype=np.int64)
    sample = np.sort(np.repeat(codes, counts)).astype(np.float64)
    return evenly_spaced(sample, min(len(sample), MAXIMUM_REFERENCE_ROWS))


def evenly_spaced(ordered: Numbers, count: int) -> Numbers:
    """Return `count` values that represent a sorted sample: its evenly spaced quantiles, shape (count,).

    Unlike a random subsample it adds no noise of its own: the distance between two samples stays what it was.
    """
    places = (np.arange(count) + 0.5) / count * len(ordered)
    return ordered[places.astype(np.int64)]


def numeric_shift(reference: Numbers, window: Numbers) -> tuple[float, str]:
    """Return the Kolmogorov-Smirnov distance of two sorted samples, and where it is largest, as a clause.

    Between two values of the reference its distribution stands still and the window's rises: it is enough to look at
    the reference's values and just below them.
    """
    places, first = distinct(reference)
    upto = np.append(first[1:], len(reference))
    before = np.concatenate([upto, first]) / len(reference)
    now = np.concatenate([np.searchsorted(window, places, "right"), np.searchsorted(window, places, "left")])
    now = now / len(window)
    widest = int(np.argmax(np.abs(now - before)))
    at, strictly = places[widest % len(places)], widest >= len(places)
    was, has = float(before[widest]), float(now[widest])
    if has > was:
        side = "below" if strictly else "at or below"
    else:
        was, has, side = 1 - was, 1 - has, "at or above" if strictly else "above"
    return abs(has - was), f"{has:.0%} of the values lie {side} {at:.4g}, {was:.0%} did"


def _moved_category(baseline: ColumnBaseline, sample: Samples) -> str:
    names = [stream.name for stream in baseline.streams]
    before, now = (_shares(values, len(names)) for values in (sample.reference, sample.window))
    widest = int(np.argmax(np.abs(now - before)))
    return f"{now[widest]:.0%} of the rows are {names[widest] or RARE}, {before[widest]:.0%} were"


def _shares(codes: Numbers, length: int) -> npt.NDArray[Any]:
    return np.bincount(codes.astype(np.int64), minlength=length) / max(len(codes), 1)
