import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import spearmanr
from sklearn.datasets import make_blobs

from driftloop.algorithms.metrics import Answers, all_scores, compare, intervals, score, standard_error
from driftloop.algorithms.unsupervised import NOISE, adjusted_rand, rank_correlation, silhouettes
from driftloop.spec import Task

X, TRUTH = make_blobs(300, n_features=3, centers=3, cluster_std=2.5, random_state=0)
CLUSTERS = np.where(np.random.default_rng(0).random(300) < 0.1, (TRUTH + 1) % 3, TRUTH).astype(float)
NOTHING_KNOWN = np.full(300, np.nan)
ANSWERS = Answers(CLUSTERS, space=X, halves=np.stack([CLUSTERS, TRUTH], axis=1))


@pytest.mark.parametrize(
    ("metric", "theirs", "sign"),
    [
        ("silhouette", sklearn.metrics.silhouette_score, 1),
        ("calinski_harabasz", sklearn.metrics.calinski_harabasz_score, 1),
        ("neg_davies_bouldin", sklearn.metrics.davies_bouldin_score, -1),
    ],
)
def test_values_are_scikit_learns(metric, theirs, sign):
    assert score(metric, NOTHING_KNOWN, ANSWERS) == pytest.approx(sign * theirs(X, CLUSTERS), abs=1e-9)


@pytest.mark.parametrize("metric", ["calinski_harabasz", "neg_davies_bouldin"])
def test_weights_stand_for_repeated_rows(metric):
    weights = np.random.default_rng(1).integers(0, 4, 300)
    repeated = ANSWERS.take(np.repeat(np.arange(300), weights))
    weighted = score(metric, NOTHING_KNOWN, ANSWERS, weights.astype(float))
    assert weighted == pytest.approx(score(metric, np.full(weights.sum(), np.nan), repeated))


def test_agreement_is_scikit_learns_and_scipys():
    assert adjusted_rand(TRUTH.astype(float), CLUSTERS) == pytest.approx(
        sklearn.metrics.adjusted_rand_score(TRUTH, CLUSTERS)
    )
    first = np.random.default_rng(0).integers(0, 9, 300).astype(float)
    assert rank_correlation(first, first + X[:, 0]) == pytest.approx(spearmanr(first, first + X[:, 0]).statistic)
    assert np.isnan(rank_correlation(first, np.ones(300)))


def test_known_groups_are_compared_where_they_are_known():
    truth = np.where(np.arange(300) < 100, TRUTH, np.nan)
    expected = sklearn.metrics.adjusted_rand_score(TRUTH[:100], CLUSTERS[:100])
    assert score("adjusted_rand", truth, ANSWERS) == pytest.approx(expected)
    assert np.isnan(score("adjusted_rand", NOTHING_KNOWN, ANSWERS))


def test_one_cluster_has_no_silhouette_and_rows_of_none_count_as_neither():
    alone = Answers(np.zeros(300), space=X)
    assert score("silhouette", NOTHING_KNOWN, alone) == 0
    assert score("calinski_harabasz", NOTHING_KNOWN, alone) == 0
    assert np.isnan(score("neg_davies_bouldin", NOTHING_KNOWN, alone))
    some = np.where(np.arange(300) < 30, NOISE, CLUSTERS)
    assert (silhouettes(X, some)[:30] == 0).all()


def test_all_metrics_have_intervals_and_one_that_needs_labels_is_left_out_without():
    found = all_scores(Task.CLUSTERING, NOTHING_KNOWN, ANSWERS)
    assert set(found) == {"silhouette", "calinski_harabasz", "neg_davies_bouldin", "stability"}
    for metric, (low, high) in intervals(Task.CLUSTERING, NOTHING_KNOWN, ANSWERS, seed=0).items():
        assert low < found[metric] < high, metric
    assert standard_error("silhouette", NOTHING_KNOWN, ANSWERS, seed=0) > 0


def test_better_clusters_are_seen_to_be_better():
    interval = compare("silhouette", NOTHING_KNOWN, Answers(TRUTH.astype(float), space=X), ANSWERS, seed=0)
    assert interval.lower > 0


def test_anomalies_are_scored_on_the_rows_whose_truth_is_known():
    share = np.linspace(0, 1, 300)
    answers = Answers(
        (share > 0.9).astype(float), np.stack([1 - share, share], axis=1), halves=np.stack([share] * 2, 1)
    )
    truth = np.where(np.arange(300) % 2 == 0, np.nan, (share > 0.8).astype(float))
    assert score("roc_auc", truth, answers) == 1
    assert score("stability", NOTHING_KNOWN, answers) == pytest.approx(1)
    assert set(all_scores(Task.ANOMALY_DETECTION, NOTHING_KNOWN, answers)) == {"stability"}
