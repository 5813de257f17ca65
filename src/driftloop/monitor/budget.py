"""The false-alarm budget's arithmetic: what share of it falls to one window."""

from datetime import timedelta

from driftloop.spec import FalseAlarmBudget

MAXIMUM_SIGNIFICANCE = 0.05
"""A test that one stable window in twenty fails is no evidence, however generous the budget."""


def window_significance(budget: FalseAlarmBudget, length: timedelta) -> float:
    """Return the share of one kind's half of the budget (inputs, performance) that falls to a window of this length.

    >>> round(window_significance(FalseAlarmBudget(max=1, per=timedelta(days=30)), timedelta(days=1)), 4)
    0.0167
    """
    return min(budget.max * (length / budget.per) / 2, MAXIMUM_SIGNIFICANCE)


def count_tests(features: int, outputs: int) -> int:
    """Return how many tests share it: one per column, and one of the missing values of each input."""
    return 2 * features + outputs
