"""A model made elsewhere against the loop's rows: taken when it answers them as by itself, refused with the reason."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.svm import OneClassSVM

from driftloop.spec import DataSpec, FeatureType, Task
from driftloop.stages.adopt import ForeignModel, UnfitModelError, adopt
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.table import read_features
from driftloop.stages.validate import InputTypeError
from tests.adoption.models import FEATURES, classifier, parcels, regressor

DATA = {"uri": "parcels.csv", "targetColumn": "late", "timeColumn": "sent", "keyColumn": "parcel"}


def given(estimator, inputs=None):
    return ForeignModel(estimator=estimator, origin="the MLflow model 'm'", inputs=inputs or {})


def try_adopt(estimator, table=None, *, task=Task.CLASSIFICATION, inputs=None, input_columns=(), **data):
    rows = pa.Table.from_pandas(parcels() if table is None else table, preserve_index=False)
    spec = DataSpec.model_validate(DATA | data)
    return adopt(given(estimator, inputs), rows, task=task, data=spec, input_columns=input_columns)


def test_an_adopted_model_answers_as_before_and_is_stored_without_pickle(tmp_path):
    model, table = classifier(), parcels()
    adopted = try_adopt(model)
    save_model(adopted.chain, tmp_path / "model.skops")
    chain = load_model(tmp_path / "model.skops")
    frame = read_features(adopted.validated.table, adopted.validated.schema)
    assert np.allclose(chain.predict_proba(frame), model.predict_proba(table[FEATURES]))
    assert adopted.validated.schema.feature_names == FEATURES
    assert adopted.record.algorithm == "LogisticRegression"
    assert adopted.record.origin == "the MLflow model 'm'"
    assert adopted.trained_through == table["sent"].max().isoformat(), "it may have seen all of them"


def test_a_regression_is_adopted_alike():
    adopted = try_adopt(regressor(), task=Task.REGRESSION, targetColumn="hours")
    assert adopted.validated.schema.target.classes == ()
    assert adopted.record.algorithm == "LinearRegression"


def test_a_column_that_is_constant_in_the_rows_stays_an_input():
    table = parcels().assign(carrier="north")
    assert "carrier" in try_adopt(classifier(), table).validated.schema.feature_names


def test_an_empty_column_gets_its_type_from_the_signature():
    table = parcels()
    table["gap"] = pd.Series([None] * len(table), dtype=object)
    model = LogisticRegression().fit(parcels()[["distance"]].assign(gap=0.0), table["late"])
    with pytest.raises(UnfitModelError, match="must answer the rows of the data"):
        try_adopt(model, table, inputs={"distance": FeatureType.NUMERIC, "gap": FeatureType.NUMERIC})


def test_missing_columns_are_named_with_what_the_data_have():
    with pytest.raises(UnfitModelError, match=r"no column 'stops'\. Add them, or rename yours: halts"):
        try_adopt(classifier(), parcels().rename(columns={"stops": "halts"}).drop(columns="hours"))


def test_a_model_fitted_on_an_array_asks_for_its_columns():
    table = parcels()
    model = LogisticRegression().fit(table[["distance", "stops"]].to_numpy(), table["late"])
    with pytest.raises(UnfitModelError, match=r"Name its 2 columns in its order in 'model.inputColumns'"):
        try_adopt(model)
    adopted = try_adopt(model, input_columns=("distance", "stops"))
    frame = read_features(adopted.validated.table, adopted.validated.schema)
    expected = model.predict_proba(table[["distance", "stops"]].to_numpy())
    assert np.allclose(adopted.chain.predict_proba(frame), expected)


def test_named_columns_must_be_as_many_as_the_model_takes():
    table = parcels()
    model = LogisticRegression().fit(table[["distance", "stops"]].to_numpy(), table["late"])
    with pytest.raises(UnfitModelError, match=r"must get the 2 columns that it was fitted on\. Got distance"):
        try_adopt(model, input_columns=("distance",))


def test_the_target_can_not_be_an_input():
    table = parcels()
    model = LogisticRegression().fit(table[["distance", "hours"]], table["late"])
    with pytest.raises(UnfitModelError, match="'hours' among its inputs"):
        try_adopt(model, targetColumn="hours", task=Task.CLASSIFICATION)


@pytest.mark.parametrize(
    ("estimator", "task", "words"),
    [
        (regressor(), Task.CLASSIFICATION, "must do the task Classification"),
        (classifier(), Task.REGRESSION, "must do the task Regression. Got a classifier"),
        (regressor(), Task.DECISION, "must do the task Decision"),
        (
            RidgeClassifier().fit(parcels()[["distance"]], parcels()["late"]),
            Task.CLASSIFICATION,
            "must give probabilities .*CalibratedClassifierCV",
        ),
        (OneClassSVM().fit(parcels()[["distance"]]), Task.CLASSIFICATION, "which has no classes"),
    ],
)
def test_a_model_of_another_kind_is_refused(estimator, task, words):
    with pytest.raises(UnfitModelError, match=words):
        try_adopt(estimator, task=task, targetColumn="late" if task is Task.CLASSIFICATION else "hours")


def test_other_classes_are_refused_with_both_lists():
    table = parcels()
    table["late"] = np.where(table["late"], "yes", "no")
    with pytest.raises(UnfitModelError, match=r"'no', 'yes'\. Got False, True"):
        try_adopt(classifier(), table)


def test_zero_and_one_are_false_and_true():
    table = parcels().assign(late=parcels()["late"].astype(int))
    assert try_adopt(classifier(), table).validated.schema.target.classes == (0, 1)


def test_a_decision_threshold_of_its_own_is_refused_because_driftloop_would_answer_otherwise():
    table = parcels()
    model = FixedThresholdClassifier(LogisticRegression(), threshold=0.9).fit(table[["distance"]], table["late"])
    with pytest.raises(UnfitModelError, match=r"other answers for .* of 400 rows"):
        try_adopt(model)


def test_a_column_of_another_type_than_the_signature_is_refused():
    table = parcels()
    table["distance"] = [f"{value:.1f} km" for value in table["distance"]]
    with pytest.raises(InputTypeError, match="'distance' must be numeric, as the model takes it"):
        try_adopt(classifier(), table, inputs={"distance": FeatureType.NUMERIC})


def test_missing_texts_reach_the_model_as_pandas_reads_them():
    table = parcels()
    table.loc[::7, "carrier"] = np.nan
    model = classifier(table)
    adopted = try_adopt(model, table)
    frame = read_features(adopted.validated.table, adopted.validated.schema)
    assert np.allclose(adopted.chain.predict_proba(frame), model.predict_proba(table[FEATURES]))
