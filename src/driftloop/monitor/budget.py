"""The false-alarm budget's arithmetic: what share of it falls to one window, and to which question about it."""

from datetime import timedelta
from enum import Enum

from driftloop.spec import FalseAlarmBudget, ReportKind

MAXIMUM_SIGNIFICANCE = 0.05
"""A test that one stable window in twenty fails is no evidence, however generous the budget."""


class Share(Enum):
    """What the model's budget is spent on: inputs have one half of it, performance the other, each shared again."""

    DRIFT = (ReportKind.INPUTS, 0.7)
    """Features, pairs of them, predictions and probabilities: did their distribution move?"""
    CHECKS = (ReportKind.INPUTS, 0.3)
    """Is the feed whole?"""
    DROP = (ReportKind.PERFORMANCE, 0.4)
    """Did the metric fall?"""
    LABELS = (ReportKind.PERFORMANCE, 0.1)
    """Did the labels' distribution move?"""
    ERRORS = (ReportKind.PERFORMANCE, 0.3)
    """Did the errors change within the labelled stream?"""
    ESTIMATE = (ReportKind.PERFORMANCE, 0.2)
    """Did the metric fall by the label-free estimate? Judged with the inputs, paid by performance."""

    @property
    def of_budget(self) -> float:
        """Return the share of the model's whole budget, 0 to 1."""
        return self.value[1] / 2


def share_of_window(budget: FalseAlarmBudget, length: timedelta, share: Share) -> float:
    """Return the probability with which a stable window of this length may alarm for that reason.

    >>> round(share_of_window(FalseAlarmBudget(max=1, per=timedelta(days=30)), timedelta(days=1), Share.DRIFT), 5)
    0.01167
    """
    return min(budget.max * (length / budget.per), 2 * MAXIMUM_SIGNIFICANCE) * share.of_budget


SPENT_BY = {
    ReportKind.INPUTS: (Share.DRIFT, Share.CHECKS, Share.ESTIMATE),
    ReportKind.PERFORMANCE: (Share.DROP, Share.LABELS, Share.ERRORS),
}
"""What a verdict of each kind is paid from."""
