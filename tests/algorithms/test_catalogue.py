import numpy as np
import pytest

from driftloop.algorithms import CATALOGUE, get_algorithm, resolve_algorithms
from driftloop.algorithms.catalogue import UnknownAlgorithmError
from driftloop.spec import Task


def test_auto_means_every_algorithm_of_the_task_once():
    names = [algorithm.name for algorithm in CATALOGUE]
    assert resolve_algorithms(["Auto"], Task.REGRESSION) == names
    assert resolve_algorithms(["Linear", "Auto", "Linear"], Task.CLASSIFICATION) == names


def test_a_misspelt_algorithm_is_told_with_a_suggestion():
    with pytest.raises(UnknownAlgorithmError, match=r"Got 'RandomForrest'. Did you mean 'RandomForest'\?"):
        resolve_algorithms(["RandomForrest"], Task.CLASSIFICATION)


@pytest.mark.parametrize("algorithm", CATALOGUE, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("task", Task)
def test_every_algorithm_fits_with_its_defaults_and_repeats_itself(algorithm, task):
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3))
    y = x[:, 0] > 0 if task is Task.CLASSIFICATION else x[:, 0]
    first, second = (
        get_algorithm(algorithm.name).build(task, algorithm.defaults, 7).fit(x, y).predict(x) for _ in range(2)
    )
    assert (first == second).all()
