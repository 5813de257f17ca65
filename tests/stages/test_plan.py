"""Which algorithms are tried, with what part of the budget, from which start."""

from datetime import timedelta

import numpy as np
import pytest

from driftloop.algorithms import CATALOGUE, get_algorithm, resolve_algorithms
from driftloop.algorithms.algorithm import Shape
from driftloop.spec import Task, TrainingSpec
from driftloop.stages.matrices import Matrices
from driftloop.stages.plan import WORKERS, Wishes, plan, read_shape
from driftloop.stages.records import Evaluation, TrialRecord
from driftloop.stages.searchplan import Plan

SMALL = Shape(rows=500, columns=8, classes=2, rarest=100)
LARGE = Shape(rows=400_000, columns=30, classes=2, rarest=1000)


def decide(shape: Shape = SMALL, champion: Evaluation | None = None, trials: int = 30, **training) -> Plan:
    spec = TrainingSpec(**training)
    task = Task.CLASSIFICATION if shape.classes else Task.REGRESSION
    return plan(shape, Wishes(resolve_algorithms(spec.algorithms, task), spec, trials), champion)


def names(decided: Plan) -> set[str]:
    return {candidate.algorithm for candidate in decided.candidates}


def why_not(decided: Plan, algorithm: str) -> str:
    return next(left.reason for left in decided.left_out if left.algorithm == algorithm)


def make_champion(algorithm: str = "HistGradientBoosting", **fields) -> Evaluation:
    params = {"learning_rate": 0.05, "max_leaf_nodes": 15, "max_iter": 80}
    history = [TrialRecord(algorithm=algorithm, params=params, score=0.8)]
    return Evaluation(
        **{
            "algorithm": algorithm,
            "params": params,
            "metric": "roc_auc",
            "score": 0.8,
            "standard_error": 0.01,
            "metrics": {},
            "test_rows": 100,
            "history": history,
            **fields,
        }
    )


def test_every_algorithm_of_the_task_is_in_or_out_with_a_reason():
    for shape in (SMALL, LARGE, Shape(rows=50, columns=2000), Shape(rows=3000, columns=64, classes=10, rarest=80)):
        decided = decide(shape)
        task = Task.CLASSIFICATION if shape.classes else Task.REGRESSION
        everything = {algorithm.name for algorithm in CATALOGUE if task in algorithm.tasks}
        assert names(decided) | {left.algorithm for left in decided.left_out} == everything
        assert all(candidate.reason for candidate in decided.candidates)
        assert all(left.reason for left in decided.left_out)


def test_few_rows_bring_kernels_and_neighbours_many_rows_do_not():
    assert {"KernelSVM", "KNeighbors", "Linear", "HistGradientBoosting"} <= names(decide(SMALL))
    large = decide(LARGE)
    assert "KernelSVM" not in names(large)
    assert "more than 4,000 rows" in why_not(large, "KernelSVM")


def test_a_network_is_tried_on_many_columns_or_where_it_is_named():
    assert "name it" in why_not(decide(SMALL), "MLP")
    assert "MLP" in names(decide(Shape(rows=1200, columns=64, classes=10, rarest=100)))
    assert "MLP" in names(decide(SMALL, algorithms=("Auto", "MLP")))


def test_a_short_budget_leaves_slow_algorithms_out_and_says_so():
    decided = decide(LARGE, timeout=timedelta(seconds=60))
    assert "one fit takes about" in why_not(decided, "RandomForest")
    assert names(decide(LARGE, timeout=timedelta(seconds=60), algorithms=("RandomForest",))) == {"RandomForest"}


def test_few_trials_go_to_few_algorithms():
    few = decide(trials=3)
    assert names(few) == {"Linear", "HistGradientBoosting", "RandomForest"}
    assert "'training.maxTrialCount' is 3" in why_not(few, "ExtraTrees")
    assert [candidate.trials for candidate in few.candidates] == [1, 1, 1]


