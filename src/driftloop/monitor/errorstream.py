"""Concept drift on the error stream: did the model's errors rise at some point of the labelled stream, and when?

A generalised likelihood ratio: of all moments since which the errors could be higher, the likeliest one. Before it
stand the test rows and the windows so far; in a window's verdict rows count as many as they are worth, because rows
close in time are alike. Pure; reads sums, keeps no rows. What it means is `triage`'s to say.

Sources: Lai, "Sequential changepoint detection in quality control and dynamical systems", 1995 (window-limited
likelihood ratios); McCullagh and Nelder, "Generalized Linear Models", 1989, ch. 9 (deviances with a dispersion).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.monitor.columns import PREDICTION, Numbers, column_of, read_numbers
from driftloop.monitor.effective import intraclass_correlation
from driftloop.monitor.performance import MATERIAL_DROP, MATERIAL_LOSS_INCREASE, read_answers, read_truth
from driftloop.spec import DataSchema, ErrorChange, Task
from driftloop.spec.boundary import Boundary

ERROR_WINDOWS = 8
"""Windows that a verdict looks at, its own included."""
SUB_BLOCKS = 8
"""Parts of a window between which a change can begin."""
_CAP = 0.99
"""Absolute errors beyond this quantile of the test rows' count as much as it: one wild row is no concept drift."""
_FEWEST_BLOCKS, _ENOUGH_BLOCKS = 8, 20
_CLEARLY = 2.0
"""Standard errors from which on longer blocks are taken to be more alike than shorter ones say."""

# Thresholds are the logarithm of the odds against chance, shifted for the moments searched; fitted to simulations.
_WINDOWS_SHIFT = 1.0
"""8 to 24 windows of 8 sub-blocks, references of 10 to 100 windows: share of alarming windows within a factor 1.3."""
_ITEMS_SHIFT = -0.7
"""Bernoulli streams of 10,000 items at error rates of .01 to .5: first alarms per item within a factor 1.6."""


class ErrorBaseline(Boundary):
    """What is usual of a model's errors: those on its test rows."""

    mean: float = 0.0
    """Share of wrong answers; for regression the mean absolute error, capped."""
    rows: int = 0
    """Test rows it was measured on; 0: nothing is known, and nothing is judged."""
    cap: float | None = None
    """Regression: largest absolute error that counts in full; None for classification."""
    dispersion: float = 1.0
    """Variance of one row's error over that of its family at that mean: mean (1 - mean), or mean squared."""
    correlation: float = 0.0
    """Correlation of errors in the same block of time, 0 to 1."""
    block_seconds: float = 0.0
    """Length of those blocks; 0 without times."""
    blocks: int = 0
    """How many there were; 0 without times."""

    def design_effect(self, rows_per_block: float, threshold: float) -> float:
        """Return by how much to divide rows, so many in a block, to have what they are worth (Kish).

        At the test rows' own blocks it is widened by Student's t in the place of the normal, as far out as the
        threshold: few blocks may have looked independent by luck.
        """
        if self.blocks < 2:  # noqa: PLR2004 - one block has nothing to differ from
            return 1.0
        from scipy.stats import norm, t

        deviations = math.sqrt(2 * threshold)
        widening = float(t.isf(norm.sf(deviations), self.blocks - 1) / deviations) ** 2 - 1
        known_at = max(self.rows / self.blocks, 1.0)
        correlation = self.correlation + widening * (1 + (known_at - 1) * self.correlation) / known_at
        return 1 + max(rows_per_block - 1, 0.0) * correlation


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """The errors of one window of one model version, in parts of equal time; those of replicas add up."""

    start: datetime
    end: datetime
    counts: Numbers
    """Labelled rows per part, shape (SUB_BLOCKS,)."""
    totals: Numbers
    """Sum of their errors."""

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        """Return the sums of both halves of the same window's rows, in any order."""
        return ErrorSums(self.start, self.end, self.counts + other.counts, self.totals + other.totals)


