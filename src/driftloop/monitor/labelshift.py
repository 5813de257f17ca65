"""How answers and labels go together; tells new class frequencies, a new concept and mixed-up labels apart.

Part of the baseline, counted on the test rows; read again on a window's labelled rows. It raises no alarm by itself,
so it costs no budget: `triage` asks it what lies behind one. Classification only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.monitor.columns import (
    PREDICTION,
    PROBABILITY,
    Numbers,
    class_names,
    column_of,
    read_classes,
    read_probabilities,
    read_target,
)
from driftloop.spec import DataSchema, Task
from driftloop.spec.boundary import Boundary

_CELLS = 10
"""Bins of a probability, equally filled on the test rows."""
_FIT = 0.001
"""p-value above which a hypothesis fits."""
_FEWEST_ROWS = 30
_EXPLAINED = 0.8
"""Share of the divergence that putting labels back must explain, ..."""
_NATS = 10.0
"""... and the log-likelihood that it must gain, so that chance does not."""
_SMOOTHING = 0.5
_RAKINGS = 30
_TWO = 2


class AnswerTable(Boundary):
    """Counts of what the model answered (rows) and what was true (columns), on its test rows."""

    classes: tuple[str, ...]
    edges: tuple[float, ...] = ()
    """Two classes: inner edges of the bins of the probability. More: none, the predicted class is the row."""
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class LabelShift:
    """What a window's table says, beside the reference's."""

    by_prior: bool
    """Given the label, answers are what they were: only class frequencies changed (prior shift)."""
    by_cases: bool
    """Given the answer, labels are what they were: only the cases changed (covariate shift)."""
    by_odds: bool = False
    """The odds of the classes changed by the same factor whatever the answer: classes became rarer or more frequent
    everywhere. So they do in a prior shift, too, however the cases changed meanwhile."""
    exchanged: tuple[str, ...] = ()
    """Classes whose labels look exchanged; empty where they don't."""


def build_answer_table(
    labels: "pd.Series[Any] | None", outputs: pd.DataFrame, schema: DataSchema
) -> AnswerTable | None:
    """Count answers and labels of the test rows; None for regression and without labels."""
    if labels is None or schema.task is Task.REGRESSION:
        return None
    classes, edges = tuple(class_names(schema)), tuple[float, ...]()
    if len(classes) == _TWO:
        known = read_probabilities(column_of(outputs, PROBABILITY), schema)[:, 0]
        known = known[~np.isnan(known)]
        if not len(known):
            return None
        inner = np.quantile(known, np.arange(1, _CELLS) / _CELLS, method="inverted_cdf")
        edges = tuple(float(edge) for edge in np.unique(inner))
    empty = AnswerTable(classes=classes, edges=edges, counts=())
    counts = _count(empty, labels, outputs, schema)
    return empty.model_copy(update={"counts": tuple(tuple(int(n) for n in row) for row in counts)})


def read_label_shift(
    reference: AnswerTable,
    labels: "pd.Series[Any]",
    outputs: pd.DataFrame,
    schema: DataSchema,
    *,
    design_effect: float = 1.0,
) -> LabelShift | None:
    """Compare a window's labelled rows with the reference; None with fewer than 30 independent ones.

    `design_effect` is the number of rows that tell as much as one independent row.
    """
    known = np.array(reference.counts, dtype=np.float64) / design_effect
    window = _count(reference, labels, outputs, schema) / design_effect
    if window.sum() < _FEWEST_ROWS or known.sum() < _FEWEST_ROWS:
        return None
    prior, cases = _homogeneity(known.T, window.T), _homogeneity(known, window)
    return LabelShift(
        by_prior=prior.fits and prior.ratio <= cases.ratio,
        by_cases=cases.fits and cases.ratio <= prior.ratio,
        by_odds=not cases.fits and _same_odds(known, window).fits,
        exchanged=_exchanged(reference.classes, known, window),
    )


