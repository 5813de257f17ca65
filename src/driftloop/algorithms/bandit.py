"""The contextual bandit: a policy learned by Vowpal Wabbit from logged actions, rewards and propensities.

Learning is Vowpal Wabbit's (`cb_adf`); what it learned is linear in what it was given, and is kept as plain numbers. A
server needs NumPy alone, a model file holds arrays, and equal models have equal bytes.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from driftloop.algorithms.offpolicy import Logged, Numbers, RewardModel, explore, fit_reward_model
from driftloop.errors import DriftloopError

MOST_PAIRED = 30
"""Columns up to which products of columns are learned from; more would be thousands."""
_CHECKED_ROWS = 50
_TOLERANCE = 1e-3


class NotLinearError(DriftloopError):
    """Vowpal Wabbit answers otherwise than the numbers taken from it."""

    def __init__(self, difference: float) -> None:
        super().__init__(
            "The policy taken from Vowpal Wabbit must answer as it does, to 0.001 of the spread of the rewards. "
            f"Got a difference of {difference:.3g}: the learning diverged. Scale the inputs ('preparation.scaling': "
            "Standard), or look for extreme rewards."
        )


class BanditPolicy(BaseEstimator):  # type: ignore[misc]
    """Takes the action it expects most of, but for a share of decisions given alike to all actions.

    An estimator in scikit-learn's `Pipeline`; classes are the indices of the schema's actions.
    """

    def __init__(
        self,
        *,
        actions: int = 2,
        exploration: float = 0.1,
        method: str = "mtr",
        learning_rate: float = 0.5,
        l1: float = 0.0,
        l2: float = 0.0,
        passes: int = 4,
        pairs: bool = False,
        seed: int = 0,
    ) -> None:
        """Keep how to learn.

        Args:
            actions: number of actions.
            exploration: share of decisions given alike to all actions.
            method: how costs of actions not taken are estimated, by Vowpal Wabbit's `--cb_type`: ips (Horvitz and
                Thompson, 1952), dr (Dudik, Langford and Li, 2011), mtr (Bietti, Agarwal and Langford, 2021).
            learning_rate: of the online updates.
            l1: strength of the L1 penalty.
            l2: strength of the L2 penalty.
            passes: how often the rows are gone through.
            pairs: whether products of two columns are learned from, too; up to 30 columns.
            seed: of Vowpal Wabbit.
        """
        self.actions = actions
        self.exploration = exploration
        self.method = method
        self.learning_rate = learning_rate
        self.l1 = l1
        self.l2 = l2
        self.passes = passes
        self.pairs = pairs
        self.seed = seed

    def fit(self, x: Numbers, y: Numbers) -> Self:
        """Learn from logged decisions.

        Args:
            x: contexts, shape (n, number of columns).
            y: action, reward and propensity of each, shape (n, 3).

        Raises:
            NotLinearError: the learning diverged.
        """
        logged = Logged.of(y)
        self.pairs_ = bool(self.pairs and x.shape[1] <= MOST_PAIRED)
        self.policy_ = self._learn(x, logged)
        self.rewards_ = fit_reward_model(x, logged, self.actions).weights
        return self

    def score_actions(self, x: Numbers) -> Numbers:
        """Return how good each action is, in units of the rewards' spread; greater is better, shape (n, actions)."""
        return self._expand(np.asarray(x, dtype=np.float64)) @ self.policy_

    def predict_proba(self, x: Numbers) -> Numbers:
        """Return the probability with which each action is taken, shape (n, actions)."""
        return explore(self.score_actions(x), self.exploration)

    def predict(self, x: Numbers) -> npt.NDArray[np.int64]:
        """Return the index of the best action, shape (n,)."""
        return np.asarray(self.score_actions(x).argmax(axis=1))

    def expect_rewards(self, x: Numbers) -> Numbers:
        """Return what each action is expected to earn, by a ridge regression on the training rows; shape (n, actions).

        Beside the policy, and the same for all policies of the same rows: the off-policy estimate's control variate.
        """
        return RewardModel(self.rewards_).expect(np.asarray(x, dtype=np.float64))

    def _learn(self, x: Numbers, logged: Logged) -> Numbers:
        """Return the coefficients of each action's score, shape (number of terms, actions)."""
        import vowpalwabbit

        spread = float(logged.rewards.std()) or 1.0
        costs = (
            -(logged.rewards - logged.rewards.mean()) / spread
        )  # a baseline of 0: unlikely rows say little by chance
        with TemporaryDirectory(prefix="driftloop-bandit-") as folder:
            data = Path(folder) / "decisions.vw"
            with data.open("w") as file:
                file.writelines(self._examples(x, logged, costs))
            learner = vowpalwabbit.Workspace(self._options(data, x.shape[1]))
            try:
                probes = _probes(x.shape[1], pairs=self.pairs_)
                asked = np.vstack([probes, x[:_CHECKED_ROWS]])
                answers = -np.array([learner.predict(text.strip().split("\n")) for text in self._examples(asked)])
            finally:
                learner.finish()
        policy, *_ = np.linalg.lstsq(self._expand(probes), answers[: len(probes)], rcond=None)
        difference = np.abs(self._expand(asked) @ policy - answers).max(initial=0.0)
        if not difference <= _TOLERANCE * max(1.0, float(np.abs(answers).max(initial=0.0))):
            raise NotLinearError(float(difference))
        return np.asarray(policy)

    def _options(self, data: Path, columns: int) -> str:
        terms = self.actions * (columns * (columns + 3) // 2 if self.pairs_ else columns + 1)
        bits = min(max(int(np.ceil(np.log2(terms))) + 5, 12), 24)
        options: Mapping[str, Any] = {
            "cb_type": self.method,
            "learning_rate": self.learning_rate,
            "l1": self.l1,
            "l2": self.l2,
            "bit_precision": bits,
            "passes": self.passes,
            "random_seed": self.seed,
            "data": data,
            "cache_file": f"{data}.cache",
        }
        shown = " ".join(f"--{name} {value}" for name, value in options.items())
        products = " --interactions xxa" if self.pairs_ else ""
        return f"--cb_adf --quiet --holdout_off --noconstant -q xa{products} {shown}"

    def _examples(self, x: Numbers, logged: Logged | None = None, costs: Numbers | None = None) -> Iterator[str]:
        """Write rows in Vowpal Wabbit's text format: a shared line, and a line an action."""
        actions = [f"|a {action}" for action in range(self.actions)]
        for row, values in enumerate(x.tolist()):
            lines = [*actions]
            if logged is not None and costs is not None:
                taken = logged.actions[row]
                lines[taken] = f"0:{costs[row]:.8g}:{logged.propensities[row]:.8g} {lines[taken]}"
            shared = " ".join(f"{column}:{value:.8g}" for column, value in enumerate(values) if value)
            yield "\n".join([f"shared |x {shared}", *lines]) + "\n\n"

    def _expand(self, x: Numbers) -> Numbers:
        """Return the terms that scores are linear in: 1, the columns, with pairs their products; shape (n, terms)."""
        products = []
        if self.pairs_:
            columns = range(x.shape[1])
            products = [x[:, [a]] * x[:, [b]] for a, b in [*combinations(columns, 2), *((c, c) for c in columns)]]
        return np.hstack([np.ones((len(x), 1)), x, *products])


def _probes(columns: int, *, pairs: bool) -> Numbers:
    """Return as many contexts as there are terms, from whose scores the coefficients follow."""
    units = np.eye(columns)
    probes = [np.zeros((1, columns)), units]
    if pairs:
        probes.append(-units)
        probes.extend(units[[a]] + units[[b]] for a, b in combinations(range(columns), 2))
    return np.vstack(probes)
