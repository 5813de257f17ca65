import numpy as np
import pytest

from driftloop.algorithms import CATALOGUE, get_algorithm, resolve_algorithms
from driftloop.algorithms.algorithm import RICHER, SIMPLER, Range
from driftloop.algorithms.catalogue import UnfitAlgorithmError, UnknownAlgorithmError
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.modelfile import load_model, save_model

# Iterations are bounded on purpose; the stage `train` silences the same warnings.
pytestmark = pytest.mark.filterwarnings("ignore:.*(hasn't converged|failed to converge|max_iter was reached)")

PAIRS = [
    pytest.param(algorithm, task, id=f"{algorithm.name}-{task}")
    for algorithm in CATALOGUE
    for task in SUPERVISED
    if task in algorithm.tasks
]
CLASSIFIERS = [algorithm for algorithm in CATALOGUE if Task.CLASSIFICATION in algorithm.tasks]


def make_rows(task: Task, rows: int = 150):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 3))
    signal = x[:, 0] + random.normal(size=rows) / 3
    return x, np.where(signal > 0, "yes", "no") if task is Task.CLASSIFICATION else 40 + 10 * signal


def test_auto_means_every_algorithm_of_the_task_once():
    names = [algorithm.name for algorithm in CATALOGUE if Task.REGRESSION in algorithm.tasks]
    assert resolve_algorithms(["Auto"], Task.REGRESSION) == names
    assert resolve_algorithms(["Linear", "Auto", "Linear"], Task.REGRESSION) == names


def test_a_misspelt_algorithm_is_told_with_a_suggestion():
    with pytest.raises(UnknownAlgorithmError, match=r"Got 'RandomForrest'. Did you mean 'RandomForest'\?"):
        resolve_algorithms(["RandomForrest"], Task.CLASSIFICATION)


def test_an_algorithm_of_another_task_is_refused_with_those_that_fit():
    with pytest.raises(UnfitAlgorithmError, match=r"'NaiveBayes' does not. Use one of: Linear, Lasso"):
        resolve_algorithms(["NaiveBayes"], Task.REGRESSION)


@pytest.mark.parametrize(("algorithm", "task"), PAIRS)
def test_every_algorithm_learns_repeats_itself_and_survives_its_file(algorithm, task, tmp_path):
    x, y = make_rows(task)
    once, again = (algorithm.build(task, algorithm.defaults, 7).fit(x, y) for _ in range(2))
    for name, model in (("once", once), ("again", again)):
        save_model(model, tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "again").read_bytes()
    loaded = load_model(tmp_path / "once")
    assert (loaded.predict(x[:1]) == once.predict(x[:1])).all()
    if task is Task.CLASSIFICATION:
        assert (once.predict(x) == y).mean() > 0.8
        assert np.allclose(loaded.predict_proba(x).sum(axis=1), 1)
    else:
        assert np.corrcoef(once.predict(x), y)[0, 1] > 0.85
        assert 30 < once.predict(x).mean() < 50


@pytest.mark.parametrize("algorithm", [a for a in CLASSIFIERS if a.takes_weights], ids=lambda algorithm: algorithm.name)
def test_weights_count_as_repeated_rows(algorithm):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2))
    y = x[:, 0] + random.normal(size=300) > 0

    def share(**weights) -> float:
        classifier = algorithm.build(Task.CLASSIFICATION, algorithm.defaults, 7)
        return classifier.fit(x, y, **weights).predict_proba(x)[:, 1].mean()

    assert share(sample_weight=np.where(y, 5.0, 1.0)) > share() + 0.05


@pytest.mark.parametrize("algorithm", CATALOGUE, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("is_wide", [False, True])
def test_defaults_lie_in_the_space_and_every_end_of_it_can_be_built(algorithm, is_wide):
    assert algorithm.within(algorithm.defaults, is_wide=is_wide) == {
        name: algorithm.defaults[name] for name in algorithm.space
    }
    assert set(algorithm.space) == set(algorithm.distributions(is_wide=is_wide))
    for task in algorithm.tasks:
        for direction in (SIMPLER, RICHER):
            leaned = algorithm.lean(algorithm.within(algorithm.defaults), direction)
            algorithm.build(task, {**algorithm.defaults, **leaned}, 0)


def test_leaning_goes_half_way_to_the_simpler_end():
    trees = get_algorithm("HistGradientBoosting")
    simpler, richer = (trees.lean(trees.within(trees.defaults), direction) for direction in (SIMPLER, RICHER))
    assert simpler["max_leaf_nodes"] < 31 < richer["max_leaf_nodes"]
    assert richer["min_samples_leaf"] < 20 < simpler["min_samples_leaf"]
    assert simpler["learning_rate"] == richer["learning_rate"] == 0.1
    assert Range(1, 100, is_log=True, simpler=1).lean(1, SIMPLER) == 10


def test_a_widened_range_holds_the_usual_one():
    for algorithm in CATALOGUE:
        for part in algorithm.space.values():
            if isinstance(part, Range) and part.wide:
                assert part.wide[0] <= part.low < part.high <= part.wide[1]
