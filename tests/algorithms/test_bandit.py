from pathlib import Path

import numpy as np
import pytest

from driftloop.algorithms.bandit import MOST_PAIRED, BanditPolicy, NotLinearError
from driftloop.stages.modelfile import load_model, save_model
from tests.algorithms.simulatedlog import simulate


def fit(rows: int = 2_000, seed: int = 0, **options) -> BanditPolicy:
    log = simulate(rows, seed)
    return BanditPolicy(actions=3, exploration=0.1, **options).fit(log.x, log.truth)


@pytest.mark.parametrize("method", ["mtr", "dr", "ips"])
@pytest.mark.parametrize("pairs", [False, True])
def test_the_policy_earns_nearly_what_is_to_be_earned(method: str, pairs: bool) -> None:
    policy, fresh = fit(method=method, pairs=pairs), simulate(5_000, seed=99)
    best = fresh.means.max(axis=1).mean()
    greedy = fresh.means[np.arange(5_000), policy.predict(fresh.x)].mean()
    logged = fresh.truth[:, 1].mean()
    assert greedy > logged + 0.85 * (best - logged)


def test_pairs_learn_what_depends_on_two_columns_together() -> None:
    generator = np.random.default_rng(0)
    x, actions = generator.normal(size=(4_000, 2)), generator.integers(2, size=4_000)
    rewards = np.where((x[:, 0] * x[:, 1] > 0) == (actions == 1), 1.0, 0.0)
    truth = np.column_stack([actions, rewards, np.full(4_000, 0.5)])
    rights = {}
    for pairs in (False, True):
        policy = BanditPolicy(actions=2, exploration=0.1, pairs=pairs).fit(x, truth)
        rights[pairs] = ((x[:, 0] * x[:, 1] > 0) == (policy.predict(x) == 1)).mean()
    assert rights[False] < 0.65
    assert rights[True] > 0.95


def test_products_of_many_columns_are_left_out() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, MOST_PAIRED + 1))
    truth = np.column_stack([generator.integers(2, size=200), generator.normal(size=200), np.full(200, 0.5)])
    policy = BanditPolicy(actions=2, exploration=0.1, pairs=True, passes=1).fit(x, truth)
    assert policy.policy_.shape == (MOST_PAIRED + 2, 2)


def test_the_distribution_explores_all_actions_alike() -> None:
    policy = fit()
    probabilities = policy.predict_proba(simulate(50, seed=1).x)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert np.sort(probabilities, axis=1)[:, :2] == pytest.approx(0.1 / 3)
    assert (probabilities.argmax(axis=1) == policy.predict(simulate(50, seed=1).x)).all()


@pytest.mark.parametrize("options", [{"l1": 1e-4}, {"l2": 1e-3}, {"learning_rate": 5.0}, {"passes": 8}])
def test_what_is_kept_answers_as_vowpal_wabbit_does(options: dict) -> None:
    assert np.isfinite(fit(**options).policy_).all()  # `fit` compares the two, and raises


def test_equal_rows_give_equal_policies_in_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(fit(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_policy_answers_the_same_after_it_was_stored(tmp_path: Path) -> None:
    policy, x = fit(pairs=True), simulate(20, seed=2).x
    save_model(policy, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded.predict_proba(x) == policy.predict_proba(x)).all()
    assert (loaded.expect_rewards(x) == policy.expect_rewards(x)).all()


def test_a_fitted_policy_needs_no_vowpal_wabbit(tmp_path: Path) -> None:
    import subprocess
    import sys

    save_model(fit(), tmp_path / "model")
    code = (
        "import sys, numpy as np; sys.modules['vowpalwabbit'] = None\n"
        "from pathlib import Path; from driftloop.stages.modelfile import load_model\n"
        f"print(load_model(Path({str(tmp_path / 'model')!r})).predict(np.zeros((1, 5))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_row_one_action_seen_and_constant_rewards_make_a_policy() -> None:
    one = BanditPolicy(actions=2, exploration=0.1).fit(np.ones((1, 2)), np.array([[1, 3.0, 0.5]]))
    assert one.predict_proba(np.zeros((1, 2))).sum() == pytest.approx(1)


def test_learning_that_diverged_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftloop.algorithms.bandit._TOLERANCE", -1.0)
    with pytest.raises(NotLinearError, match=r"preparation\.scaling"):
        fit(rows=100)
