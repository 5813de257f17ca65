"""What a package gives away of the rows, and what mitigation changes."""

import json

import numpy as np
import pyarrow as pa
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from driftloop.algorithms.metrics import Answers
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.assess import assess, build_page
from driftloop.stages.evaluate import describe
from driftloop.stages.judgements import Examination, Membership
from driftloop.stages.packageprivacy import inspect_package, tell
from driftloop.stages.predict import build_sample
from driftloop.stages.privacy import parts_with_rows
from driftloop.stages.records import Evaluation
from tests.pagecheck import check_page
from tests.stages.trainedmodel import TrainedModel, make_table

EVALUATION = Evaluation(
    algorithm="x", params={}, metric="accuracy", score=0.5, standard_error=0.1, metrics={}, test_rows=9
)


def test_rare_categories_short_columns_and_kept_rows_are_told():
    baseline = {
        "features": [
            {"name": "town", "present": 900, "counts": {"Oslo": 890, "Rjukan": 1, "Odda": 4, "Bergen": 5}},
            {"name": "age", "present": 3, "quantiles": [1.0, 2.0, 3.0]},
            {"name": "income", "present": 5000, "quantiles": [1.0] * 1000},
        ]
    }
    found = Examination(parts_with_rows=("KNeighborsClassifier",), membership=Membership(advantage=0.4, rows=9))
    privacy = inspect_package(baseline, {"predictions": [1, 0]}, EVALUATION.model_copy(update={"examination": found}))
    assert [(one.column, one.categories, one.fewest_rows) for one in privacy.rare_categories] == [("town", 2, 1)]
    assert privacy.listed_columns == ("age",)
    told = " ".join(tell(privacy))
    assert "2 rows to verify" in told
    assert "KNeighborsClassifier keep(s)" in told
    assert "do not publish its probabilities" in told


def test_a_linear_model_keeps_no_rows_and_nearest_neighbours_do():
    model = TrainedModel(make_table(300))
    assert parts_with_rows(model.chain) == ()
    neighbours = KNeighborsClassifier().fit(model.matrices.train_x, model.matrices.train_y)
    kept = parts_with_rows(Pipeline([*model.chain.steps[:-1], ("estimator", neighbours)]))
    assert kept[0] == "KNeighborsClassifier"


def test_the_baseline_holds_no_row_as_a_whole():
    """No part of the baseline holds one value of each column of a row beside one another."""
    model = TrainedModel(make_table(1200))
    judged, test = model.judge(), model.parts.test
    from datetime import timedelta

    baseline = describe(judged, test, test, model.schema, window=timedelta(days=1)).to_dict()
    sample = build_sample(model.chain, test.to_pandas(), model.schema)
    privacy = inspect_package(baseline, sample, judged.evaluation)
    assert privacy.sample_rows == 64
    assert privacy.rare_categories == ()
    beyond = test.slice(80).to_pylist()
    texts = [json.dumps(part) for part in baseline["features"]]
    for row in beyond[:50]:
        holding = [text for text in texts if repr(row["number"]) in text and repr(row["other"]) in text]
        assert not holding


class Deciding:
    """Answers with a probability, and decides by a higher threshold."""

    classes_ = np.array([False, True])

    def predict_proba(self, rows):
        sure = np.asarray(rows)[:, 0]
        return np.column_stack([1 - sure, sure])

    def decide(self, probabilities, rows):
        return (probabilities[:, 1] > 0.8).astype(int)


def test_the_page_sets_the_difference_against_that_without_a_rule():
    random = np.random.default_rng(0)
    sex = np.array(["w", "m"] * 200)
    x = np.where(sex == "w", 0.7, 0.3) + random.normal(size=400) / 50
    table = pa.table({"x": x, "y": random.random(400) < 0.5, "sex": sex})
    schema = DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="y", classes=(False, True)),
        features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False),),
    )

    class Never(Deciding):
        def decide(self, probabilities, rows):
            decided = np.arange(len(probabilities)) % 5 == 0
            return decided.astype(int)

    found = assess(Never, table, schema, sensitive_columns=["sex"], metric="accuracy")
    [column] = found.columns
    assert column.before["demographic_parity_difference"] == 1
    assert column.differences["demographic_parity_difference"] == 0
    assert found.accuracy is not None
    page = check_page(build_page(found.model_copy(update={"decision": "by lot"})))
    assert "It decides by lot." in page.texts


def test_answers_keep_their_levels_apart_when_rows_are_taken():
    answers = Answers(np.zeros(3), np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]))
    assert answers.level(1).tolist() == [2, 1, 0]
    assert answers.take(np.array([0, 2])).level(1).tolist() == [1, 0]
