"""What a stable window's scores look like, learned from the time-ordered reference; `assessment` compares with it.

The reference is cut into blocks as long as a live window. Their means show the season (daily and weekly harmonics), how
much more they scatter than independent rows would (the design effect: autocorrelation and moods), and whether blocks
resemble their neighbours. Sources stand with the formulas. Importing it must stay light.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from driftloop.monitor.columns import Numbers
from driftloop.monitor.scores import RELATION, SHAPES
from driftloop.monitor.season import DAY, basis, find_periods
from driftloop.spec.boundary import Boundary

BLOCKS = 40
"""Blocks wanted: fewer know neither the design effect nor the season."""
ROWS_PER_BLOCK = 10
LEAST_VARIANCE = 4
"""A season's hour has at least a quarter of the usual variance: the fit may not say that nothing can happen there."""
_RULE_OF_THREE = 3
_ABOVE, _BELOW = 1.645, 3.0
"""Standard errors of a design effect's logarithm from the common one at which it is taken for its own."""


class StreamBaseline(Boundary):
    """What is usual of one score stream."""

    name: str
    """`location`, `spread`, `skewness`, a category, `(rare or new)`, or `relation`."""
    rows: int
    """Rows of the reference that have a score."""
    mean: tuple[float, ...]
    """Mean score: a constant, then cosine and sine of every period."""
    variance: tuple[float, ...]
    """Mean squared distance of one row's score from that mean, in the same terms."""
    cube: tuple[float, ...]
    """Mean cubed distance, likewise."""
    periods: tuple[float, ...] = ()
    """Periods of the season in seconds; none: no season was found."""
    kurtosis: float = 0.0
    """Excess kurtosis of one row's score."""
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
    trend: float = 1.0
    """p-value of a straight trend over the reference."""


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
    length /= _pieces(length, max(int(np.ceil(length * wanted / np.ptp(seconds))), 1))
    number, of_row = np.unique(np.floor(seconds / length).astype(np.int64), return_inverse=True)
    return Blocks(of_row, number, length) if len(number) > 1 else None


def _pieces(length: float, least: int) -> int:
    """Return into how many blocks a window is cut: whole days where it can be, so that no block is a morning more."""
    days = length / DAY
    if days.is_integer() and least <= days:
        return next(pieces for pieces in range(least, int(days) + 1) if days % pieces == 0)
    return least


def calibrate(
    scores: Numbers, names: Sequence[str], owners: Sequence[str], blocks: Blocks | None
) -> tuple[list[StreamBaseline], Numbers]:
    """Learn what is usual of k score streams; return it, and what it leaves unexplained, shape (blocks or n, k).

    Args:
        scores: every row's scores in order of time, shape (n, k), NaN where a value is missing.
        names: of the streams.
        owners: each stream's column, or pair; its streams share their season's periods and their autocorrelation.
        blocks: of the rows; None: rows are taken to be independent.
    """
    if blocks is None:
        return [_independent(name, column) for name, column in zip(names, scores.T, strict=True)], scores
    if not names:
        return [], np.empty((len(blocks.number), 0))
    seasons: dict[str, set[float]] = {owner: set() for owner in owners}
    for owner, column in zip(owners, scores.T, strict=True):
        sizes, means = _block_means(column, blocks)
        seasons[owner].update(find_periods(blocks.middles, means, sizes, blocks.seconds, blocks.span))
    fits = [
        _fit(column, tuple(sorted(seasons[owner], reverse=True)), blocks)
        for owner, column in zip(owners, scores.T, strict=True)
    ]
    of_owner: dict[str, list[_Fit]] = {}
    for owner, fit in zip(owners, fits, strict=True):
        of_owner.setdefault(owner, []).append(fit)
    correlations = {owner: _autocorrelation(own, blocks) for owner, own in of_owner.items()}
    streams = [
        _stream(name, fit, correlations[owner], blocks) for name, owner, fit in zip(names, owners, fits, strict=True)
    ]
    return _moderate_alike(streams), np.stack([fit.residuals for fit in fits], axis=1)