def _count(table: AnswerTable, labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Numbers:
    codes = {name: float(code) for code, name in enumerate(table.classes)}

    def code(names: npt.NDArray[Any]) -> Numbers:
        return np.array([codes.get(name, np.nan) for name in names], dtype=np.float64)

    truth = code(read_target(labels, schema).cells)
    if len(table.classes) == _TWO:
        probability = read_probabilities(column_of(outputs, PROBABILITY), schema)[:, 0]
        cells = np.where(np.isnan(probability), np.nan, np.searchsorted(table.edges, probability, side="left"))
        height = len(table.edges) + 1
    else:
        cells, height = code(read_classes(column_of(outputs, PREDICTION), schema)), len(table.classes)
    usable = ~(np.isnan(truth) | np.isnan(cells))
    width = len(table.classes)
    places = cells[usable].astype(np.int64) * width + truth[usable].astype(np.int64)
    return np.bincount(places, minlength=height * width).reshape(height, width).astype(np.float64)


@dataclass(frozen=True)
class _Fit:
    """How well a hypothesis fits: chi-square and its degrees of freedom."""

    statistic: float
    degrees: int

    @property
    def ratio(self) -> float:
        return self.statistic / self.degrees if self.degrees else 0.0

    @property
    def fits(self) -> bool:
        from scipy.stats import chi2

        return self.degrees == 0 or float(chi2.sf(self.statistic, self.degrees)) > _FIT


def _homogeneity(reference: Numbers, window: Numbers) -> _Fit:
    """Test that both tables have the same distribution within each row.

    The two-sample chi-square statistic, summed over the rows that both tables have.
    """
    statistic, degrees = 0.0, 0
    for before, now in zip(reference, window, strict=True):
        total_before, total_now = before.sum(), now.sum()
        seen = before + now > 0
        if total_before == 0 or total_now == 0 or seen.sum() < _TWO:
            continue
        ratio = np.sqrt(total_now / total_before)
        statistic += float((((before * ratio - now / ratio) ** 2)[seen] / (before + now)[seen]).sum())
        degrees += int(seen.sum()) - 1
    return _Fit(statistic, degrees)


def _same_odds(reference: Numbers, window: Numbers) -> _Fit:
    """Test that answers and labels are associated as they were, whatever the frequencies of both.

    The reference is raked to the window's margins, which keeps its odds ratios: Deming and Stephan, "On a least squares
    adjustment of a sampled frequency table when the expected marginal totals are known", 1940.
    """
    across, down = window.sum(axis=0), window.sum(axis=1)
    seen_down, seen_across = down > 0, across > 0
    observed = window[np.ix_(seen_down, seen_across)]
    expected = reference[np.ix_(seen_down, seen_across)] + _SMOOTHING
    for _ in range(_RAKINGS):
        expected *= (observed.sum(axis=1) / expected.sum(axis=1))[:, np.newaxis]
        expected *= observed.sum(axis=0) / expected.sum(axis=0)
    # The reference is a sample, too: its noise, in the window's rows, comes on top.
    noise = 1 + window.sum() / reference.sum()
    statistic = float(((observed - expected) ** 2 / expected).sum()) / noise
    return _Fit(statistic, (len(observed) - 1) * (observed.shape[1] - 1))


def _exchanged(classes: tuple[str, ...], reference: Numbers, window: Numbers) -> tuple[str, ...]:
    """Return the classes that must be renamed for the window to look like the reference, where that explains it.

    The renaming of highest likelihood, an assignment problem. A concept that was reversed keeps its class frequencies,
    a feed that exchanges labels exchanges those, too; with classes equally frequent both look alike, and the feed is
    the likelier.
    """
    from scipy.optimize import linear_sum_assignment

    smooth = reference + _SMOOTHING
    logs = np.log(smooth / smooth.sum())
    gain = window.T @ logs  # [label in the window, label it may have been]
    places = linear_sum_assignment(gain, maximize=True)[1]
    renamed = np.flatnonzero(places != np.arange(len(classes)))
    if not len(renamed):
        return ()
    as_is, put_back = float(np.trace(gain)), float(gain[np.arange(len(classes)), places].sum())
    shares = window[window > 0]
    best = float((shares * np.log(shares / window.sum())).sum())
    explained = (put_back - as_is) / max(best - as_is, 1e-12)
    if explained < _EXPLAINED or put_back - as_is < _NATS:
        return ()
    return tuple(classes[code] for code in renamed)
