"""The stage between transform and train: how rare classes are balanced, and that probabilities stay honest."""

import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest
from kfp.dsl import HTML, Artifact, Dataset, Model
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from components.resample import component
from driftloop.algorithms import get_algorithm
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.matrices import Matrices
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.records import SamplingRecord
from driftloop.stages.resample import PriorCorrection, Sampling, SamplingError, resample
from driftloop.stages.train import Budget, fit_candidate

BALANCING = ["ClassWeights", "RandomOverSampler", "RandomUnderSampler"]
TRUE_SHARE = 0.06


def rare(rows: int, rarest: int) -> np.ndarray:
    return np.arange(rows) < rarest


@pytest.mark.parametrize(("rarest", "method"), [(400, "None"), (100, "None"), (10, "None"), (9, "ClassWeights")])
def test_auto_weights_two_classes_when_the_rarer_has_less_than_one_percent(rarest, method):
    sampling, record = resample(rare(1000, rarest), Task.CLASSIFICATION, "Auto", seed=0)
    assert record.method == method
    assert (sampling.weights is not None) is (method == "ClassWeights")
    assert f"the rarest class, True, has {rarest / 10:.2f} % of the training rows" in record.reason
    assert "below 1.00 %" in record.reason


def test_auto_takes_many_equal_classes_for_balanced():
    _, record = resample(np.arange(1000) % 100, Task.CLASSIFICATION, "Auto", seed=0)
    assert record.method == "None"


def test_weights_give_every_class_the_same_total_and_rows_their_mean_weight_of_one():
    y = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    sampling, record = resample(y, Task.CLASSIFICATION, "ClassWeights", seed=0)
    totals = [sampling.weights[y == label].sum() for label in "abc"]
    assert totals == pytest.approx([100 / 3] * 3)
    assert sampling.weights.mean() == pytest.approx(1)
    assert record.weights == pytest.approx({"a": 100 / 180, "b": 100 / 90, "c": 100 / 30})


@pytest.mark.parametrize(("method", "each"), [("RandomOverSampler", 90), ("RandomUnderSampler", 10)])
def test_samplers_draw_training_rows_until_classes_are_equal(method, each):
    y = rare(100, 10)
    sampling, record = resample(y, Task.CLASSIFICATION, method, seed=0)
    assert record.rows_after == {"False": each, "True": each}
    assert record.rows_before == {"False": 90, "True": 10}
    assert set(sampling.rows) <= set(range(100))
    assert np.bincount(sampling.take(y)).tolist() == [each, each]
    again, _ = resample(y, Task.CLASSIFICATION, method, seed=0)
    other, _ = resample(y, Task.CLASSIFICATION, method, seed=1)
    assert (again.rows == sampling.rows).all()
    assert (other.rows != sampling.rows).any()


@pytest.mark.parametrize("method", BALANCING)
def test_a_regression_refuses_to_be_balanced(method):
    with pytest.raises(SamplingError, match=f"must be Auto or None for the task Regression. Got '{method}'"):
        resample(np.arange(9.0), Task.REGRESSION, method, seed=0)
    sampling, record = resample(np.arange(9.0), Task.REGRESSION, "Auto", seed=0)
    assert sampling == Sampling()
    assert record.reason == "the task Regression has no classes to balance"


@pytest.mark.parametrize("method", [*BALANCING, "None"])
def test_a_sampling_survives_its_file(method, tmp_path):
    sampling, _ = resample(rare(100, 10), Task.CLASSIFICATION, method, seed=0)
    sampling.save(tmp_path / "sampling")
    again = Sampling.load(tmp_path / "sampling")
    for name, values in vars(sampling).items():
        np.testing.assert_array_equal(getattr(again, name), values)


def matrices(seed: int = 0) -> Matrices:
    random = np.random.default_rng(seed)

    def part(rows: int):
        x = random.normal(size=(rows, 3))
        logit = 1.5 * x[:, 0] - 0.5 * x[:, 1] + np.log(TRUE_SHARE / (1 - TRUE_SHARE)) - 0.6
        return x, random.random(rows) < 1 / (1 + np.exp(-logit))

    return Matrices(*part(6000), *part(6000))


SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="y", classes=(False, True)),
    features=tuple(Feature(name=name, type=FeatureType.NUMERIC, nullable=False) for name in "abc"),
)


def fit(algorithm: str, sampling: Sampling, parts: Matrices):
    return fit_candidate(
        parts,
        sampling,
        SamplingRecord(method="x", reason="y"),
        SCHEMA,
        algorithm=get_algorithm(algorithm),
        metric="roc_auc",
        budget=Budget(trials=1, duration=timedelta(minutes=1)),
        seed=0,
    ).estimator


