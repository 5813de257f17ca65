"""How far a window's scores are from what the reference calls usual: a predictive t statistic per stream.

Its variance includes the error of the reference's own mean, its degrees of freedom that of the reference's own
variance, so that neither a lucky nor an unlucky reference decides. Sources stand with the formulas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftloop.monitor.calibration import LEAST_VARIANCE, StreamBaseline, widening_of
from driftloop.monitor.columns import Numbers
from driftloop.monitor.scores import LOCATION, RELATION, SKEWNESS, VALUE, Sums
from driftloop.monitor.season import basis

WINDOW_SHARE = 10
"""A window counts at most as if it had a tenth of the reference's rows: alarms are conditional on the one reference a
model has, and larger windows would let its luck decide."""
_CLUSTERED_SKEW = 2.0
_CLUSTERED_KURTOSIS = 24.0
"""What rows that resemble each other add to the skewness and kurtosis of a mean, beyond what as many independent ones
would have: simulated for the scores of normal AR(1) processes at .5 and .9, which give 1.9 and 2.7 times the skewness
of `spread` and an excess kurtosis of `skewness` of 4 and 19 over the effective rows."""
_TAILED = (SKEWNESS, RELATION)
_FLAT = 1e-6
_LIGHTEST = 0.2
"""Lighter tails make a statistic larger by so much at most."""


@dataclass(frozen=True)
class Assessment:
    """How far one window, or several in a row, are from what is usual, stream by stream; every array of shape (k,)."""

    counts: Numbers
    """Rows that have a score; where there are none, nothing else means anything."""
    shifts: Numbers
    """Mean score above what was expected."""
    errors: Numbers
    """Standard error of the shift, that of the reference included."""
    statistics: Numbers
    """Predictive t, corrected for skewness."""
    p_values: Numbers
    """Two-sided; 1 where there are no rows."""

    @property
    def normal(self) -> Numbers:
        """The statistics as they would be were the variance known: standard normal on stable traffic."""
        from scipy.special import ndtri

        return np.asarray(-np.sign(self.statistics) * ndtri(np.maximum(self.p_values, 1e-300) / 2))


@dataclass(frozen=True)
class Calibration:
    """The baselines of k streams, made ready for windows."""

    streams: Sequence[StreamBaseline]

    @cached_property
    def _periods(self) -> tuple[float, ...]:
        return tuple(sorted({period for stream in self.streams for period in stream.periods}))

    @cached_property
    def _coefficients(self) -> Numbers:
        """Of mean, variance and cube, shape (3, k, terms)."""
        tables = np.zeros((3, len(self.streams), 1 + 2 * len(self._periods)))
        for row, stream in enumerate(self.streams):
            places = [0, *(2 * self._periods.index(p) + offset for p in stream.periods for offset in (1, 2))]
            for table, moment in zip(tables, (stream.mean, stream.variance, stream.cube), strict=True):
                table[row, places] = moment
        return tables

    @cached_property
    def _autocorrelation(self) -> Numbers:
        lags = max((len(stream.autocorrelation) for stream in self.streams), default=0)
        rows = [[*stream.autocorrelation, *[0.0] * (lags - len(stream.autocorrelation))] for stream in self.streams]
        return np.array(rows).reshape(len(self.streams), lags)

    @cached_property
    def _facts(self) -> dict[str, Numbers]:
        names = ("rows", "design_effect", "degrees", "blocks", "block_rows", "block_seconds")
        facts = {name: np.array([float(getattr(s, name)) for s in self.streams]) for name in names}
        parameters = np.array([float(len(s.mean)) for s in self.streams])
        variance = np.array([s.variance[0] for s in self.streams])
        widening = widening_of(facts["blocks"], self._autocorrelation)
        facts["variance"] = variance
        # A location is bounded: means of few effective rows have lighter tails than the normal (Cornish and Fisher,
        # "Moments and cumulants in the specification of distributions", 1938). Elsewhere that is left on the safe side.
        facts["light_tail"] = np.array([min(s.kurtosis, 0.0) * (s.name == LOCATION) for s in self.streams])
        facts["heavy_tail"] = np.array([max(s.kurtosis, 0.0) * (s.name == VALUE) for s in self.streams])
        facts["tailed"] = np.array([float(s.name in _TAILED) for s in self.streams])
        facts["own_error"] = parameters * facts["design_effect"] * variance / np.maximum(facts["rows"], 1) * widening
        return facts

    @property
    def degrees(self) -> Numbers:
        """Degrees of freedom, shape (k,)."""
        return self._facts["degrees"]

    @property
    def usual_variance(self) -> Numbers:
        """Variance of one row's score without the season, shape (k,)."""
        return self._facts["variance"]

    def windows_carried(self, seconds: float) -> float:
        """Return how many windows of this length the reference is worth, by its rows and a usual window's."""
        facts = self._facts
        timed = facts["block_seconds"] > 0
        if not timed.any():
            return 0.0
        usual = facts["block_rows"][timed] * np.maximum(seconds / facts["block_seconds"][timed], 1.0)
        return float(np.median(facts["rows"][timed] / np.maximum(usual, 1)))

    def expect(self, start: float, end: float) -> tuple[Numbers, Numbers, Numbers]:
        """Return one row's mean, variance and third moment between two times in seconds, each of shape (k,)."""
        mean, variance, cube = self._coefficients
        if not self._periods:
            return mean[:, 0], variance[:, 0], cube[:, 0]
        blocks = [s.block_seconds for s in self.streams if s.block_seconds > 0]
        pieces = min(max(round((end - start) / min(blocks)), 1), 1000)
        middles = start + (np.arange(pieces) + 0.5) / pieces * (end - start)
        terms = basis(middles, self._periods).mean(axis=0)
        return mean @ terms, np.maximum(variance @ terms, variance[:, 0] / LEAST_VARIANCE), cube @ terms

    def variance(self, counts: Numbers, spread: Numbers, seconds: float) -> Numbers:
        """Return the variance of the mean of so many rows in a stretch, around what is expected there.

        Exact for a block as the reference has them. Fewer rows are taken to resemble each other as much, more rows to
        share the block's mood: the safe side of both. Longer stretches are several blocks.
        """
        facts = self._facts
        lengths = np.where(facts["block_seconds"] > 0, seconds / np.maximum(facts["block_seconds"], 1e-9), 1.0)
        lengths = np.maximum(lengths, 1.0)
        rows = np.maximum(counts, 1) / lengths
        effect, usual = facts["design_effect"], np.maximum(facts["block_rows"], 1)
        of_block = np.maximum(effect * spread / rows, np.maximum(effect - 1, 0) * spread / usual + spread / rows)
        return np.asarray(of_block / lengths * widening_of(lengths, self._autocorrelation))

    def assess(self, windows: Sequence[Sums]) -> Assessment:
        """Compare the sums of one window, or of several that follow each other, with what is usual."""
        from scipy.special import stdtr

        facts, k = self._facts, len(self.streams)
        counts, totals, expected, variance, squares, cubes = np.zeros((6, k))
        lengths = 0.0
        for window in windows:
            start, end = window.start.timestamp(), window.end.timestamp()
            mean, spread, cube = self.expect(start, end)
            of_mean = self.variance(window.counts, spread, end - start)
            counts, totals = counts + window.counts, totals + window.totals
            expected = expected + window.counts * mean
            variance = variance + window.counts**2 * of_mean
            squares, cubes = squares + window.counts * spread, cubes + window.counts * cube
            lengths += end - start
        rows = np.maximum(counts, 1)
        variance = variance / rows**2
        if len(windows) > 1:
            blocks = np.maximum(facts["block_seconds"], 1e-9)
            one = widening_of(np.maximum(lengths / len(windows) / blocks, 1), self._autocorrelation)
            variance = variance * widening_of(lengths / blocks, self._autocorrelation) / one
        own = facts["own_error"]
        predictive = np.maximum(variance, WINDOW_SHARE * own) + own
        shifts, errors = (totals - expected) / rows, np.sqrt(predictive)
        statistics = shifts / errors
        part = variance / predictive  # of the window itself, whose rows are few enough to be skewed
        clusters = facts["design_effect"]
        of_row = cubes / rows / np.maximum(squares / rows, _FLAT) ** 1.5
        skewness = of_row * np.sqrt(clusters / rows) * (1 + _CLUSTERED_SKEW * (1 - 1 / clusters))
        statistics = _without_skewness(statistics, skewness * part**1.5)
        lighter = -facts["light_tail"] / 24 * clusters / rows * part**2 * statistics**2
        statistics = statistics * (1 + np.minimum(lighter, _LIGHTEST))
        heavy_tail = facts["tailed"] * _CLUSTERED_KURTOSIS * (clusters - 1) + facts["heavy_tail"] * clusters
        # Student's t has an excess kurtosis of about 6 over its degrees of freedom.
        degrees = np.maximum(1 / (1 / facts["degrees"] + heavy_tail / rows * part**2 / 6), 1.0)
        p_values = np.where(counts > 0, 2 * stdtr(degrees, -np.abs(statistics)), 1.0)
        return Assessment(counts, shifts, errors, statistics, np.minimum(p_values, 1.0))


def _without_skewness(statistics: Numbers, skewness: Numbers) -> Numbers:
    """Return the statistics on a symmetric scale, never farther out than they were.

    A skewed sum is taken for a gamma variable, which Wilson and Hilferty's cube root makes nearly normal ("The
    distribution of chi-square", 1931); for counts it is close to the Poisson tail.
    """
    flat = np.abs(skewness) < _FLAT
    g = np.where(flat, 1.0, skewness)
    cube = np.cbrt(np.maximum(1 + g * statistics / 2, 0.0))
    symmetric = np.where(flat, statistics, 6 / g * (cube - 1) + g / 6)
    closer = np.minimum(np.abs(symmetric), np.abs(statistics))
    return np.asarray(np.copysign(closer, statistics))