def read_errors(labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Numbers:
    """Return 1 for a wrong answer and 0 for a right one, or the absolute error; NaN where either can't be read."""
    truth = read_truth(labels, schema)
    if schema.task is Task.DECISION:
        return np.full(len(truth), np.nan)  # a reward is no error; how it falls, `performance` says
    if schema.task is Task.REGRESSION:
        distance: Numbers = np.abs(truth - read_numbers(column_of(outputs, PREDICTION)))
        return distance
    predictions = read_answers(outputs, schema)[0].predictions
    wrong: Numbers = np.where(np.isnan(truth) | np.isnan(predictions), np.nan, truth != predictions)
    return wrong


def build_error_baseline(
    errors: Numbers, seconds: Numbers | None, task: Task, window: timedelta | None
) -> ErrorBaseline:
    """Describe the errors on a model's test rows.

    Args:
        errors: as `read_errors` returns them, shape (n,).
        seconds: times of the rows, shape (n,); None: rows are taken to be independent.
        task: classification or regression.
        window: length of the live windows; None: rows are taken to be independent.
    """
    known = ~np.isnan(errors) & (True if seconds is None else ~np.isnan(seconds))
    errors = errors[known]
    seconds = None if seconds is None else seconds[known]
    if len(errors) == 0:
        return ErrorBaseline()
    cap, dispersion = None, 1.0
    if task is Task.REGRESSION:
        cap = float(np.quantile(errors, _CAP))
        errors = np.minimum(errors, cap)
        dispersion = float(errors.var() / max(errors.mean() ** 2, np.finfo(float).tiny)) or 1.0
    correlation, block_seconds, blocks = _likeness(errors, seconds, window)
    return ErrorBaseline(
        mean=float(errors.mean()),
        rows=len(errors),
        cap=cap,
        dispersion=dispersion,
        correlation=correlation,
        block_seconds=block_seconds,
        blocks=blocks,
    )


def error_sums(
    baseline: ErrorBaseline, errors: Numbers, seconds: Numbers, *, start: datetime, end: datetime
) -> ErrorSums:
    """Sum up a window's errors; `errors` as `read_errors` returns them, `seconds` the rows' times, shape (n,)."""
    known = ~np.isnan(errors)
    errors = errors[known] if baseline.cap is None else np.minimum(errors[known], baseline.cap)
    share = (seconds[known] - start.timestamp()) / (end - start).total_seconds()
    part = np.clip(share * SUB_BLOCKS, 0, SUB_BLOCKS - 1).astype(np.int64)
    return ErrorSums(
        start,
        end,
        np.bincount(part, minlength=SUB_BLOCKS).astype(np.float64),
        np.bincount(part, errors, minlength=SUB_BLOCKS).astype(np.float64),
    )


def judge_errors(baseline: ErrorBaseline, windows: Sequence[ErrorSums], probability: float) -> ErrorChange | None:
    """Judge whether errors rose before the end of the last window; None without a row to judge by.

    Args:
        baseline: of the model version.
        windows: its windows up to the one judged, newest last.
        probability: chance with which a window of stable errors may be the first to alarm.
    """
    counts = np.concatenate([window.counts for window in windows])
    totals = np.concatenate([window.totals for window in windows])
    if baseline.rows == 0 or counts.sum() == 0:
        return None
    seconds = sum((window.end - window.start).total_seconds() for window in windows)
    rows_per_block = counts.sum() * baseline.block_seconds / seconds
    threshold = math.log(1 / probability) + _WINDOWS_SHIFT
    weights = counts / (baseline.design_effect(rows_per_block, threshold) * baseline.dispersion)
    test_rows = baseline.design_effect(baseline.rows / max(baseline.blocks, 1), threshold) * baseline.dispersion
    means = totals / np.maximum(counts, 1)
    worth = baseline.rows / test_rows
    after = _since_each(weights), _since_each(weights * means)
    before = worth + weights.sum() - after[0], worth * baseline.mean + (weights * means).sum() - after[1]
    statistic = _rise(before, after, bernoulli=baseline.cap is None)
    place = int(np.argmax(np.where(after[0] > 0, statistic, -1.0)))
    usual, current = float(before[1][place] / before[0][place]), float(after[1][place] / after[0][place])
    material = MATERIAL_DROP if baseline.cap is None else MATERIAL_LOSS_INCREASE * usual
    changed = bool(statistic[place] > threshold and current - usual >= material)
    window, part = windows[place // SUB_BLOCKS], place % SUB_BLOCKS
    return ErrorChange(
        since=window.start + (window.end - window.start) * (part / SUB_BLOCKS) if changed else None,
        before=usual,
        after=current,
        statistic=float(statistic[place]),
        threshold=threshold,
        changed=changed,
    )


class ErrorWatch:
    """Watches a stream of right and wrong answers one by one; it begins anew after every alarm.

    The moments tried lie 1 to 20,000 items back, each about 15 % farther than the one before. Rows are taken to be
    independent. A rise can show only where an answer is wrong, and the search is made only there.
    """

    _SPACING, _MEMORY = 1.15, 20_000

    def __init__(self, false_alarms_per_item: float, *, fewest_before: int = 100) -> None:
        """Begin with an empty stream.

        Args:
            false_alarms_per_item: rate of alarms on a stream whose error rate does not change.
            fewest_before: items that a change must have before it.
        """
        self.false_alarms_per_item = false_alarms_per_item
        self.fewest_before = fewest_before
        self.threshold = math.log(1 / false_alarms_per_item) + _ITEMS_SHIFT
        ages = [1]
        while ages[-1] < self._MEMORY:
            ages.append(max(ages[-1] + 1, int(ages[-1] * self._SPACING)))
        self._ages = np.array(ages)
        self._wrong = np.zeros(2 * self._MEMORY + 1)
        self._items = 0

    def update(self, *, is_wrong: bool) -> bool:
        """Take in the next answer; return whether the error rate has risen."""
        if self._items == len(self._wrong) - 1:
            kept = self._wrong[-self._MEMORY - 1 :].copy()
            self._wrong[: len(kept)] = kept - kept[0]
            self._items = self._MEMORY
        self._items += 1
        self._wrong[self._items] = self._wrong[self._items - 1] + is_wrong
        rose = is_wrong and self._has_risen()
        if rose:
            self._items = 0
        return rose

    def _has_risen(self) -> bool:
        items, wrong = self._items, self._wrong
        ages = self._ages[: np.searchsorted(self._ages, items - self.fewest_before, side="right")]
        if len(ages) == 0:
            return False
        earlier = wrong[items - ages]
        after = ages.astype(np.float64), wrong[items] - earlier
        statistic = _rise((items - after[0], earlier), after, bernoulli=True)
        rise = after[1] / after[0] - earlier / (items - after[0])
        return bool(np.any((statistic > self.threshold) & (rise >= MATERIAL_DROP)))


def _since_each(values: Numbers) -> Numbers:
    sums: Numbers = np.cumsum(values[::-1])[::-1]
    return sums


def _rise(before: tuple[Any, Any], after: tuple[Any, Any], *, bernoulli: bool) -> Numbers:
    """Return the log likelihood ratio of two means against one, 0 where the mean did not rise.

    `before` and `after`: weight, and weighted sum, shape (k,) each.
    """
    weight, total = before[0] + after[0], before[1] + after[1]
    gained = _likelihood(*before, bernoulli) + _likelihood(*after, bernoulli) - _likelihood(weight, total, bernoulli)
    rise: Numbers = np.where(after[1] * before[0] > before[1] * after[0], gained, 0.0)
    return rise


def _likelihood(weight: Any, total: Any, bernoulli: bool) -> Any:
    mean = np.clip(total / np.maximum(weight, np.finfo(float).tiny), np.finfo(float).tiny, None)
    if not bernoulli:
        return -weight * np.log(mean)
    missing = np.clip(1 - mean, np.finfo(float).tiny, None)
    return weight * (mean * np.log(mean) + (1 - mean) * np.log(missing))


def _likeness(errors: Numbers, seconds: Numbers | None, window: timedelta | None) -> tuple[float, float, int]:
    """Return correlation, length in seconds and number of the blocks of time that make rows count least.

    Blocks are as long as a window; twice, four times, ... as long where those are clearly more alike.
    """
    if seconds is None or window is None:
        return 0.0, 0.0, 0
    span = float(np.ptp(seconds))
    length = min(window.total_seconds(), span / _FEWEST_BLOCKS)
    if length <= 0:
        return 0.0, 0.0, 0
    best = _correlation(errors, seconds, length)
    while span / (length := 2 * length) >= _ENOUGH_BLOCKS:
        found = _correlation(errors, seconds, length)
        rows = len(errors) / found[2]
        expected = 1 + rows * best[0] * best[1] / length
        if 1 + (rows - 1) * found[0] > expected * (1 + _CLEARLY * math.sqrt(2 / found[2])):
            best = found
    return best


def _correlation(errors: Numbers, seconds: Numbers, length: float) -> tuple[float, float, int]:
    blocks: npt.NDArray[np.int64] = ((seconds - seconds.min()) // length).astype(np.int64)
    return intraclass_correlation(errors, blocks), length, len(np.unique(blocks))
