import numpy as np
import pandas as pd
import pytest

from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.predict import ClassesDifferError, NoSampleError, build_sample, predict

FEATURES = (
    Feature(name="distance", type=FeatureType.NUMERIC, nullable=False),
    Feature(name="wind", type=FeatureType.NUMERIC, nullable=True),
)
CLASSIFICATION = DataSchema(
    task=Task.CLASSIFICATION, target=Target(name="late", classes=("a", "b", "c")), features=FEATURES
)
REGRESSION = DataSchema(task=Task.REGRESSION, target=Target(name="delay"), features=FEATURES)
TABLE = pd.DataFrame({"distance": [1.0, None, 3.0], "wind": [None, 2.0, 5.0], "other": [1, 2, 3]})


class Model:
    """Answers with the distance."""

    def predict(self, frame):
        return frame["distance"].to_numpy(dtype=np.float32)

    def predict_proba(self, frame):
        return np.array([[0.1, 0.7, 0.2]] * len(frame))


def test_a_classifier_answers_with_the_most_probable_class_of_the_schema():
    answers = predict(Model(), TABLE, CLASSIFICATION)
    assert answers.predictions == ["b", "b", "b"]
    assert answers.probabilities[0] == [0.1, 0.7, 0.2]


def test_a_regression_answers_with_floats_and_no_probabilities():
    answers = predict(Model(), TABLE.dropna(), REGRESSION)
    assert answers.predictions == [3.0]
    assert answers.probabilities is None


def test_a_model_of_other_classes_is_refused():
    schema = CLASSIFICATION.model_copy(update={"target": Target(name="late", classes=(False, True))})
    with pytest.raises(ClassesDifferError, match="2 classes"):
        predict(Model(), TABLE, schema)


def test_a_sample_holds_rows_that_a_server_would_accept():
    sample = build_sample(Model(), TABLE, REGRESSION)
    assert sample == {
        "columns": {"distance": [1.0, 3.0], "wind": [None, 5.0]},
        "predictions": [1.0, 3.0],
        "probabilities": None,
    }


def test_without_such_a_row_the_missing_columns_are_named():
    with pytest.raises(NoSampleError, match="distance"):
        build_sample(Model(), TABLE.assign(distance=None), REGRESSION)
