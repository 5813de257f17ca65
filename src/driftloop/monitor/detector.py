"""Which columns are significantly away from what is usual: two families of tests over one and several windows.

The largest statistic over all columns sees a change of few columns; the sum of squares over the features' locations
sees small shifts of many. Both are asked of the newest window, of the last two and of the last four together, and may
alarm with the probability that the budget leaves a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftloop.monitor.assessment import WINDOW_SHARE, Assessment, Calibration
from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.columns import Numbers
from driftloop.monitor.relations import JointBaseline, PairBaseline
from driftloop.monitor.scores import LOCATION, SKEWNESS, SPREAD, VALUE, RankScores, Scorer, Sums, pair_name

LONG = 4
"""Most windows that are judged together."""
_SCALES = {1: 0.8, 2: 0.1, LONG: 0.1}
"""Over how many of the last windows to look → share of the probability. What only several show is seen later anyway, so
the newest has most; two together see in the second window what chance hid in the first."""
_WEIGHTS = {LOCATION: 0.44, VALUE: 0.44, SPREAD: 0.07, SKEWNESS: 0.05}
"""Of a numeric column's streams within its share of the probability (weighted Bonferroni: Genovese et al., "False
discovery control with p-value weighting", 2006); categories weigh the same."""
_FAR_OUT = 4.5
"""Statistic that spends a budget of one alarm in a month; nearer thresholds are exceeded together more often."""
SINGLE_SHARE = 0.9
"""Share of a window's probability for the largest statistic; the rest is for the joint one."""
_WORTH_ADDING = 1.5
"""Windows are added up where the reference would carry this many times the rows of one."""


@dataclass(frozen=True)
class Finding:
    """One column, pair, or all features together."""

    name: str
    p_value: float
    """For everything that was asked of it, over its streams and window counts."""
    windows: int
    """Consecutive windows that the p-value stands for."""
    stream: int
    """Place of the stream that moved most; for `(all)` that of no stream."""
    significant: bool


@dataclass(frozen=True)
class Findings:
    """What a window's sums say."""

    units: tuple[Finding, ...]
    """Per column and pair that could be judged."""
    joint: Finding | None
    threshold: float
    """p-value below which a column or pair is significant."""
    joint_threshold: float
    assessment: Assessment
    """Of the newest window alone, by stream."""
    newest_share: float
    """Share of the probability that the newest window alone has, 0 to 1."""
    unjudged: tuple[str, ...]
    """Columns without streams, or without a value in the window."""

    @property
    def alarms(self) -> bool:
        """Whether anything is significant."""
        return any(unit.significant for unit in self.units) or (self.joint is not None and self.joint.significant)


