"""What a stable window's scores look like, learned from the time-ordered reference, and how far a window is from it.

The reference is cut into blocks as long as a live window. Their means show the season (daily and weekly harmonics), how
much more they scatter than independent rows would (the design effect: autocorrelation and moods), and whether blocks
resemble their neighbours. A window's mean is compared by a predictive t statistic: its variance includes the error of
the reference's own mean, its degrees of freedom that of the reference's own variance, so that neither a lucky nor an
unlucky reference decides. Sources stand with the formulas. Importing it must stay light.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from driftloop.monitor.columns import Numbers
from driftloop.monitor.scores import Sums
from driftloop.monitor.season import basis, fit_season
from driftloop.spec.boundary import Boundary

BLOCKS = 40
"""Blocks wanted: fewer know neither the design effect nor the season."""
ROWS_PER_BLOCK = 10
WINDOW_SHARE = 10
"""A window counts at most as if it had a tenth of the reference's rows."""
_RULE_OF_THREE = 3
_CLUSTERED_SKEW = 0.5


class StreamBaseline(Boundary):
    """What is usual of one score stream."""

    name: str
    """`location`, `spread`, `skewness`, a category, `(rare or new)`, or `relation`."""
    rows: int
    """Rows of the reference that have a score."""
    mean: tuple[float, ...]
    """Mean score: a constant, then cosine and sine of every period."""
    square: tuple[float, ...]
    """Mean squared score, in the same terms."""
    periods: tuple[float, ...] = ()
    """Periods of the season in seconds; none: no season was found."""
    skewness: float = 0.0
    """Of one row's score."""
    design_effect: float = 1.0
    """Variance of a block's mean over that of as many independent rows."""
    degrees: float
    """Degrees of freedom of the design effect."""
    blocks: int = 0
    """Blocks of time it was learned from; 0 without times."""
    block_rows: float = 0.0
    """Rows of a usual block."""
    block_seconds: float = 0.0
    """Length of a block."""
    autocorrelation: tuple[float, ...] = ()
    """Correlation of blocks at a distance of 1, 2, ... blocks, as far as it is significant."""


@dataclass(frozen=True)
class Blocks:
    """The reference cut by time."""

    of_row: npt.NDArray[np.int64]
    """Each row's block, shape (n,), counted from 0 over the blocks that have rows."""
    number: npt.NDArray[np.int64]
    """Each block's number since the Unix epoch, shape (blocks,), ascending."""
    seconds: float
    """Length of a block."""

    @property
    def middles(self) -> Numbers:
        """Seconds since the Unix epoch, shape (blocks,)."""
        return (self.number + 0.5) * self.seconds

    @property
    def span(self) -> float:
        """Seconds from the first block's start to the last one's end."""
        return float(self.number[-1] - self.number[0] + 1) * self.seconds