@dataclass(frozen=True)
class _Fit:
    """One stream's season, and what it leaves of the block means."""

    rows: int
    mean: Numbers
    variance: Numbers
    cube: Numbers
    periods: tuple[float, ...]
    kurtosis: float
    sizes: Numbers
    """Rows per block, shape (blocks,)."""
    residuals: Numbers
    """Block means without the season, in standard errors of as many independent rows, shape (blocks,)."""

    @property
    def parameters(self) -> int:
        return len(self.mean)

    @property
    def skewness(self) -> float:
        """Of a usual row's score."""
        return float(self.cube[0] / self.variance[0] ** 1.5)


def _moments(scores: Numbers) -> tuple[float, float, float, float]:
    """Return a row's score's mean, its second and third moment about it, and its excess kurtosis.

    As wide as three more rows at the far end would make them: what n rows never showed can still have a share of 3 / n
    (the rule of three: Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", 1983). Without it a
    constant column would alarm at its first other value.
    """
    mean = float(scores.mean()) if len(scores) else 0.0
    away = scores - mean
    farthest = max(float(np.abs(away).max(initial=0.0)), 1.0)
    unseen = _RULE_OF_THREE / (len(scores) + _RULE_OF_THREE)
    second, third, fourth = (float((away**power).mean()) if len(scores) else 0.0 for power in (2, 3, 4))
    if second <= unseen * farthest**2:
        second, third, fourth = (unseen * farthest**power for power in (2, 3, 4))
    return mean, second, third, fourth / second**2 - 3


def _independent(name: str, scores: Numbers) -> StreamBaseline:
    known = scores[~np.isnan(scores)]
    mean, variance, cube, kurtosis = _moments(known)
    return StreamBaseline(
        name=name,
        rows=len(known),
        mean=(mean,),
        variance=(variance,),
        cube=(cube,),
        kurtosis=kurtosis,
        degrees=max(len(known) - 1, 1),
    )


def _block_means(scores: Numbers, blocks: Blocks) -> tuple[Numbers, Numbers]:
    """Return rows and mean score of each block, 0 where it has none."""
    present = ~np.isnan(scores)
    of_row, count = blocks.of_row[present], len(blocks.number)
    sizes = np.bincount(of_row, minlength=count).astype(np.float64)
    return sizes, np.bincount(of_row, weights=scores[present], minlength=count) / np.maximum(sizes, 1)


def _fit(scores: Numbers, periods: tuple[float, ...], blocks: Blocks) -> _Fit:
    known = scores[~np.isnan(scores)]
    sizes, means = _block_means(scores, blocks)
    if not periods:
        overall, second, third, kurtosis = _moments(known)
        residuals = (means - overall) * np.sqrt(sizes / second)
        mean, variance, cube = (np.array([moment]) for moment in (overall, second, third))
        return _Fit(len(known), mean, variance, cube, periods, kurtosis, sizes, residuals)
    design, root = basis(blocks.middles, periods), np.sqrt(sizes)[:, np.newaxis]
    inverse = np.linalg.pinv(design * root) * root.T
    mean = inverse @ means
    away = scores - (design @ mean)[blocks.of_row]
    variance, cube = (inverse @ _block_means(away**power, blocks)[1] for power in (2, 3))
    _, second, _, kurtosis = _moments(away[~np.isnan(away)])
    variance[0] = max(variance[0], second / LEAST_VARIANCE)
    spread = np.maximum(design @ variance, variance[0] / LEAST_VARIANCE)
    residuals = (means - design @ mean) * np.sqrt(sizes / spread)
    return _Fit(len(known), mean, variance, cube, periods, kurtosis, sizes, residuals)


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


def widening_of(lengths: npt.NDArray[np.float64], autocorrelation: Numbers) -> Numbers:
    """Return by how much correlated blocks widen the variance of the mean of so many of them.

    `lengths` has shape (k,), `autocorrelation` (k, lags).
    """
    lags = np.arange(1, autocorrelation.shape[1] + 1)
    weights = np.maximum(1 - lags / np.maximum(lengths, 1)[:, np.newaxis], 0)
    return np.asarray(1 + 2 * (weights * autocorrelation).sum(axis=1))


