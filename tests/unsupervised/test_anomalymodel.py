import numpy as np
import pytest

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.anomalymodel import TooContaminatedError, TooFewRowsForEnvelopeError
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer, set_up
from driftloop.spec import Task
from driftloop.spec.training import TrainingSpec
from driftloop.stages.modelfile import load_model, save_model

NAMES = ("IsolationForest", "LocalOutlierFactor", "OneClassSVM", "EllipticEnvelope")
ROWS = 600


def rows(seed=0, odd=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(ROWS, 3))
    x[:, 1] += x[:, 0]
    x[:odd] += random.choice([-9, 9], size=(odd, 3))
    return x


def fitted(name, x, y=None, contamination=None):
    algorithm = set_up(get_algorithm(name), TrainingSpec(contamination=contamination), "stability")
    return algorithm.build(Task.ANOMALY_DETECTION, algorithm.defaults, 0).fit(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_odd_rows_are_found_among_new_ones(name):
    model = fitted(name, rows(), contamination=0.05)
    new = answer(model, rows(seed=1, odd=60), Task.ANOMALY_DETECTION)
    truth = np.repeat([1.0, 0.0], [60, ROWS - 60])
    assert score("roc_auc", truth, new) > 0.95
    assert new.predictions[:60].mean() > 0.9
    assert new.predictions[60:].mean() < 0.12


@pytest.mark.parametrize("name", NAMES)
def test_the_share_that_counts_as_anomalous_is_what_was_asked_for(name):
    x = rows()
    for asked in (0.02, 0.2):
        model = fitted(name, x, contamination=asked)
        if name != "LocalOutlierFactor":  # asked again, a row is its own neighbour
            assert model.predict(x).mean() == pytest.approx(asked, abs=0.004)
        assert model.predict(rows(seed=3)).mean() == pytest.approx(asked, abs=0.06)
    assert fitted(name, x).contamination_ == 0.01


@pytest.mark.parametrize("name", NAMES)
def test_labels_set_the_threshold_and_nothing_else(name):
    x, y = rows(), np.full(ROWS, np.nan)
    y[:100], y[:10] = 0.0, 1.0
    labelled, plain = fitted(name, x, y), fitted(name, x)
    assert labelled.contamination_ == 0.1
    assert (labelled.predict_proba(x) == plain.predict_proba(x)).all()
    assert fitted(name, x, np.zeros(ROWS)).contamination_ == 0.01


def test_rows_that_are_mostly_anomalous_are_no_anomalies():
    with pytest.raises(TooContaminatedError, match=r"At most half of the labelled rows .* Got 60 %"):
        fitted("IsolationForest", rows(), np.repeat([1.0, 0.0], [360, 240]))


@pytest.mark.parametrize("name", NAMES)
def test_equal_models_give_equal_bytes_and_answer_the_same_when_loaded(name, tmp_path):
    x = rows()
    for place in ("a", "b"):
        save_model(fitted(name, x), tmp_path / place)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded, model = load_model(tmp_path / "a"), fitted(name, x)
    assert (loaded.predict_proba(x) == model.predict_proba(x)).all()
    assert (loaded.halves(x) == model.halves(x)).all()
    assert loaded.predict(x[:1]).tolist() == model.predict(x)[:1].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_models_of_two_halves_agree_about_rows_with_odd_ones_among_them(name):
    found = answer(fitted(name, rows(odd=60)), rows(seed=1, odd=60), Task.ANOMALY_DETECTION)
    assert score("stability", np.full(ROWS, np.nan), found) > 0.6


@pytest.mark.parametrize("name", NAMES)
def test_constant_and_repeated_columns_are_no_trouble(name):
    x = rows()
    x = np.column_stack([x, np.ones(ROWS), x[:, 0], x[:, 0] > 0])
    shares = fitted(name, x).predict_proba(x)[:, 1]
    assert np.isfinite(shares).all()
    assert shares.max() > 0.9


def test_an_envelope_needs_more_rows_than_columns():
    with pytest.raises(TooFewRowsForEnvelopeError, match=r"twice the columns of the matrix \(9\). Got 18"):
        fitted("EllipticEnvelope", np.random.default_rng(0).normal(size=(18, 9)))
