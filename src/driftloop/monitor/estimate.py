"""The loop's metric without labels: estimated from calibrated probabilities (CBPE) or expected losses (DLE).

It sees what a change of the *inputs* does to the metric, hours or months before labels come. It cannot see concept
drift: where inputs mean something else than they did on the test rows, probabilities and losses learned there are wrong
and the estimate stays as it was. Only labels show that (`performance`, `errorstream`).
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers
from driftloop.monitor.columns import Column, Numbers
from driftloop.monitor.confidence import CalibrationMap, Expected, expect, fit_calibration
from driftloop.monitor.losstree import LossTree, expect_loss, fit_losses
from driftloop.monitor.performance import (
    JACKKNIFE_GROUPS,
    Reference,
    Spread,
    has_fallen,
    read_answers,
    read_truth,
    score_of,
    spread_of,
)
from driftloop.spec import DataSchema, Estimate, Task
from driftloop.spec.boundary import Boundary

CBPE, DLE = "CBPE", "DLE"
FEWEST_ROWS = 50
"""Of the test, to learn from; with fewer no estimate is offered."""
_TWO = 2


class EstimationBaseline(Boundary):
    """What the test rows taught about the model's chances to be right, and the estimate on them."""

    metric: str
    """The loop's metric."""
    calibrations: tuple[CalibrationMap, ...] = ()
    """Classification: one for two classes (of the second), one for each of more."""
    losses: LossTree | None = None
    """Regression."""
    reference: float
    """The estimate on the test rows."""
    standard_error: float
    """Of the reference: other inputs in the same time would have given another."""
    spread: float = 0.0
    """Standard deviation of the estimate between blocks of time beyond its sampling error; easy days and hard days."""
    unseen_spread: float = 0.0
    """The same of the metric's distance from its estimate: good days and bad days that the inputs do not show."""
    blocks: int = 0
    """Independent blocks of time from which the spreads were estimated; 0 without times."""
    leverage: tuple[float, ...]
    """Derivative of the reference with respect to each number learned."""

    @property
    def method(self) -> str:
        """How the metric is estimated."""
        return CBPE if self.losses is None else DLE

    def expect(self, answers: Answers, features: Mapping[str, Column], *, metric: str = "") -> Expected:
        """Return the loop's metric, or another of the task, as expected of n answers that are all known."""
        metric = metric or self.metric
        if self.losses is None:
            return expect(metric, self.calibrations, answers)
        return expect_loss(metric, self.losses, answers.predictions, features)


def build_estimation_baseline(
    features: Mapping[str, Column],
    labels: "pd.Series[Any]",
    outputs: pd.DataFrame,
    schema: DataSchema,
    *,
    metric: str,
    blocks: npt.NDArray[np.int64] | None,
) -> EstimationBaseline | None:
    """Learn from test rows; None where too few of them have a truth and an answer, or the metric is undefined.

    Args:
        features: of the n test rows, as `columns.read_features` reads them.
        labels: their truth.
        outputs: `prediction`, and for classification `probability`.
        schema: task and classes.
        metric: the loop's metric.
        blocks: each row's block of time, shape (n,); None without times: rows are taken in their order.
    """
    truth, answers, usable = read_truth(labels, schema), *read_answers(outputs, schema)
    usable &= ~np.isnan(truth)
    order = np.argsort(np.zeros(len(truth)) if blocks is None else blocks, kind="stable")
    order = order[usable[order]]
    if len(order) < FEWEST_ROWS:
        return None
    truth, answers, features = truth[order], answers.take(order), _take(features, order)
    is_regression = schema.task is Task.REGRESSION
    learned = EstimationBaseline(
        metric=metric,
        calibrations=() if is_regression else _calibrations(truth, answers),
        losses=fit_losses(truth, answers.predictions, features) if is_regression else None,
        reference=np.nan,
        standard_error=np.nan,
        leverage=(),
    )
    whole = learned.expect(answers, features)
    if not np.isfinite(whole.value):
        return None
    spreads = {} if blocks is None else _spreads(learned, truth, answers, features, blocks[order])
    facts = {"reference": whole.value, "standard_error": _grouped_error(whole.influence)}
    return learned.model_copy(update=facts | spreads | {"leverage": tuple(whole.leverage.tolist())})


