import numpy as np
import pytest
from sklearn.datasets import make_blobs

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.clustermodel import ClusterModel, TooFewClustersError, align, counts_to_try
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer, set_up
from driftloop.algorithms.unsupervised import adjusted_rand
from driftloop.spec import Task
from driftloop.spec.training import TrainingSpec
from driftloop.stages.modelfile import load_model, save_model

NAMES = ("KMeans", "MiniBatchKMeans", "Agglomerative", "GaussianMixture", "HDBSCAN")


CENTRES = np.array([[0.0, 0, 0], [6, 0, 0], [0, 6, 0], [0, 0, 6]])


def blobs(rows=400, seed=0):
    x, y = make_blobs(rows, centers=CENTRES, cluster_std=0.7, random_state=seed)
    return x, y.astype(float)


def fitted(name, x, *, metric="silhouette", clusters=(2, 8), **params):
    training = TrainingSpec(clusters={"min": clusters[0], "max": clusters[1]})
    algorithm = set_up(get_algorithm(name), training, metric)
    return algorithm.build(Task.CLUSTERING, {**algorithm.defaults, **params}, 0).fit(x)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_clusters_is_found_and_new_rows_are_answered(name):
    (x, _), (new, truth) = blobs(), blobs(rows=200)
    model = fitted(name, x)
    assert len(model.assigner_) == 4
    assert adjusted_rand(truth, model.predict(new).astype(float)) > 0.97
    assert set(model.predict(new).tolist()) <= set(model.clusters_)


@pytest.mark.parametrize("name", NAMES)
def test_one_row_is_answered_as_it_is_among_others(name):
    x, _ = blobs()
    model = fitted(name, x)
    assert model.predict(x[:1]).tolist() == model.predict(x)[:1].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_equal_models_give_equal_bytes_and_answer_the_same_when_loaded(name, tmp_path):
    x, _ = blobs()
    for place in ("a", "b"):
        save_model(fitted(name, x), tmp_path / place)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded, model = load_model(tmp_path / "a"), fitted(name, x)
    assert (loaded.predict(x) == model.predict(x)).all()
    assert (loaded.halves(x) == model.halves(x)).all()


@pytest.mark.parametrize("name", NAMES)
def test_clear_clusters_are_stable_and_those_of_noise_are_not(name):
    x, _ = blobs()
    noise = np.random.default_rng(0).uniform(size=(400, 6))
    of_blobs = answer(fitted(name, x), x, Task.CLUSTERING)
    assert score("stability", np.full(400, np.nan), of_blobs) > 0.95
    if name != "HDBSCAN":  # it finds none
        of_noise = answer(fitted(name, noise, clusters=(6, 6)), noise, Task.CLUSTERING)
        assert score("stability", np.full(400, np.nan), of_noise) < 0.6


def test_a_mixture_says_how_sure_it_is():
    x, _ = blobs()
    model = fitted("GaussianMixture", x)
    probabilities = model.predict_proba(x)
    assert probabilities.shape == (400, 4)
    assert (np.array(model.clusters_)[probabilities.argmax(axis=1)] == model.predict(x)).all()
    assert not hasattr(fitted("KMeans", x), "predict_proba")


def test_rows_far_from_all_belong_to_no_dense_cluster():
    x, _ = blobs()
    model = fitted("HDBSCAN", x)
    assert model.predict(np.array([[1000.0, 0, 0]])).tolist() == [-1]
    assert model.clusters_ == [-1, 0, 1, 2, 3]


def test_rows_without_dense_clusters_say_so():
    with pytest.raises(TooFewClustersError, match=r"at least two dense clusters for HDBSCAN. Got \d"):
        fitted("HDBSCAN", np.random.default_rng(0).normal(size=(200, 5)), min_cluster_share=0.15)


def test_fewer_different_rows_than_clusters_are_refused_and_those_that_there_are_bound_the_number():
    with pytest.raises(TooFewClustersError, match=r"at least 3 different rows, one a cluster .* Got 2\."):
        fitted("KMeans", np.repeat([[0.0], [1.0]], 50, axis=0), clusters=(3, 9))
    assert len(fitted("KMeans", np.repeat([[0.0], [1.0]], 50, axis=0), clusters=(2, 9)).assigner_) == 2


@pytest.mark.parametrize("metric", ["calinski_harabasz", "neg_davies_bouldin", "stability", "adjusted_rand"])
def test_the_number_is_chosen_by_the_loops_metric_where_it_can_be(metric):
    model = fitted("KMeans", blobs()[0], metric=metric)
    assert len(model.assigner_) == 4
    assert model.chosen_by == (metric if metric in {"calinski_harabasz", "neg_davies_bouldin"} else "silhouette")
    assert list(model.tried_) == ["2", "3", "4", "5", "6", "7", "8"]


def test_a_wide_range_is_tried_in_equal_ratios():
    assert counts_to_try(2, 17) == list(range(2, 18))
    wide = counts_to_try(2, 1000)
    assert (wide[0], wide[-1]) == (2, 1000)
    assert len(wide) <= 16


@pytest.mark.parametrize("name", ["KMeans", "GaussianMixture", "HDBSCAN"])
def test_clusters_keep_the_champions_numbers(name):
    champion, challenger = fitted(name, blobs(seed=1)[0]), fitted(name, blobs(rows=300, seed=1)[0][::-1])
    x = blobs(rows=200, seed=1)[0]
    champion.rename({0: 7, 1: 3, 2: 0, 3: 5})
    align(challenger, challenger.predict(x), champion.predict(x))
    assert (challenger.predict(x) == champion.predict(x)).mean() > 0.97
    assert sorted(set(challenger.clusters_) - {-1}) == [0, 3, 5, 7]
    if name == "GaussianMixture":
        told = np.array(challenger.clusters_)[challenger.predict_proba(x).argmax(axis=1)]
        assert (told == challenger.predict(x)).all()


def test_a_cluster_without_a_counterpart_gets_a_number_of_its_own():
    x, _ = blobs(seed=1)
    champion, challenger = fitted("KMeans", x, clusters=(3, 3)), fitted("KMeans", x, clusters=(4, 4))
    align(challenger, challenger.predict(x), champion.predict(x))
    assert challenger.clusters_ == [0, 1, 2, 3]
    assert (challenger.predict(x) == champion.predict(x)).mean() > 0.7


def test_a_model_is_its_rows_whatever_their_labels():
    x, y = blobs()
    assert (ClusterModel().fit(x, y).predict(x) == ClusterModel().fit(x).predict(x)).all()