def cut_blocks(seconds: Numbers | None, window: timedelta | None) -> Blocks | None:
    """Cut event times into blocks as long as a window, or a whole fraction of it where that leaves too few.

    `seconds` since the Unix epoch has shape (n,). Returns None where time says nothing: no times, or one only.
    """
    if seconds is None or window is None or len(seconds) < 2 * ROWS_PER_BLOCK or np.ptp(seconds) <= 0:
        return None
    wanted = min(BLOCKS, len(seconds) // ROWS_PER_BLOCK)
    length = window.total_seconds()
    length /= max(np.ceil(length * wanted / np.ptp(seconds)), 1)
    number, of_row = np.unique(np.floor(seconds / length).astype(np.int64), return_inverse=True)
    return Blocks(of_row, number, length) if len(number) > 1 else None


def calibrate(
    scores: Numbers, names: Sequence[str], owners: Sequence[str], blocks: Blocks | None
) -> tuple[list[StreamBaseline], Numbers]:
    """Learn what is usual of k score streams; return it, and what it leaves unexplained, shape (blocks or n, k).

    Args:
        scores: every row's scores in order of time, shape (n, k), NaN where a value is missing.
        names: of the streams.
        owners: each stream's column, or pair; its streams share what is known of their autocorrelation.
        blocks: of the rows; None: rows are taken to be independent.
    """
    if blocks is None:
        return [_independent(name, column) for name, column in zip(names, scores.T, strict=True)], scores
    fits = [_fit(column, blocks) for column in scores.T]
    if not fits:
        return [], np.empty((len(blocks.number), 0))
    of_owner: dict[str, list[_Fit]] = {}
    for owner, fit in zip(owners, fits, strict=True):
        of_owner.setdefault(owner, []).append(fit)
    correlations = {owner: _autocorrelation(own, blocks) for owner, own in of_owner.items()}
    streams = [
        _stream(name, fit, correlations[owner], blocks) for name, owner, fit in zip(names, owners, fits, strict=True)
    ]
    return _moderate(streams, len(of_owner)), np.stack([fit.residuals for fit in fits], axis=1)


@dataclass(frozen=True)
class _Fit:
    """One stream's season, and what it leaves of the block means."""

    rows: int
    mean: Numbers
    square: Numbers
    periods: tuple[float, ...]
    skewness: float
    sizes: Numbers
    """Rows per block, shape (blocks,)."""
    residuals: Numbers
    """Block means without the season, in standard errors of as many independent rows, shape (blocks,)."""

    @property
    def parameters(self) -> int:
        return len(self.mean)


def _moments(scores: Numbers) -> tuple[float, float, float]:
    """Return mean, variance and skewness of a row's score, as wide as three more rows at the far end would make them.

    What n rows never showed can still have a share of 3 / n (the rule of three: Hanley and Lippman-Hand, "If nothing
    goes wrong, is everything all right?", 1983); without it a constant column would alarm at its first other value.
    """
    mean = float(scores.mean()) if len(scores) else 0.0
    away = scores - mean
    farthest = max(float(np.abs(away).max(initial=0.0)), 1.0)
    unseen = _RULE_OF_THREE / (len(scores) + _RULE_OF_THREE)
    variance = max(float((away**2).mean()) if len(scores) else 0.0, unseen * farthest**2)
    third = float((away**3).mean()) if len(scores) else 0.0
    if variance <= unseen * farthest**2:
        third = np.copysign(unseen * farthest**3, third)
    return mean, variance, third / variance**1.5


def _independent(name: str, scores: Numbers) -> StreamBaseline:
    known = scores[~np.isnan(scores)]
    mean, variance, skewness = _moments(known)
    return StreamBaseline(
        name=name,
        rows=len(known),
        mean=(mean,),
        square=(variance + mean**2,),
        skewness=skewness,
        degrees=max(len(known) - 1, 1),
    )


def _fit(scores: Numbers, blocks: Blocks) -> _Fit:
    present = ~np.isnan(scores)
    known, of_row, count = scores[present], blocks.of_row[present], len(blocks.number)
    sizes = np.bincount(of_row, minlength=count).astype(np.float64)
    share = 1 / np.maximum(sizes, 1)
    means = np.bincount(of_row, weights=known, minlength=count) * share
    squares = np.bincount(of_row, weights=known**2, minlength=count) * share
    mean, variance, skewness = _moments(known)
    periods, coefficients = fit_season(blocks.middles, means, sizes, blocks.seconds, blocks.span)
    if periods:
        design = basis(blocks.middles, periods)
        root = np.sqrt(sizes)
        square = np.linalg.lstsq(design * root[:, np.newaxis], squares * root, rcond=None)[0]
        expected, spread = (
            design @ coefficients,
            np.maximum(design @ square - (design @ coefficients) ** 2, variance / 4),
        )
    else:
        coefficients, square = np.array([mean]), np.array([variance + mean**2])
        expected, spread = np.full(count, mean), np.full(count, variance)
    residuals = (means - expected) * np.sqrt(sizes / spread)
    return _Fit(len(known), coefficients, square, periods, skewness, sizes, residuals)


def _autocorrelation(fits: Sequence[_Fit], blocks: Blocks) -> tuple[float, ...]:
    """Return the correlation of residuals by distance, pooled over a column's streams, while it is significant.

    Corrected for what the fit took away (Marriott and Pope, "Bias in the estimation of autocorrelations", 1954).
    """
    residuals = np.stack([fit.residuals for fit in fits], axis=1)
    power = (residuals**2).mean()
    kept: list[float] = []
    lost = max(fit.parameters for fit in fits) / len(blocks.number)
    for distance in range(1, len(blocks.number) // 5 + 1):
        here = np.isin(blocks.number, blocks.number - distance)
        there = np.isin(blocks.number, blocks.number + distance)
        if here.sum() < ROWS_PER_BLOCK or power <= 0:
            break
        found = float((residuals[here] * residuals[there]).mean() / power) + lost
        if found < 1.645 / np.sqrt(here.sum()) + lost:
            break
        kept.append(min(found, 0.95))
    return tuple(kept)


def _widening(lengths: npt.NDArray[np.float64], autocorrelation: Numbers) -> Numbers:
    """Return by how much correlated blocks widen the variance of the mean of so many of them.

    `lengths` has shape (k,), `autocorrelation` (k, lags).
    """
    lags = np.arange(1, autocorrelation.shape[1] + 1)
    weights = np.maximum(1 - lags / np.maximum(lengths, 1)[:, np.newaxis], 0)
    return np.asarray(1 + 2 * (weights * autocorrelation).sum(axis=1))


def _stream(name: str, fit: _Fit, autocorrelation: tuple[float, ...], blocks: Blocks) -> StreamBaseline:
    filled = int((fit.sizes > 0).sum())
    widening = float(_widening(np.array([float(filled)]), np.array([autocorrelation]))[0])
    block_rows = float((fit.sizes**2).sum() / max(fit.sizes.sum(), 1))
    free = max(filled - fit.parameters * min(widening, filled / (2 * fit.parameters)), 1.0)
    effect = float((fit.residuals**2).sum() / free)
    # A variance estimated from skewed or from correlated means is known less well (Bartlett, 1946).
    heavy = 1 + (fit.skewness**2 * max(effect, 1.0) / max(block_rows, 1.0)) / 2
    degrees = max(filled - fit.parameters, 1) / (heavy * (1 + 2 * sum(r**2 for r in autocorrelation)))
    return StreamBaseline(
        name=name,
        rows=fit.rows,
        mean=tuple(fit.mean.tolist()),
        square=tuple(fit.square.tolist()),
        periods=fit.periods,
        skewness=fit.skewness,
        design_effect=effect,
        degrees=max(degrees, 1.0),
        blocks=filled,
        block_rows=block_rows,
        block_seconds=blocks.seconds,
        autocorrelation=autocorrelation,
    )


def _moderate(streams: list[StreamBaseline], columns: int) -> list[StreamBaseline]:
    """Shrink design effects that agree towards what they have in common, which makes them better known.

    Empirical Bayes: Smyth, "Linear models and empirical Bayes methods for assessing differential expression", 2004,
    section 6.2; streams that are clearly above the common value keep their own, as in Phipson et al., "Robust
    hyperparameter estimation protects against hypervariable genes", 2016. Below 1, that of independent rows, none is
    taken at its word.
    """
    from scipy.special import digamma, polygamma

    effects = np.array([max(stream.design_effect, 1e-3) for stream in streams])
    degrees = np.array([stream.degrees for stream in streams])
    logs = np.log(effects) - digamma(degrees / 2) + np.log(degrees / 2)
    errors = np.sqrt(polygamma(1, degrees / 2))
    typical = np.abs(logs - np.median(logs)) < 3 * errors
    prior, prior_degrees = 1.0, 0.0
    if typical.sum() >= 3:  # noqa: PLR2004 - fewer have nothing in common
        center = float(logs[typical].mean())
        excess = float(logs[typical].var(ddof=1) - (errors[typical] ** 2).mean())
        prior_degrees = min(
            2 * _inverse_trigamma(excess) if excess > 0 else np.inf, columns * float(np.median(degrees))
        )
        prior = float(np.exp(center + digamma(prior_degrees / 2) - np.log(prior_degrees / 2)))
    own = logs - np.log(prior) > 1.645 * errors
    moderated = []
    for stream, effect, free, keeps in zip(streams, effects, degrees, own, strict=True):
        weight = 0.0 if keeps else prior_degrees
        shrunk = max((free * effect + weight * prior) / (free + weight), 1.0)
        moderated.append(stream.model_copy(update={"design_effect": float(shrunk), "degrees": float(free + weight)}))
    return moderated


def _inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value > 0, by Newton's method (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(20):
        trigamma = float(polygamma(1, x))
        x += trigamma * (1 - trigamma / value) / float(polygamma(2, x))
    return x


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
    def _coefficients(self) -> tuple[Numbers, Numbers]:
        tables = np.zeros((2, len(self.streams), 1 + 2 * len(self._periods)))
        for row, stream in enumerate(self.streams):
            places = [0, *(2 * self._periods.index(p) + offset for p in stream.periods for offset in (1, 2))]
            tables[0, row, places], tables[1, row, places] = stream.mean, stream.square
        return tables[0], tables[1]

    @cached_property
    def _autocorrelation(self) -> Numbers:
        lags = max((len(stream.autocorrelation) for stream in self.streams), default=0)
        rows = [[*stream.autocorrelation, *[0.0] * (lags - len(stream.autocorrelation))] for stream in self.streams]
        return np.array(rows).reshape(len(self.streams), lags)

    @cached_property
    def _facts(self) -> dict[str, Numbers]:
        names = ("rows", "skewness", "design_effect", "degrees", "blocks", "block_rows", "block_seconds")
        facts = {name: np.array([float(getattr(s, name)) for s in self.streams]) for name in names}
        parameters = np.array([float(len(s.mean)) for s in self.streams])
        variance = np.array([s.square[0] - s.mean[0] ** 2 - sum(c**2 for c in s.mean[1:]) / 2 for s in self.streams])
        widening = _widening(facts["blocks"], self._autocorrelation)
        facts["variance"] = variance
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

    def expect(self, start: float, end: float) -> tuple[Numbers, Numbers]:
        """Return mean and variance of one row's scores between two times in seconds, each of shape (k,)."""
        mean, square = self._coefficients
        if not self._periods:
            return mean[:, 0], square[:, 0] - mean[:, 0] ** 2
        blocks = [s.block_seconds for s in self.streams if s.block_seconds > 0]
        pieces = min(max(round((end - start) / min(blocks)), 1), 1000)
        middles = start + (np.arange(pieces) + 0.5) / pieces * (end - start)
        terms = basis(middles, self._periods)
        means, squares = terms @ mean.T, terms @ square.T
        floor = (square[:, 0] - mean[:, 0] ** 2 - (mean[:, 1:] ** 2).sum(axis=1) / 2) / 4
        return means.mean(axis=0), np.maximum(squares - means**2, floor).mean(axis=0)

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
        return np.asarray(of_block / lengths * _widening(lengths, self._autocorrelation))

    def assess(self, windows: Sequence[Sums]) -> Assessment:
        """Compare the sums of one window, or of several that follow each other, with what is usual."""
        from scipy.special import stdtr

        facts, k = self._facts, len(self.streams)
        counts, totals, expected, variance, third = (np.zeros(k) for _ in range(5))
        lengths = 0.0
        for window in windows:
            start, end = window.start.timestamp(), window.end.timestamp()
            mean, spread = self.expect(start, end)
            of_mean = self.variance(window.counts, spread, end - start)
            counts, totals = counts + window.counts, totals + window.totals
            expected = expected + window.counts * mean
            variance = variance + window.counts**2 * of_mean
            lengths += end - start
        rows = np.maximum(counts, 1)
        variance = variance / rows**2
        if len(windows) > 1:
            blocks = np.maximum(facts["block_seconds"], 1e-9)
            one = _widening(np.maximum(lengths / len(windows) / blocks, 1), self._autocorrelation)
            variance = variance * _widening(lengths / blocks, self._autocorrelation) / one
        own = facts["own_error"]
        predictive = np.maximum(variance, WINDOW_SHARE * own) + own
        shifts, errors = (totals - expected) / rows, np.sqrt(predictive)
        clusters = facts["design_effect"]
        skewness = facts["skewness"] * np.sqrt(clusters / rows) * (1 + _CLUSTERED_SKEW * (1 - 1 / clusters))
        statistics = _without_skewness(shifts / errors, skewness * (variance / predictive) ** 1.5)
        p_values = np.where(counts > 0, 2 * stdtr(facts["degrees"], -np.abs(statistics)), 1.0)
        return Assessment(counts, shifts, errors, statistics, np.minimum(p_values, 1.0))


def _without_skewness(statistics: Numbers, skewness: Numbers) -> Numbers:
    """Return the statistics on a symmetric scale, never farther out than they were.

    A skewed sum is taken for a gamma variable, which Wilson and Hilferty's cube root makes nearly normal ("The
    distribution of chi-square", 1931); for counts it is close to the Poisson tail.
    """
    flat = np.abs(skewness) < 1e-6
    g = np.where(flat, 1.0, skewness)
    cube = np.cbrt(np.maximum(1 + g * statistics / 2, 0.0))
    symmetric = np.where(flat, statistics, 6 / g * (cube - 1) + g / 6)
    closer = np.minimum(np.abs(symmetric), np.abs(statistics))
    return np.asarray(np.copysign(closer, statistics))
