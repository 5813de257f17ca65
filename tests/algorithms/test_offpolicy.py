import numpy as np
import pytest

from driftloop.algorithms.offpolicy import (
    Logged,
    bernstein_interval,
    best_constant,
    constant_policy,
    cross_fitted,
    doubly_robust,
    effective_rows,
    estimate,
    explore,
    fit_reward_model,
    ips,
    snips,
    uniform_policy,
)
from tests.algorithms.simulatedlog import WEIGHTS, simulate

LOGS = 200


def policy_of(x: np.ndarray) -> np.ndarray:
    return explore(x @ WEIGHTS, 0.1)


def test_all_estimators_agree_with_the_known_truth() -> None:
    log = simulate(200_000, seed=0)
    logged, policy = Logged.of(log.truth), policy_of(log.x)
    expected = fit_reward_model(log.x, logged, 3).expect(log.x)
    for value in (ips(logged, policy), snips(logged, policy), doubly_robust(logged, policy, expected)):
        assert value == pytest.approx(log.value(policy), abs=0.01)


def test_the_doubly_robust_value_is_right_with_a_wrong_reward_model_and_surer_with_a_good_one() -> None:
    errors = {"none": [], "wrong": [], "good": []}
    for seed in range(LOGS):
        log = simulate(300, seed)
        logged, policy = Logged.of(log.truth), policy_of(log.x)
        models = {"none": None, "wrong": np.full((300, 3), 5.0), "good": log.means}
        for name, expected in models.items():
            errors[name].append(doubly_robust(logged, policy, expected) - log.value(policy))
    spread = {name: np.std(found) for name, found in errors.items()}
    for name, found in errors.items():
        assert abs(np.mean(found)) < 4 * spread[name] / LOGS**0.5  # one in 15,000 such runs is further from 0
    assert spread["good"] < spread["none"] < spread["wrong"]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 intervals of 95 %, 181 to 198 must hold (outside in less than 1 % of such runs); the bound nearly all."""
    true_value = simulate(400_000, seed=1_000).value(policy_of(simulate(400_000, seed=1_000).x))
    held = bound_held = 0
    for seed in range(LOGS):
        train, log = simulate(300, seed + 5_000), simulate(300, seed)
        logged, policy = Logged.of(log.truth), policy_of(log.x)
        model = fit_reward_model(train.x, Logged.of(train.truth), 3)
        found = estimate(logged, policy, model.expect(log.x), seed=seed)
        held += found.lower <= true_value <= found.upper
        low, high = bernstein_interval(logged, policy)
        bound_held += low <= true_value <= high
    assert 181 <= held <= 198
    assert bound_held >= 195


def test_without_a_reward_model_the_doubly_robust_value_is_that_of_importance_weighting() -> None:
    log = simulate(500, seed=3)
    logged, policy = Logged.of(log.truth), policy_of(log.x)
    assert doubly_robust(logged, policy) == pytest.approx(ips(logged, policy))


def test_the_logging_policys_own_value_is_the_mean_reward_and_all_rows_count() -> None:
    truth = np.array([[0, 1.0, 0.25], [1, 3.0, 0.75], [1, 2.0, 0.75]])
    policy = np.array([[0.25, 0.75]] * 3)
    logged = Logged.of(truth)
    assert ips(logged, policy) == snips(logged, policy) == pytest.approx(2.0)
    assert effective_rows(logged, policy) == pytest.approx(3)


def test_row_weights_stand_for_repeated_rows() -> None:
    log = simulate(50, seed=4)
    rows = np.random.default_rng(0).integers(0, 4, 50).astype(float)
    twice = np.repeat(np.arange(50), rows.astype(int))
    policy, expected = policy_of(log.x), log.means
    logged, repeated = Logged.of(log.truth), Logged.of(log.truth[twice])
    assert ips(logged, policy, rows) == pytest.approx(ips(repeated, policy[twice]))
    assert snips(logged, policy, rows) == pytest.approx(snips(repeated, policy[twice]))
    assert doubly_robust(logged, policy, expected, rows) == pytest.approx(
        doubly_robust(repeated, policy[twice], expected[twice])
    )


def test_a_policy_of_other_actions_than_were_logged_has_no_effective_rows_and_no_normalised_value() -> None:
    logged = Logged.of(np.array([[0, 1.0, 1.0]] * 5))
    never = constant_policy(1, 5, 2)
    assert effective_rows(logged, never) == 0
    assert np.isnan(snips(logged, never))
    assert ips(logged, never) == 0


def test_the_best_constant_action_is_the_one_that_earned_most_however_rarely_it_was_taken() -> None:
    generator = np.random.default_rng(0)
    actions = (generator.random(3_000) < 0.1).astype(int)
    rewards = np.where(actions == 1, 2.0, 1.0) + generator.normal(size=3_000)
    truth = np.column_stack([actions, rewards, np.where(actions == 1, 0.1, 0.9)])
    assert best_constant(Logged.of(truth), 3) == 1  # the third was never taken


def test_cross_fitted_expectations_do_not_know_the_rows_own_rewards() -> None:
    log = simulate(100, seed=5, noise=3.0)
    before = cross_fitted(log.x, Logged.of(log.truth), 3)
    changed = log.truth.copy()
    changed[7, 1] += 100
    after = cross_fitted(log.x, Logged.of(changed), 3)
    assert (before[:20] == after[:20]).all()  # the first fold holds row 7
    assert not np.allclose(before[20:], after[20:])


def test_the_uniform_policy_takes_each_action_alike() -> None:
    assert uniform_policy(2, 4).tolist() == [[0.25] * 4] * 2