def estimate(
    baseline: EstimationBaseline,
    features: Mapping[str, Column],
    outputs: pd.DataFrame,
    schema: DataSchema,
    *,
    significance: float,
) -> Estimate:
    """Estimate the metric of a window, and whether it is significantly and materially worse than on the test rows.

    Significance is that of `performance.has_fallen`; what was learned badly counts as far as the window leans on it
    more than the reference does.

    The standard error tells how well the expected metric of such traffic is known: by sampling, by calibration, and by
    days on which the metric was not as estimated. What the window's labels will show scatters around it, as labels do.

    Args:
        baseline: of the model version.
        features: the window's n rows in order of time, as `columns.read_features` reads them.
        outputs: their answers.
        schema: task and classes.
        significance: probability with which a stable window may be called worse.
    """
    known: dict[str, Any] = {
        "metric": baseline.metric,
        "method": baseline.method,
        "reference": baseline.reference,
    }
    answers, usable = read_answers(outputs, schema)
    count = int(usable.sum())
    if count < _TWO:
        return Estimate(**known)
    if count < len(usable):
        rows = np.flatnonzero(usable)
        answers, features = answers.take(rows), _take(features, rows)
    found = baseline.expect(answers, features)
    if not np.isfinite(found.value):
        return Estimate(**known)
    sampled = _grouped_error(found.influence) ** 2
    unseen = baseline.unseen_spread**2 / max(baseline.blocks, 1)
    return Estimate(
        **known,
        value=found.value,
        standard_error=float(np.sqrt(sampled + found.calibration_variance + unseen)),
        changed=count >= JACKKNIFE_GROUPS and _is_worse(baseline, found, sampled, significance),
    )


def _is_worse(baseline: EstimationBaseline, found: Expected, sampled: float, significance: float) -> bool:
    learning = float((found.leverage - np.array(baseline.leverage)) ** 2 @ found.cell_variance)
    reference = Reference(baseline.reference, baseline.standard_error, Spread(baseline.spread, baseline.blocks))
    return has_fallen(baseline.metric, found.value, sampled + learning, reference, significance)


def _calibrations(truth: Numbers, answers: Answers) -> tuple[CalibrationMap, ...]:
    probabilities = answers.probabilities
    if probabilities is None:
        raise ValueError("The estimate of a classification needs probabilities.")
    codes = [1] if probabilities.shape[1] == _TWO else range(probabilities.shape[1])
    return tuple(fit_calibration(probabilities[:, code], (truth == code).astype(np.float64)) for code in codes)


def _spreads(
    learned: EstimationBaseline,
    truth: Numbers,
    answers: Answers,
    features: Mapping[str, Column],
    blocks: npt.NDArray[np.int64],
) -> dict[str, float | int]:
    """Return how the estimate, and the metric's distance from it, differ between blocks of time; rows are in order."""
    estimates, distances = [], []
    for first, end in pairwise([*np.unique(blocks, return_index=True)[1], len(blocks)]):
        inside = slice(first, end)
        of_block = answers.take(inside)
        found = learned.expect(of_block, _take(features, inside))
        real = score_of(learned.metric, truth[inside], of_block)
        if np.isfinite(found.value):
            estimates.append((found.value, float(np.sqrt((found.influence**2).sum()))))
            if real is not None:
                distances.append((real - found.value, found.label_variance**0.5))
    of_inputs, unseen = spread_of(estimates), spread_of(distances)
    blocks_of_both = min(of_inputs.blocks, unseen.blocks)
    return {"spread": of_inputs.deviation, "unseen_spread": unseen.deviation, "blocks": blocks_of_both}


def _grouped_error(influence: Numbers) -> float:
    """Return the standard error of a value from the influence of its rows, in order of time.

    The blockwise jackknife to first order: rows of one stretch of time go together, as they resemble each other.
    """
    groups = np.arange(len(influence)) * JACKKNIFE_GROUPS // len(influence)
    sums = np.bincount(groups, influence, JACKKNIFE_GROUPS)
    return float(np.sqrt(JACKKNIFE_GROUPS / (JACKKNIFE_GROUPS - 1) * (sums**2).sum()))


def _take(features: Mapping[str, Column], rows: npt.NDArray[Any] | slice) -> dict[str, Column]:
    return {name: Column(column.kind, column.cells[rows]) for name, column in features.items()}
