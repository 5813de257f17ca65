"""Logged decisions whose truth is known: contexts, what each action would earn, and a logging policy."""

from dataclasses import dataclass

import numpy as np

from driftloop.algorithms.offpolicy import explore


@dataclass(frozen=True)
class SimulatedLog:
    x: np.ndarray
    """Contexts, shape (n, 5)."""
    means: np.ndarray
    """True mean reward of each action, shape (n, actions)."""
    truth: np.ndarray
    """Action, reward, propensity; shape (n, 3)."""

    def value(self, policy: np.ndarray) -> float:
        return float((policy * self.means).sum(axis=1).mean())


WEIGHTS = np.random.default_rng(7).normal(size=(5, 3))


def simulate(rows: int, seed: int, *, exploration: float = 0.5, noise: float = 0.5) -> SimulatedLog:
    """The logging policy knows half of the truth, and explores."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 5))
    means = np.tanh(x @ WEIGHTS) + 0.3 * (x[:, :1] > 0) * np.array([1.0, 0.0, -1.0])
    logging = explore(x[:, :2] @ WEIGHTS[:2], exploration)
    actions = (generator.random((rows, 1)) > logging.cumsum(axis=1)).sum(axis=1)
    taken = np.arange(rows), actions
    rewards = means[taken] + noise * generator.standard_normal(rows)
    return SimulatedLog(x, means, np.column_stack([actions, rewards, logging[taken]]))