@dataclass(frozen=True)
class Detector:
    """Compares windows with the baselines of columns."""

    columns: Sequence[ColumnBaseline]
    pairs: Sequence[PairBaseline] = ()
    joint: JointBaseline | None = None

    @cached_property
    def scorer(self) -> Scorer:
        """What turns a window's columns into sums."""
        tables = {column.name: column.scores for column in self.columns}
        return Scorer(
            {name: table for name, table in tables.items() if table is not None},
            tuple((pair.first, pair.second) for pair in self.pairs),
        )

    @cached_property
    def calibration(self) -> Calibration:
        """What is usual of the streams, in the scorer's order."""
        own = [stream for column in self.columns for stream in column.streams]
        return Calibration([*own, *(pair.stream for pair in self.pairs)])

    @cached_property
    def units(self) -> dict[str, slice]:
        """Name of each column with streams, and of each pair → the places of its streams."""
        places, start = {}, 0
        for name, width in [
            *((column.name, len(column.streams)) for column in self.columns if column.streams),
            *((pair_name((pair.first, pair.second)), 1) for pair in self.pairs),
        ]:
            places[name] = slice(start, start + width)
            start += width
        return places

    def is_column(self, unit: str) -> bool:
        """Return whether a unit is a column, not a pair."""
        return any(column.name == unit for column in self.columns)

    def scales(self, seconds: float) -> dict[int, float]:
        """Return over how many windows of this length to look, each with its share of the probability.

        One alone where more would exceed the share of the reference that a window may count for.
        """
        if self.calibration.windows_carried(seconds) <= _WORTH_ADDING * WINDOW_SHARE:
            return {1: 1.0}
        return _SCALES

    @cached_property
    def weights(self) -> Numbers:
        """Share of its column's probability that each stream has, shape (k,).

        Location and value of a column often say the same: what both would spend is spent once.
        """
        weights = np.empty(len(self.calibration.streams))
        for name, places in self.units.items():
            names = [stream.name for stream in self.calibration.streams[places]]
            weights[places] = [_WEIGHTS.get(name, 1 / len(names)) for name in names]
            scores = self.scorer.columns.get(name)
            if isinstance(scores, RankScores):
                both = [places.start + names.index(LOCATION), places.start + names.index(VALUE)]
                weights[both] /= 1 - _exceed_together(scores.agreement) / 2
        return weights

    def find(self, windows: Sequence[Sums], probability: float) -> Findings:
        """Judge the last of the windows, together with those before it.

        Args:
            windows: sums of windows of one model version, newest last; those before a gap in time are not used.
            probability: with which a stable window may be called significant.
        """
        newest = windows[-1]
        scales = self.scales((newest.end - newest.start).total_seconds())
        single, joint = (SINGLE_SHARE, 1 - SINGLE_SHARE) if self.joint is not None else (1.0, 0.0)
        threshold = probability * single / max(len(self.units), 1)
        joint_threshold = probability * joint
        usable = _consecutive(windows)
        assessed = {scale: self.calibration.assess(usable[-scale:]) for scale in scales if len(usable) >= scale}
        weighted = {scale: found.p_values / self.weights / scales[scale] for scale, found in assessed.items()}
        found = {}
        for name, places in self.units.items():
            if newest.counts[places].min() <= 0:
                continue
            p_value, scale, stream = min(
                (float(values[places].min()), scale, int(values[places].argmin())) for scale, values in weighted.items()
            )
            p_value = min(p_value, 1.0)
            found[name] = Finding(name, p_value, scale, places.start + stream, p_value < threshold)
        p_value, scale = min((self._joint_p(together) / scales[scale], scale) for scale, together in assessed.items())
        p_value = min(p_value, 1.0)
        return Findings(
            tuple(found.values()),
            None if self.joint is None else Finding("(all)", p_value, scale, -1, p_value < joint_threshold),
            threshold,
            joint_threshold,
            assessed[1],
            scales[1],
            tuple(column.name for column in self.columns if column.name not in found),
        )

    @cached_property
    def joint_places(self) -> list[int]:
        """Places of the streams that the joint statistic adds up."""
        return [] if self.joint is None else [self.units[name].start for name in self.joint.columns]

    def _joint_p(self, assessment: Assessment) -> float:
        """Return the p-value of the sum of squares: a scaled chi-square with the same mean and variance.

        Satterthwaite, "An approximate distribution of estimates of variance components", 1946.
        """
        from scipy.special import chdtrc

        if self.joint is None:
            return 1.0
        here = [place for place in self.joint_places if assessment.counts[place] > 0]
        if not here:
            return 1.0
        total = float((assessment.normal[here] ** 2).sum())
        scale = self.joint.squares / len(self.joint_places)
        return float(chdtrc(len(here) / scale, total / scale))


def _exceed_together(correlation: float) -> float:
    """Return the chance that of two normal statistics the second is as far out, too, where the first is.

    Willink, "Bounds on the bivariate normal distribution function", 2004: this bound is closest to it.
    """
    from scipy.special import ndtr

    known = min(max(correlation, 0.0), 1.0)
    return (1 + known) * float(ndtr(-_FAR_OUT * np.sqrt((1 - known) / (1 + known))))


def _consecutive(windows: Sequence[Sums]) -> Sequence[Sums]:
    """Return the last windows, as far back as each begins where the one before ends."""
    first = len(windows) - 1
    while first > 0 and windows[first - 1].end == windows[first].start:
        first -= 1
    return windows[first:]
