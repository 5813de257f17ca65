from datetime import timedelta

import pytest

from driftloop.algorithms import CATALOGUE
from driftloop.spec import Maturity, ModelLoop, Task, Trigger
from driftloop.spec.reference import field_reference


def test_six_lines_are_a_whole_loop(minimal):
    loop = ModelLoop.model_validate(minimal)
    assert loop.spec.problem.task is Task.CLASSIFICATION
    assert loop.spec.problem.metric_name == "roc_auc"
    assert loop.spec.maturity is Maturity.PRODUCTION
    assert loop.spec.monitoring.false_alarm_budget.per == timedelta(days=30)


def test_covariate_drift_alone_does_not_retrain_by_default(minimal):
    assert Trigger.COVARIATE_DRIFT not in ModelLoop.model_validate(minimal).spec.retraining.triggers


def test_the_full_form_has_every_group_of_the_design(full):
    spec = ModelLoop.model_validate(full).spec
    assert spec.acceptance.max_latency == timedelta(milliseconds=50)
    assert spec.serving.rollout.step_weights == (10, 50)
    assert spec.retraining.schedule == "0 3 1 * *"
    assert set(full["spec"]) == {type(spec).model_fields[name].alias for name in type(spec).model_fields}


def test_a_loop_survives_writing_and_reading(full):
    loop = ModelLoop.model_validate(full)
    assert ModelLoop.model_validate(loop.to_dict()) == loop


def test_regression_has_its_own_usual_metric(minimal):
    minimal["spec"]["problem"] = {"task": "Regression"}
    assert ModelLoop.model_validate(minimal).spec.problem.metric_name == "r2"


def test_the_algorithms_are_those_of_the_catalogue():
    names = {"Auto", *(algorithm.name for algorithm in CATALOGUE)}
    assert set(field_reference()["spec.training.algorithms"].choices) == names


@pytest.mark.parametrize("amount", [2, 0.5, "2", "250m", "1.5Gi"])
def test_quantities_are_written_as_in_kubernetes(minimal, amount):
    minimal["spec"]["serving"] = {"resources": {"limits": {"cpu": amount}}}
    assert ModelLoop.model_validate(minimal).spec.serving.resources.limits == {"cpu": str(amount)}


def test_a_loop_cannot_be_changed(minimal):
    loop = ModelLoop.model_validate(minimal)
    with pytest.raises(ValueError, match="frozen"):
        loop.spec.suspend = True


@pytest.mark.parametrize(
    ("toleration", "words"),
    [
        ({"operator": "Equal", "value": "x"}, "must be Exists where key is empty"),
        ({}, "must be Exists where key is empty"),
        ({"key": "a", "operator": "Exists", "value": "x"}, "must be left out where operator is Exists"),
    ],
)
def test_tolerations_mean_something(minimal, toleration, words):
    minimal["spec"]["pipeline"] = {"tolerations": [toleration]}
    with pytest.raises(ValueError, match=words):
        ModelLoop.model_validate(minimal)
