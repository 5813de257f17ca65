"""What a packaged model gives away of the people in its data: counts and one number; for `evaluate` and `assess`."""

from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.metrics import Answers
from driftloop.stages.judgements import Membership

MOST_ROWS = 2000
_SMALLEST = 1e-12
_KEPT = ("_fit_X", "support_vectors_", "_raw_data", "rows")
"""Where scikit-learn's estimators, and our clusters of any shape, keep rows that they were fitted on."""


def measure_membership(
    train_truth: npt.NDArray[np.float64],
    train_answers: Answers,
    test_truth: npt.NDArray[np.float64],
    test_answers: Answers,
) -> Membership:
    """Return how well the loss of an answer tells training rows from others (Yeom et al. 2018, Privacy Risk in ML).

    The advantage is the greatest difference between the shares of training and of test rows below a loss: the
    Kolmogorov-Smirnov distance to one side.
    """
    train, test = _losses(train_truth, train_answers), _losses(test_truth, test_answers)
    levels = np.unique(np.concatenate([train, test]))
    below = [np.searchsorted(np.sort(losses), levels, side="right") / len(losses) for losses in (train, test)]
    return Membership(advantage=float(max((below[0] - below[1]).max(), 0.0)), rows=min(len(train), len(test)))


def parts_with_rows(chain: Any) -> tuple[str, ...]:
    """Return the kinds of the chain's parts that keep training rows, such as nearest neighbours and support vectors."""
    found: dict[str, None] = {}
    seen: set[int] = set()

    def visit(part: Any) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, list | tuple):
            for one in part:
                visit(one)
        elif isinstance(part, dict):
            visit(list(part.values()))
        elif type(part).__module__.split(".")[0] in ("sklearn", "driftloop") and hasattr(part, "__dict__"):
            if any(len(vars(part).get(name, ())) for name in _KEPT):
                found[type(part).__name__] = None
            visit(list(vars(part).values()))

    visit(chain)
    return tuple(found)


def _losses(truth: npt.NDArray[np.float64], answers: Answers) -> npt.NDArray[np.float64]:
    if answers.probabilities is None:
        losses: npt.NDArray[np.float64] = np.abs(truth - answers.predictions)
    else:
        losses = -np.log(np.clip(answers.probabilities[np.arange(len(truth)), truth.astype(np.int64)], _SMALLEST, 1))
    return losses
