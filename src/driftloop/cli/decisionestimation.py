"""How many logged decisions a loop needs, worked out by normal approximations. Part of `driftloop estimate`."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from driftloop.monitor.performance import MATERIAL_LOSS_INCREASE
from driftloop.spec import DataSpec

_CONFIDENCE = 0.95
_UNKNOWN_ACTIONS = 2
_UNKNOWN_REWARD = 0.5


@dataclass(frozen=True)
class DecisionFacts:
    """What the logged decisions look like, or are assumed to."""

    mean: float = _UNKNOWN_REWARD
    deviation: float = 0.5
    """Of the reward."""
    price: float = float(_UNKNOWN_ACTIONS)
    """Logged rows that are worth one row of a policy's own decisions."""
    told: str = (
        f"A reward is 0 or 1, as often the one as the other, and {_UNKNOWN_ACTIONS} actions were drawn alike: there "
        "are no data yet."
    )

    @property
    def weighted_deviation(self) -> float:
        """Of the importance-weighted reward of a policy that is as good as what was logged."""
        second_moment = self.price * (self.deviation**2 + self.mean**2)
        return float(max(second_moment - self.mean**2, 0.0) ** 0.5)


def read_decisions(table: pa.Table, data: DataSpec) -> DecisionFacts:
    """Describe logged decisions.

    A policy that takes any action as probably as any other, and so is unlike the logged one, has weights whose second
    moment is the mean of 1 / (k p^2) over the logged rows of k actions.
    """
    rewards = table.column(data.target_column).to_numpy()
    propensities = table.column(data.propensity_column).to_numpy()
    actions = len(table.column(data.action_column).unique())
    price = max(float((1 / (actions * propensities**2)).mean()), 1.0)
    told = (
        f"A new policy is about as good as the logged one and takes other actions, which is the worst case: a decision "
        f"of its own is worth {price:.1f} of the logged ones."
    )
    return DecisionFacts(float(rewards.mean()), float(np.std(rewards)) or 1.0, price, told)


def rows_for_value(facts: DecisionFacts, width: float) -> int:
    """Return test rows by which the value of a policy is known to plus or minus `width` with 95 % confidence."""
    return int(np.ceil((_quantile(1 - (1 - _CONFIDENCE) / 2) * facts.weighted_deviation / width) ** 2))


def rows_for_better(facts: DecisionFacts, effect: float, power: float, correlation: float) -> int:
    """Return test rows by which a challenger that earns `effect` more is noticed with a probability."""
    deviation = facts.weighted_deviation * (2 * (1 - correlation)) ** 0.5
    reach = _quantile(1 - (1 - _CONFIDENCE) / 2) + _quantile(power)
    return int(np.ceil((reach * deviation / effect) ** 2))


def rows_for_fall(facts: DecisionFacts, significance: float, power: float) -> int | None:
    """Return rewarded rows of a window in which a fall by 5 % is seen; None where the mean reward is 0."""
    fall = MATERIAL_LOSS_INCREASE * abs(facts.mean)
    reach = _quantile(1 - significance) + _quantile(power)
    return int(np.ceil((reach * facts.deviation / fall) ** 2)) if fall else None


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)