@pytest.mark.parametrize("trials", [1, 3, 9, 30, 400])
def test_trials_and_seconds_add_up_to_the_budget(trials):
    decided = decide(trials=trials, timeout=timedelta(seconds=120))
    assert sum(candidate.trials for candidate in decided.candidates) <= max(trials, len(decided.candidates))
    ends = [0.0] * WORKERS
    for candidate in decided.candidates:
        ends[ends.index(min(ends))] += candidate.seconds
    assert 100 < max(ends) <= 120.001
    boosting = decided.candidate("HistGradientBoosting")
    assert boosting.seconds == max(candidate.seconds for candidate in decided.candidates)


def test_unlike_scales_keep_those_out_that_they_mislead():
    decided = decide(Shape(rows=500, columns=8, classes=2, rarest=100, is_scaled=False))
    assert "KNeighbors" not in names(decided)
    assert "preparation.scaling" in why_not(decided, "Linear")
    assert "HistGradientBoosting" in names(decided)


def test_a_rare_class_keeps_those_out_that_hold_rows_out():
    assert "one has 2" in why_not(decide(Shape(rows=500, columns=8, classes=2, rarest=2)), "KernelSVM")


def test_a_rerun_first_tries_what_the_champion_found_and_knows_its_trials():
    boosting = decide(champion=make_champion()).candidate("HistGradientBoosting")
    assert boosting.first[0]["learning_rate"] == 0.05
    assert "max_iter" not in boosting.first[0]  # grown anew
    assert boosting.first[-1] == get_algorithm("HistGradientBoosting").within(
        get_algorithm("HistGradientBoosting").defaults
    )
    assert [trial.score for trial in boosting.known] == [0.8]
    cold = decide(champion=make_champion(), warm_start="None").candidate("HistGradientBoosting")
    assert cold.known == ()
    assert len(cold.first) == 1


def test_a_refit_is_the_champions_hyperparameters_and_nothing_else():
    decided = decide(champion=make_champion(), effort="Refit")
    (candidate,) = decided.candidates
    assert (candidate.algorithm, candidate.trials, candidate.is_refit) == ("HistGradientBoosting", 1, True)
    assert candidate.first[0]["max_iter"] == 80


def test_a_blend_is_refitted_part_by_part():
    parts = [
        {"algorithm": "Linear", "params": {"C": 2.0}, "weight": 0.25},
        {"algorithm": "ExtraTrees", "params": {"max_depth": 8}, "weight": 0.75},
    ]
    decided = decide(champion=make_champion(algorithm="Blend", params={"parts": parts}), effort="Refit")
    assert [(c.algorithm, c.first[0]) for c in decided.candidates] == [
        ("Linear", {"C": 2.0}),
        ("ExtraTrees", {"max_depth": 8}),
    ]


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        (None, "no champion"),
        (make_champion(origin="models:/x"), "no champion whose hyperparameters are known"),
        (make_champion(), "HistGradientBoosting is no longer asked for"),
    ],
)
def test_what_can_not_be_refitted_is_tuned_and_says_why(champion, reason):
    decided = decide(champion=champion, effort="Refit", algorithms=("Linear",))
    assert decided.effort == "Tune"
    assert reason in decided.reason


def test_widening_brings_in_what_auto_leaves_out():
    decided = decide(effort="Widen", trials=60)
    assert names(decided) > names(decide(trials=60))
    assert {"Lasso", "MLP", "NaiveBayes"} <= names(decided)


def test_an_over_fitted_champion_makes_the_next_run_try_a_simpler_model_early():
    decided = decide(champion=make_champion(diagnosis="over-fitting"))
    first, second, _ = decided.candidate("HistGradientBoosting").first
    assert second["max_leaf_nodes"] < first["max_leaf_nodes"]
    assert decided.leaning == "over-fitting"
    richer = decide(champion=make_champion(diagnosis="under-fitting")).candidate("HistGradientBoosting").first
    assert richer[1]["max_leaf_nodes"] > richer[0]["max_leaf_nodes"]
    assert decide(champion=make_champion(diagnosis="fine")).leaning == ""


def test_the_shape_is_read_without_the_numbers(tmp_path):
    matrices = Matrices(np.zeros((7, 3)), np.array(list("aabbbbb")), np.zeros((2, 3)), np.array(["a", "b"]))
    matrices.save(tmp_path / "m")
    shape = read_shape(tmp_path / "m", Task.CLASSIFICATION, is_scaled=False)
    assert shape == Shape(rows=7, columns=3, classes=2, rarest=2, is_scaled=False)
