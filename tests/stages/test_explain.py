"""Permutation importance of the raw columns, through a whole chain."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kfp.dsl import HTML, Artifact, Dataset, Model
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from components.explain import component
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from driftloop.stages.explain import FEWEST_ROWS, MOST_ROWS, explain
from driftloop.stages.modelfile import save_model
from driftloop.stages.records import CandidateRecord, Explanation
from driftloop.stages.tablefile import write_table

ROWS = 800


def rows(seed: int = 0, count: int = ROWS) -> pa.Table:
    random = np.random.default_rng(seed)
    strong, weak, city = random.normal(size=count), random.normal(size=count), random.choice(["Oslo", "Rome"], count)
    signal = 2 * strong + weak + 1.5 * (city == "Oslo") + random.normal(size=count)
    return pa.table(
        {
            "noise": random.normal(size=count),
            "weak": weak,
            "strong": strong,
            "city": city,
            "label": signal > 0.7,
            "number": signal,
        }
    )


def schema(task: Task) -> DataSchema:
    is_classification = task is Task.CLASSIFICATION
    return DataSchema(
        task=task,
        target=Target(
            name="label" if is_classification else "number", classes=(False, True) if is_classification else ()
        ),
        features=(
            *(Feature(name=name, type=FeatureType.NUMERIC, nullable=False) for name in ("noise", "weak", "strong")),
            Feature(name="city", type=FeatureType.CATEGORICAL, nullable=False, categories=("Oslo", "Rome")),
        ),
    )


def fit(task: Task) -> Pipeline:
    table = rows(seed=1).to_pandas()
    features = ["noise", "weak", "strong", "city"]
    encode = ColumnTransformer([("city", OneHotEncoder(sparse_output=False), ["city"])], remainder="passthrough")
    estimator = LogisticRegression() if task is Task.CLASSIFICATION else LinearRegression()
    return Pipeline([("encode", encode), ("estimator", estimator)]).fit(
        table[features], table[schema(task).target.name]
    )


@pytest.mark.parametrize(("task", "metric"), [(Task.CLASSIFICATION, "roc_auc"), (Task.REGRESSION, "r2")])
def test_columns_are_ranked_by_what_the_model_loses_without_them(task, metric):
    explanation = explain(fit(task), rows(), schema(task), metric=metric, seed=0)
    assert (explanation.columns[0].column, explanation.columns[-1].column) == ("strong", "noise")
    distinguishable = {column.column for column in explanation.columns if column.is_distinguishable}
    assert distinguishable == {"strong", "weak", "city"}
    assert explanation.leakage_suspect == ""
    assert explanation == explain(fit(task), rows(), schema(task), metric=metric, seed=0)


def test_a_linear_models_importance_is_the_known_one():
    # Shuffling x adds twice its variance times the squared coefficient to the squared error.
    explanation = explain(fit(Task.REGRESSION), rows(), schema(Task.REGRESSION), metric="r2", seed=0)
    strong = explanation.columns[0]
    expected = 2 * 2**2 / np.var(rows()["number"].to_numpy())
    assert strong.importance == pytest.approx(expected, rel=0.15)
    assert 0.01 < strong.standard_deviation / strong.importance < 0.15


def test_a_column_that_alone_decides_is_suspected_to_leak():
    table = rows().append_column("leak", rows()["number"])
    known = schema(Task.REGRESSION)
    leak = Feature(name="leak", type=FeatureType.NUMERIC, nullable=False)
    leaking = known.model_copy(update={"features": (*known.features, leak)})
    chain = Pipeline([("pick", ColumnTransformer([("leak", "passthrough", ["leak"])])), ("e", LinearRegression())])
    chain.fit(table.to_pandas()[["leak"]], table["number"].to_numpy())
    explanation = explain(chain, table, leaking, metric="r2", seed=0)
    assert explanation.leakage_suspect == "leak"
    assert "it may leak the answer" in explanation.leakage_note


class Counting:
    """Counts the rows it is asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        self.asked += len(frame)
        return np.tile([0.4, 0.6], (len(frame), 1))


@pytest.mark.parametrize(("columns", "rows_asked"), [(2, MOST_ROWS), (400, FEWEST_ROWS)])
def test_the_rows_are_bounded_on_large_and_on_wide_tables(columns, rows_asked):
    count = 5000
    table = pa.table({f"x{index}": np.zeros(count) for index in range(columns)} | {"y": np.arange(count) % 2 == 0})
    wide = DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="y", classes=(False, True)),
        features=tuple(Feature(name=f"x{index}", type=FeatureType.NUMERIC, nullable=False) for index in range(columns)),
    )
    chain = Counting()
    explanation = explain(chain, table, wide, metric="roc_auc", seed=0)
    assert explanation.rows == rows_asked
    assert chain.asked == rows_asked * (1 + columns * explanation.repeats)
    assert not any(column.is_distinguishable for column in explanation.columns)


def test_a_rare_class_is_among_the_chosen_rows():
    count = 20_000
    y = np.zeros(count, dtype=bool)
    y[:12] = True
    table = pa.table({"x": np.where(y, 1.0, 0.0), "y": y})
    rare = DataSchema(
        task=Task.CLASSIFICATION,
        target=Target(name="y", classes=(False, True)),
        features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False),),
    )
    chain = Pipeline([("e", LogisticRegression().fit(table.to_pandas()[["x"]], y))])
    explanation = explain(chain, table, rare, metric="roc_auc", seed=0)
    assert explanation.score == 1
    assert explanation.columns[0].is_distinguishable


def test_the_component_writes_the_record_and_a_page(tmp_path):
    task = Task.CLASSIFICATION
    save_model(fit(task), tmp_path / "model")
    made = CandidateRecord(algorithm="x", trials=0, fit_seconds=0, params={}, origin="elsewhere")
    write_table(rows(), tmp_path / "test")
    (tmp_path / "schema").write_text(schema(task).model_dump_json(by_alias=True))
    component.explain.python_func(
        model=Model(uri=str(tmp_path / "model"), metadata=made.to_metadata()),
        test=Dataset(uri=str(tmp_path / "test")),
        matrices=Dataset(uri=str(tmp_path / "none")),
        schema=Artifact(uri=str(tmp_path / "schema")),
        metric="roc_auc",
        training={},
        explanation=Artifact(uri=str(tmp_path / "explanation")),
        report=HTML(uri=str(tmp_path / "report")),
        code_digest="code",
    )
    written = Explanation.model_validate(json.loads((tmp_path / "explanation").read_text()))
    assert written.columns[0].column == "strong"
    assert written.attributions.columns[0][0] == "strong"
    assert "not distinguishable from 0" in (tmp_path / "report").read_text()
