"""What a policy would have earned on decisions that another one took: off-policy evaluation of logged actions.

Importance weighting (Horvitz and Thompson, 1952), its self-normalised form (Swaminathan and Joachims, 2015) and the
doubly robust estimator (Dudik, Langford and Li, 2011). NumPy only. Rewards are greater-is-better; costs are negative.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]

ACTION, REWARD, PROPENSITY = range(3)
"""Columns of the truth of a decision: index of the action taken, what it earned, how probable it was."""
FEWEST_EFFECTIVE_ROWS = 30
"""With fewer the bootstrap's interval can't be relied on."""
_SAMPLES = 300
_RIDGE = 1.0


@dataclass(frozen=True)
class Logged:
    """Decisions as they were taken, n rows."""

    actions: npt.NDArray[np.int64]
    rewards: Numbers
    propensities: Numbers
    """Probability with which each action was taken, above 0."""

    @classmethod
    def of(cls, truth: Numbers) -> "Logged":
        """Read the truth of decisions, shape (n, 3)."""
        return cls(truth[:, ACTION].astype(np.int64), truth[:, REWARD], truth[:, PROPENSITY])

    def weights(self, policy: Numbers) -> Numbers:
        """Return how much more probable each logged action is under a policy, shape (n,).

        Args:
            policy: probability of each action, shape (n, number of actions).
        """
        return np.asarray(policy[np.arange(len(self.actions)), self.actions] / self.propensities)


@dataclass(frozen=True)
class Estimate:
    """What a policy earns a decision, and how sure that is."""

    value: float
    lower: float
    upper: float
    effective_rows: float


def ips(logged: Logged, policy: Numbers, rows: Numbers | None = None) -> float:
    """Return the mean of importance-weighted rewards: unbiased, of high variance.

    Args:
        logged: n decisions.
        policy: probability of each action, shape (n, number of actions).
        rows: how often each row counts, shape (n,); once if absent.
    """
    return float(np.average(logged.weights(policy) * logged.rewards, weights=rows))


def snips(logged: Logged, policy: Numbers, rows: Numbers | None = None) -> float:
    """Return the importance-weighted mean of rewards: a little biased, of less variance, within the rewards' range.

    NaN where the policy takes none of the logged actions.
    """
    weights = logged.weights(policy) * (1 if rows is None else rows)
    total = weights.sum()
    return float(weights @ logged.rewards / total) if total else np.nan


def doubly_robust(
    logged: Logged, policy: Numbers, expected: Numbers | None = None, rows: Numbers | None = None
) -> float:
    """Return what a reward model expects of the policy, corrected by the weighted errors of the model on logged rows.

    Unbiased where the propensities are right, whatever the model; of less variance the better the model.

    Args:
        logged: n decisions.
        policy: probability of each action, shape (n, number of actions).
        expected: reward that the model expects of each action, shape (n, number of actions); fitted on other rows.
            Absent: 0, which leaves `ips`.
        rows: how often each row counts.
    """
    return float(np.average(contributions(logged, policy, expected), weights=rows))


def contributions(logged: Logged, policy: Numbers, expected: Numbers | None = None) -> Numbers:
    """Return what each row adds to the doubly robust mean, shape (n,)."""
    if expected is None:
        return logged.weights(policy) * logged.rewards
    of_action = expected[np.arange(len(logged.actions)), logged.actions]
    return np.asarray((policy * expected).sum(axis=1) + logged.weights(policy) * (logged.rewards - of_action))


def effective_rows(logged: Logged, policy: Numbers) -> float:
    """Return how many rows drawn from the policy itself the logged ones are worth (Kish, 1965), 0 to n."""
    weights = logged.weights(policy)
    squares = float(weights @ weights)
    return float(weights.sum() ** 2 / squares) if squares else 0.0


def estimate(logged: Logged, policy: Numbers, expected: Numbers | None, *, seed: int) -> Estimate:
    """Return the doubly robust value with its 95 % interval by the bootstrap over rows."""
    each = contributions(logged, policy, expected)
    return Estimate(float(each.mean()), *mean_interval(each, seed=seed), effective_rows(logged, policy))


def mean_interval(values: Numbers, *, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean by the bootstrap over rows."""
    generator = np.random.default_rng(seed)
    means = [values[generator.integers(len(values), size=len(values))].mean() for _ in range(_SAMPLES)]
    lower, upper = np.percentile(means, (2.5, 97.5))
    return float(lower), float(upper)