@pytest.mark.parametrize("method", BALANCING)
@pytest.mark.parametrize(
    ("algorithm", "lowest", "highest"),
    [("Linear", 0.85, 1.15), ("MLP", 0.85, 1.15), ("RandomForest", 0.5, 1.2), ("HistGradientBoosting", 0.5, 1.7)],
)
def test_served_probabilities_come_back_to_the_true_share(algorithm, lowest, highest, method):
    """Exact for models whose probabilities were right; trees that follow the training rows closely stay too sure."""
    parts = matrices()
    sampling, _ = resample(parts.train_y, Task.CLASSIFICATION, method, seed=0)
    model = fit(algorithm, sampling, parts)
    share = parts.validation_y.mean()
    assert model.estimator.predict_proba(parts.validation_x)[:, 1].mean() > 2.5 * share
    assert lowest * share < model.predict_proba(parts.validation_x)[:, 1].mean() < highest * share


def test_the_correction_turns_weighted_odds_into_the_true_ones():
    parts = matrices()
    sampling, _ = resample(parts.train_y, Task.CLASSIFICATION, "ClassWeights", seed=0)
    corrected = fit("Linear", sampling, parts).predict_proba(parts.validation_x)
    plain = LogisticRegression().fit(parts.train_x, parts.train_y).predict_proba(parts.validation_x)
    assert np.abs(corrected - plain).max() < 0.05
    assert corrected.sum(axis=1) == pytest.approx(1)


def test_without_balancing_the_estimator_is_left_as_it_is():
    assert isinstance(fit("Linear", Sampling(), matrices()), LogisticRegression)


def test_a_corrected_model_is_a_link_of_a_chain_and_survives_its_file(tmp_path):
    parts = matrices()
    estimator = LogisticRegression().fit(parts.train_x, parts.train_y)
    chain = Pipeline([("estimator", PriorCorrection(estimator, np.array([1.6, 0.1])))])
    save_model(chain, tmp_path / "model")
    again = load_model(tmp_path / "model")
    probabilities = chain.predict_proba(parts.validation_x)
    np.testing.assert_array_equal(again.predict_proba(parts.validation_x), probabilities)
    np.testing.assert_array_equal(again.predict(parts.validation_x), probabilities.argmax(axis=1).astype(bool))


def write(path, parts: Matrices, preparation: dict) -> Dataset:
    parts.save(path / "matrices")
    sampling = Dataset(uri=str(path / "sampling"))
    component.resample.python_func(
        matrices=Dataset(uri=str(path / "matrices")),
        cleaned_train=Dataset(uri=str(path / "unread")),
        transformer=Model(uri=str(path / "unread")),
        schema=Artifact(uri=str(path / "unread")),
        task="Classification",
        preparation=preparation,
        training={},
        sampling=sampling,
        report=HTML(uri=str(path / "report")),
        code_digest="code",
    )
    return sampling


def test_the_component_hands_on_the_sampling_and_says_why(tmp_path):
    sampling = write(tmp_path, matrices(), {"sampling": "RandomUnderSampler"})
    record = SamplingRecord.from_metadata(sampling.metadata)
    assert record.method == "RandomUnderSampler"
    assert len(Sampling.load(tmp_path / "sampling").rows) == sum(record.rows_after.values())
    page = (tmp_path / "report").read_text()
    assert "the loop asks for it" in page
    assert "brought back to the true shares" in page


def test_other_validation_rows_change_nothing(tmp_path):
    parts = matrices()
    changed = Matrices(parts.train_x, parts.train_y, parts.validation_x[::-1] * 9, ~parts.validation_y)
    contents = []
    for number, each in enumerate((parts, changed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        sampling = write(folder, each, {"sampling": "RandomOverSampler"})
        contents.append(((folder / "sampling").read_bytes(), sampling.metadata))
    assert contents[0] == contents[1]


def test_imbalanced_learn_is_loaded_only_for_its_samplers():
    code = (
        "import sys, numpy as np; from driftloop.spec import Task; from driftloop.stages.resample import resample\n"
        "resample(np.arange(50) < 10, Task.CLASSIFICATION, sys.argv[1], seed=0); print('imblearn' in sys.modules)"
    )
    loaded = [
        subprocess.run([sys.executable, "-c", code, method], capture_output=True, text=True, check=True).stdout.strip()
        for method in ("Auto", "ClassWeights", "RandomOverSampler")
    ]
    assert loaded == ["False", "False", "True"]


def test_a_record_survives_what_kubeflow_does_to_metadata():
    record = SamplingRecord(method="SMOTE", reason="classes are rare", rows_before={"a": 3, "b": 9})
    kept = record.to_metadata()
    assert {"method": "SMOTE", "reason": "classes are rare"}.items() <= kept.items()
    wrapped = {key: {"struct": value} if isinstance(value, dict) else value for key, value in kept.items()}
    added = {"display_name": "sampling", "store_session_info": "{}"}
    assert SamplingRecord.from_metadata(wrapped | added) == record
