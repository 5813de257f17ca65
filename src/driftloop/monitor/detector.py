"""Which columns are significantly away from what is usual: two families of tests over one and several windows.

The largest statistic over all columns sees a change of few columns; the sum of squares over the features' locations
sees small shifts of many. Both are asked of the newest window and of the last four together; together they may alarm
with the probability that the budget leaves a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from driftloop.monitor.assessment import WINDOW_SHARE, Assessment, Calibration
from driftloop.monitor.baseline import ColumnBaseline
from driftloop.monitor.relations import JointBaseline, PairBaseline
from driftloop.monitor.scores import Scorer, Sums, pair_name

LONG = 4
"""Windows that are judged together besides the newest alone."""
SINGLE_SHARE = 0.7
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

    def scales(self, seconds: float) -> tuple[int, ...]:
        """Return over how many windows of this length to look; one where more would exceed the reference's share."""
        return (1, LONG) if self.calibration.windows_carried(seconds) > _WORTH_ADDING * WINDOW_SHARE else (1,)

    def find(self, windows: Sequence[Sums], probability: float) -> Findings:
        """Judge the last of the windows, together with those before it.

        Args:
            windows: sums of windows of one model version, newest last; those before a gap in time are not used.
            probability: with which a stable window may be called significant.
        """
        newest = windows[-1]
        scales = self.scales((newest.end - newest.start).total_seconds())
        single, joint = (SINGLE_SHARE, 1 - SINGLE_SHARE) if self.joint is not None else (1.0, 0.0)
        threshold = probability * single / max(len(self.units), 1) / len(scales)
        joint_threshold = probability * joint / len(scales)
        usable = _consecutive(windows)
        assessed = {scale: self.calibration.assess(usable[-scale:]) for scale in scales if len(usable) >= scale}
        found = {}
        for name, places in self.units.items():
            if newest.counts[places].min() <= 0:
                continue
            width = places.stop - places.start
            best = min(
                (float(a.p_values[places].min()), scale, int(a.p_values[places].argmin()))
                for scale, a in assessed.items()
            )
            p_value = min(best[0] * width, 1.0)
            found[name] = Finding(name, p_value, best[1], places.start + best[2], p_value < threshold)
        together = [(self._joint_p(assessment), scale) for scale, assessment in assessed.items()]
        p_value, scale = min(together)
        return Findings(
            tuple(found.values()),
            None if self.joint is None else Finding("(all)", p_value, scale, -1, p_value < joint_threshold),
            threshold,
            joint_threshold,
            assessed[1],
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


def _consecutive(windows: Sequence[Sums]) -> Sequence[Sums]:
    """Return the last windows, as far back as each begins where the one before ends."""
    first = len(windows) - 1
    while first > 0 and windows[first - 1].end == windows[first].start:
        first -= 1
    return windows[first:]
