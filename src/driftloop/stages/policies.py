"""What policies earn on the test rows of a decision: the new one, the logged one, simple ones. Part of `evaluate`."""

import numpy as np

from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.offpolicy import (
    FEWEST_EFFECTIVE_ROWS,
    Estimate,
    Logged,
    Numbers,
    best_constant,
    constant_policy,
    effective_rows,
    estimate,
    explore,
    mean_interval,
    uniform_policy,
)
from driftloop.spec import DataSchema, TrainingSpec
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import Evaluation, PolicyValue


def policy_values(truth: Numbers, answers: Answers, schema: DataSchema, *, seed: int) -> tuple[PolicyValue, ...]:
    """Return the value of the policy as it serves, then of what it is to be compared with.

    Args:
        truth: action, reward and propensity of n decisions, shape (n, 3).
        answers: of the policy in the same contexts.
        schema: names the actions.
        seed: of the bootstrap.
    """
    if answers.probabilities is None:
        return ()
    logged, policy, actions = Logged.of(truth), answers.probabilities, schema.target.classes
    best = best_constant(logged, len(actions))
    compared = {
        "as it serves": policy,
        "without exploration": explore(policy, 0.0),
        f"always {actions[best]}": constant_policy(best, len(policy), len(actions)),
        "all actions alike": uniform_policy(len(policy), len(actions)),
    }
    values = [_named(name, estimate(logged, of, answers.expected, seed=seed)) for name, of in compared.items()]
    lower, upper = mean_interval(logged.rewards, seed=seed)
    rows = len(logged.rewards)
    values.insert(1, _named("as logged", Estimate(float(logged.rewards.mean()), lower, upper, rows)))
    return tuple(values)


def caution(evaluation: Evaluation) -> str:
    """Return what to beware of where the logged decisions tell little of the policy, in plain words; else nothing."""
    if not evaluation.policies or evaluation.policies[0].effective_rows >= FEWEST_EFFECTIVE_ROWS:
        return ""
    worth = evaluation.policies[0].effective_rows
    return (
        f"The {evaluation.test_rows:,} test rows are worth only {worth:.0f} decisions of this policy, because it would "
        f"mostly have acted otherwise: its value is hardly known, and {FEWEST_EFFECTIVE_ROWS} are needed to rely on "
        "the interval. Log more decisions, or let the policy that takes them explore more."
    )


def widen(
    champion: Answers, known: DataSchema, challenger: Answers, schema: DataSchema, truth: Numbers
) -> tuple[Answers, float]:
    """Return a champion's answers over the challenger's actions, and the fewest effective rows of the two.

    Both get the same expected rewards, so that these cancel where the two do the same.

    Args:
        champion: its answers in n contexts.
        known: its schema.
        challenger: answers in the same contexts.
        schema: with all of the champion's actions, and perhaps more.
        truth: action, reward and propensity of n decisions, shape (n, 3).
    """
    if champion.probabilities is None or challenger.probabilities is None:
        return champion, 0.0
    places = [schema.target.classes.index(action) for action in known.target.classes]
    wide = np.zeros_like(challenger.probabilities)
    wide[:, places] = champion.probabilities
    logged = Logged.of(truth)
    fewest = min(effective_rows(logged, wide), effective_rows(logged, challenger.probabilities))
    return Answers(wide.argmax(axis=1).astype(np.float64), wide, expected=challenger.expected), fewest


def simple_policies(
    matrices: Matrices,
    prepared: Numbers,
    challenger: Answers,
    schema: DataSchema,
    *,
    depth: int,
    training: TrainingSpec,
) -> tuple[Answers, Answers]:
    """Return the answers of two policies of the training rows that are simple to have; they explore as the loop does.

    The best constant action; and a tree that tells the taken actions apart, weighted by what they earned over how
    probable they were: policy learning as classification (Zhang et al., "Estimating optimal treatment regimes from a
    classification perspective", 2012).

    Args:
        matrices: training rows.
        prepared: contexts to answer, shape (n, columns).
        challenger: answers in the same contexts, for the rewards expected there.
        schema: names the actions.
        depth: of the tree.
        training: seed and exploration.
    """
    from sklearn.tree import DecisionTreeClassifier

    logged, actions, rows = Logged.of(matrices.train_y), len(schema.target.classes), len(prepared)
    best = constant_policy(best_constant(logged, actions), rows, actions)
    worth = (logged.rewards - logged.rewards.min()) / logged.propensities
    tree = DecisionTreeClassifier(max_depth=depth, random_state=training.random_state)
    tree.fit(matrices.train_x, logged.actions, sample_weight=worth)
    told = np.zeros((rows, actions))
    told[:, tree.classes_] = tree.predict_proba(prepared)
    policies = [explore(scores, training.exploration) for scores in (best, told)]
    first, second = (
        Answers(policy.argmax(axis=1).astype(np.float64), policy, expected=challenger.expected) for policy in policies
    )
    return first, second


def _named(name: str, found: Estimate) -> PolicyValue:
    return PolicyValue(
        name=name, value=found.value, lower=found.lower, upper=found.upper, effective_rows=found.effective_rows
    )