def bernstein_interval(logged: Logged, policy: Numbers, *, risk: float = 0.05) -> tuple[float, float]:
    """Return an interval that holds the value of `ips` but for the stated risk, however few or skewed the rows.

    The empirical Bernstein bound (Maurer and Pontil, 2009) on both sides. Wide: it assumes of the weighted rewards only
    that they lie within the range that the smallest propensity and the observed rewards allow. No value lies beyond the
    observed rewards.
    """
    rows = len(logged.rewards)
    each = contributions(logged, policy)
    limits = float(logged.rewards.min()), float(logged.rewards.max())
    largest = 1 / logged.propensities.min()
    span = largest * (max(logged.rewards.max(), 0.0) - min(logged.rewards.min(), 0.0))
    if rows < 2:  # noqa: PLR2004 - one row has no variance
        return limits
    bits = np.log(4 / risk)
    reach = np.sqrt(2 * each.var(ddof=1) * bits / rows) + 7 * span * bits / (3 * (rows - 1))
    return max(float(each.mean() - reach), limits[0]), min(float(each.mean() + reach), limits[1])


def constant_policy(action: int, rows: int, actions: int) -> Numbers:
    """Return the policy that always takes one action, shape (rows, actions)."""
    policy = np.zeros((rows, actions))
    policy[:, action] = 1.0
    return policy


def uniform_policy(rows: int, actions: int) -> Numbers:
    """Return the policy that draws each action alike, shape (rows, actions)."""
    return np.full((rows, actions), 1 / actions)


def explore(scores: Numbers, exploration: float) -> Numbers:
    """Return the policy that takes the best action but for a share of decisions given alike to all actions.

    >>> explore(np.array([[0.1, 0.7]]), 0.2).tolist()
    [[0.1, 0.9]]

    Args:
        scores: greater is better, shape (n, number of actions).
        exploration: that share, 0 to 1.
    """
    rows, actions = scores.shape
    policy = np.full((rows, actions), exploration / actions)
    policy[np.arange(rows), scores.argmax(axis=1)] += 1 - exploration
    return policy


@dataclass(frozen=True)
class RewardModel:
    """Linear expectation of what each action earns."""

    weights: Numbers
    """Shape (number of columns + 1, number of actions); the last row is the intercept."""

    def expect(self, x: Numbers) -> Numbers:
        """Return the expected reward of each action, shape (n, number of actions)."""
        return np.asarray(x @ self.weights[:-1] + self.weights[-1])


def fit_reward_model(x: Numbers, logged: Logged, actions: int) -> RewardModel:
    """Fit a ridge regression an action, drawn towards the one of all actions together: a rare action follows it.

    Args:
        x: contexts, shape (n, number of columns), of about unit scale.
        logged: what was done in them and earned.
        actions: number of actions.
    """
    whole = _ridge(x, logged.rewards)
    rest = logged.rewards - (x @ whole[:-1] + whole[-1])
    own = [_ridge(x[chosen], rest[chosen]) for chosen in (logged.actions == action for action in range(actions))]
    return RewardModel(whole[:, np.newaxis] + np.array(own).T)


def cross_fitted(x: Numbers, logged: Logged, actions: int, *, folds: int = 5) -> Numbers:
    """Return the expected rewards of rows, each by a model that has not seen it, shape (n, number of actions).

    For rows that the reward model itself is fitted on: with expectations that know the rewards, the doubly robust
    value is too sure (Chernozhukov et al., 2018). Folds are stretches of the rows in their order.
    """
    expected = np.empty((len(x), actions))
    fold = np.arange(len(x)) * folds // max(len(x), 1)
    for held_out in range(folds):
        inside, outside = fold == held_out, fold != held_out
        others = Logged(logged.actions[outside], logged.rewards[outside], logged.propensities[outside])
        expected[inside] = fit_reward_model(x[outside], others, actions).expect(x[inside])
    return expected


def _ridge(x: Numbers, y: Numbers) -> Numbers:
    """Return coefficients and, last, the intercept, which is shrunk too: no row gives 0."""
    design = np.column_stack([x, np.ones(len(x))])
    gram = design.T @ design + _RIDGE * np.eye(design.shape[1])
    return np.linalg.solve(gram, design.T @ y)


def best_constant(logged: Logged, actions: int) -> int:
    """Return the action that earned most a decision (self-normalised); of equals the first."""
    rows = len(logged.rewards)
    values = np.array([snips(logged, constant_policy(action, rows, actions)) for action in range(actions)])
    return int(np.where(np.isfinite(values), values, -np.inf).argmax())
