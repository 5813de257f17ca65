"""The false-alarm budget's arithmetic: what share of it falls to one window, and to which question about it."""

from datetime import timedelta
from enum import Enum

from driftloop.spec import FalseAlarmBudget, ReportKind

MAXIMUM_SIGNIFICANCE = 0.05
"""A test that one stable window in twenty fails is no evidence, however generous the budget."""


class Share(Enum):
    """What the model's budget is spent on, as shares of the whole: drift, which is asked of every column, has half."""

    DRIFT = 0.5
    """Features, pairs of them, predictions and probabilities: did their distribution move?"""
    CHECKS = 0.1
    """Is the feed whole?"""
    DROP = 0.15
    """Did the metric fall?"""
    LABELS = 0.05
    """Did the labels' distribution move?"""
    ERRORS = 0.12
    """Did the errors change within the labelled stream?"""
    ESTIMATE = 0.08
    """Did the metric fall by the label-free estimate?"""


def share_of_window(budget: FalseAlarmBudget, length: timedelta, share: Share) -> float:
    """Return the probability with which a stable window of this length may alarm for that reason.

    >>> round(share_of_window(FalseAlarmBudget(max=1, per=timedelta(days=30)), timedelta(days=1), Share.DRIFT), 5)
    0.01667
    """
    return min(budget.max * (length / budget.per), 2 * MAXIMUM_SIGNIFICANCE) * share.value


SPENT_BY = {
    ReportKind.INPUTS: (Share.DRIFT, Share.CHECKS, Share.ESTIMATE),
    ReportKind.PERFORMANCE: (Share.DROP, Share.LABELS, Share.ERRORS),
}
"""What a verdict of each kind is paid from."""
