import numpy as np
import pytest

from driftloop.algorithms import CATALOGUE, get_algorithm, resolve_algorithms
from driftloop.algorithms.catalogue import UnknownAlgorithmError
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

# A network's iterations are bounded on purpose; the stage `train` silences the same warning.
pytestmark = pytest.mark.filterwarnings("ignore:.*hasn't converged")


def test_auto_means_every_algorithm_of_the_task_that_is_in_it_once():
    names = [algorithm.name for algorithm in CATALOGUE if algorithm.is_in_auto]
    assert resolve_algorithms(["Auto"], Task.REGRESSION) == names
    assert resolve_algorithms(["Linear", "Auto", "Linear"], Task.CLASSIFICATION) == names


def test_a_network_is_tried_only_where_it_is_named():
    assert "MLP" not in resolve_algorithms(["Auto"], Task.CLASSIFICATION)
    assert "no part of Auto" in get_algorithm("MLP").reason
    assert resolve_algorithms(["Auto", "MLP"], Task.CLASSIFICATION)[-1] == "MLP"


@pytest.mark.parametrize("algorithm", CATALOGUE, ids=lambda algorithm: algorithm.name)
def test_every_classifier_takes_weights_as_repeated_rows(algorithm):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2))
    y = x[:, 0] + random.normal(size=300) > 0

    def share(**weights) -> float:
        classifier = algorithm.build(Task.CLASSIFICATION, algorithm.defaults, 7)
        return classifier.fit(x, y, **weights).predict_proba(x)[:, 1].mean()

    assert share(sample_weight=np.where(y, 5.0, 1.0)) > share() + 0.05


def test_a_misspelt_algorithm_is_told_with_a_suggestion():
    with pytest.raises(UnknownAlgorithmError, match=r"Got 'RandomForrest'. Did you mean 'RandomForest'\?"):
        resolve_algorithms(["RandomForrest"], Task.CLASSIFICATION)


@pytest.mark.parametrize(
    ("algorithm", "task"),
    [(algorithm, task) for algorithm in CATALOGUE for task in algorithm.tasks & {*SUPERVISED}],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_algorithm_fits_with_its_defaults_and_repeats_itself(algorithm, task):
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3))
    y = x[:, 0] > 0 if task is Task.CLASSIFICATION else x[:, 0]
    first, second = (
        get_algorithm(algorithm.name).build(task, algorithm.defaults, 7).fit(x, y).predict(x) for _ in range(2)
    )
    assert (first == second).all()