def _stream(name: str, fit: _Fit, autocorrelation: tuple[float, ...], blocks: Blocks) -> StreamBaseline:
    filled = int((fit.sizes > 0).sum())
    widening = float(widening_of(np.array([float(filled)]), np.array([autocorrelation]))[0])
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
        variance=tuple(fit.variance.tolist()),
        cube=tuple(fit.cube.tolist()),
        periods=fit.periods,
        kurtosis=fit.kurtosis,
        design_effect=effect,
        degrees=max(degrees, 1.0),
        blocks=filled,
        block_rows=block_rows,
        block_seconds=blocks.seconds,
        autocorrelation=autocorrelation,
        trend=_trend(fit, blocks),
    )


def _trend(fit: _Fit, blocks: Blocks) -> float:
    """Return the p-value of a straight trend of the residuals; neighbours that resemble each other tell less of it."""
    from scipy.special import stdtr

    filled = fit.sizes > 0
    times, residuals = blocks.middles[filled], fit.residuals[filled]
    times = times - times.mean()
    if len(times) < 2 * ROWS_PER_BLOCK or not (times.any() and residuals.any()):
        return 1.0
    slope = float(times @ residuals / (times @ times))
    rest = residuals - residuals.mean() - slope * times
    power = max(float(rest @ rest), 1e-12)
    alike = min(max(float(rest[1:] @ rest[:-1]) / power + (2 + fit.parameters) / len(rest), 0.0), 0.95)
    free = len(rest) * (1 - alike) / (1 + alike) - 1 - fit.parameters
    if free < 1:
        return 1.0
    return float(2 * stdtr(free, -abs(slope) * np.sqrt(free * float(times @ times) / power)))


def _moderate_alike(streams: Sequence[StreamBaseline]) -> list[StreamBaseline]:
    """Moderate what is alike: locations with locations, spreads with spreads, and so on; all categories are alike."""
    alike: dict[str, list[int]] = {}
    for place, stream in enumerate(streams):
        alike.setdefault(stream.name if stream.name in {*SHAPES, RELATION} else "", []).append(place)
    moderated = {
        place: stream
        for places in alike.values()
        for place, stream in zip(places, _moderate([streams[place] for place in places]), strict=True)
    }
    return [moderated[place] for place in range(len(streams))]


def _moderate(streams: Sequence[StreamBaseline]) -> list[StreamBaseline]:
    """Shrink design effects that agree towards what they have in common, which makes them better known.

    Empirical Bayes: Smyth, "Linear models and empirical Bayes methods for assessing differential expression", 2004,
    section 6.2; streams that are clearly above or far below the common value keep their own, as in Phipson et al.,
    "Robust hyperparameter estimation protects against hypervariable genes", 2016. Below 1, that of independent rows,
    none is taken at its word.
    """
    from scipy.special import digamma, polygamma

    effects = np.array([max(stream.design_effect, 1e-3) for stream in streams])
    degrees = np.array([stream.degrees for stream in streams])
    logs = np.log(effects) - digamma(degrees / 2) + np.log(degrees / 2)
    errors = np.sqrt(polygamma(1, degrees / 2))
    typical = np.abs(logs - np.median(logs)) < _BELOW * errors
    prior, prior_degrees = 1.0, 0.0
    if typical.sum() >= max(3, len(streams) / 2):  # fewer have nothing in common
        center = float(logs[typical].mean())
        excess = float(logs[typical].var(ddof=1) - (errors[typical] ** 2).mean())
        prior_degrees = min(
            2 * _inverse_trigamma(excess) if excess > 0 else np.inf, len(streams) * float(np.median(degrees))
        )
        prior = float(np.exp(center + digamma(prior_degrees / 2) - np.log(prior_degrees / 2)))
    away = (logs - np.log(prior)) / errors
    own = (away > _ABOVE) | (away < -_BELOW)
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
