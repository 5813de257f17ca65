"""The stages that fit: clean, transform, train, select, evaluate; on one small table."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from driftloop.algorithms import get_algorithm
from driftloop.spec import DataSchema, DataSpec, PreparationSpec, Task
from driftloop.stages.clean import Cleaner, clean_training_rows
from driftloop.stages.evaluate import Champion, describe, evaluate
from driftloop.stages.evaluationpage import build_evaluation_page
from driftloop.stages.filling import MISSING_CATEGORY, missing_flag
from driftloop.stages.frame import to_model_frame
from driftloop.stages.matrices import Matrices, load_train_target
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.predict import build_sample
from driftloop.stages.records import SamplingRecord
from driftloop.stages.resample import Sampling
from driftloop.stages.split import Splits, split
from driftloop.stages.table import read_features, read_target
from driftloop.stages.train import Budget, build_chain, fit_candidate
from driftloop.stages.transform import date_parts, fit_transformer
from driftloop.stages.validate import validate
from tests.pagecheck import check_page

ROWS = 2000
START = datetime(2024, 1, 1, tzinfo=UTC)


def make_table(task: Task, *, classes: int = 2, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    number, city = random.normal(size=ROWS), random.integers(40, size=ROWS)
    signal = number + (city % 5) / 2 + random.normal(size=ROWS) / 2
    labels = pd.qcut(signal, classes, labels=[f"class {index}" for index in range(classes)]).astype(str)
    number[::9] = np.nan
    return pa.table(
        {
            "number": number,
            "city": [f"city {index}" for index in city],
            "kind": random.choice(["a", "b", None], ROWS),
            "flag": random.random(ROWS) < 0.5,
            "day": [START + timedelta(days=int(day)) for day in random.integers(300, size=ROWS)],
            "at": [START + timedelta(hours=row) for row in range(ROWS)],
            "y": signal if task is Task.REGRESSION else labels,
        }
    )


class Prepared:
    def __init__(self, task: Task, *, classes: int = 2) -> None:
        spec = DataSpec(uri="x", target_column="y", time_column="at")
        validated = validate(make_table(task, classes=classes), task=task, data=spec)
        self.schema: DataSchema = validated.schema
        self.parts: Splits = split(validated.table, self.schema, seed=0)
        preparation = PreparationSpec()
        train, validation = (read_features(part, self.schema) for part in (self.parts.train, self.parts.validation))
        y = read_target(self.parts.train, self.schema)
        cleaned = clean_training_rows(train, y, self.schema, preparation, seed=0)
        self.cleaner = cleaned.cleaner
        made = fit_transformer(cleaned.frame, y, self.schema, preparation, seed=0)
        self.transformer = made.transformer
        validation_x = self.transformer.transform(self.cleaner.transform(validation))
        validation_y = read_target(self.parts.validation, self.schema)
        self.matrices = Matrices(made.matrix, y, validation_x, validation_y, made.columns, cleaned.rows)

    def fit(self, algorithm: str, metric: str, trials: int = 2):
        return fit_candidate(
            self.matrices,
            Sampling(),
            SamplingRecord(method="None", reason="nothing is rare"),
            self.schema,
            algorithm=get_algorithm(algorithm),
            metric=metric,
            budget=Budget(trials=trials, duration=timedelta(minutes=1)),
            seed=0,
        )

    def chain(self, algorithm: str, metric: str):
        candidate = self.fit(algorithm, metric)
        return build_chain(self.cleaner, self.transformer, candidate.estimator), candidate.record


def clean(rows: pd.DataFrame, schema: DataSchema, preparation: PreparationSpec) -> Cleaner:
    return clean_training_rows(rows, None, schema, preparation, seed=0).cleaner


@pytest.fixture(scope="module")
def two_classes() -> Prepared:
    return Prepared(Task.CLASSIFICATION)


def test_cleaning_learns_from_training_rows_only_and_leaves_nothing_missing(two_classes):
    schema, cleaner = two_classes.schema, two_classes.cleaner
    train = read_features(two_classes.parts.train, schema)
    assert cleaner.fillings["number"] == train["number"].median()
    assert cleaner.flagged == ["number"]
    unseen = read_features(two_classes.parts.test, schema)
    unseen.loc[unseen.index[0]] = None
    cleaned = cleaner.transform(unseen)
    assert not cleaned.isna().to_numpy().any()
    assert cleaned.iloc[0]["kind"] == MISSING_CATEGORY
    assert cleaned.iloc[0][missing_flag("number")] == 1


@pytest.mark.parametrize(("missing", "expected"), [("Mean", 2.0), ("Median", 1.0), ("MostFrequent", 0.0)])
def test_missing_numbers_are_filled_as_asked_without_a_flag(two_classes, missing, expected):
    train = read_features(two_classes.parts.train, two_classes.schema).head(60)
    train["number"] = [0.0, 0.0, 1.0, 4.0, 5.0, np.nan] * 10
    cleaner = clean(train, two_classes.schema, PreparationSpec(missing=missing))
    assert cleaner.fillings["number"] == expected
    assert cleaner.flagged == []


@pytest.mark.parametrize("missing", ["Auto", "Mean", "Median", "MostFrequent"])
@pytest.mark.parametrize("trained_on", ["complete rows", "empty columns"])
def test_a_missing_value_is_answered_whatever_the_training_rows_held(missing, trained_on):
    inputs = ["number", "city", "kind", "flag", "day"]
    spec = DataSpec(uri="x", target_column="y", time_column="at")
    table = make_table(Task.CLASSIFICATION)
    champion = validate(table, task=Task.CLASSIFICATION, data=spec).schema
    rows = table.to_pandas()
    rows["number"], rows["kind"] = rows["number"].fillna(0), rows["kind"].fillna("a")
    if trained_on == "empty columns":
        rows[inputs] = None
        rows["number"] = range(ROWS)
    validated = validate(pa.Table.from_pandas(rows), task=Task.CLASSIFICATION, data=spec, champion=champion)
    train, y = read_features(validated.table, validated.schema), read_target(validated.table, validated.schema)
    preparation = PreparationSpec(missing=missing)
    cleaner = clean(train, validated.schema, preparation)
    made = fit_transformer(cleaner.transform(train), y, validated.schema, preparation, seed=0)
    chain = build_chain(cleaner, made.transformer, LogisticRegression().fit(made.matrix, y))
    unknown = to_model_frame({name: [None, None] for name in inputs}, validated.schema)
    assert np.isfinite(chain.predict_proba(unknown)).all()


def test_a_cleaner_survives_its_file(two_classes, tmp_path):
    two_classes.cleaner.save(tmp_path / "cleaner")
    rows = read_features(two_classes.parts.test, two_classes.schema)
    again = Cleaner.load(tmp_path / "cleaner")
    pd.testing.assert_frame_equal(again.transform(rows), two_classes.cleaner.transform(rows))


def test_many_categories_are_cross_fitted_and_few_are_one_hot(two_classes):
    encoder = two_classes.transformer.encoder  # the hour is midnight's in all rows, and left out
    blocks = dict(zip(*[[block[i] for block in encoder.transformers_] for i in (0, 2)], strict=True))
    assert blocks["many_categories"] == ["city"]
    assert blocks["few_categories"] == ["kind"]
    cleaned = two_classes.cleaner.transform(read_features(two_classes.parts.train, two_classes.schema))
    assert not np.allclose(two_classes.transformer.transform(cleaned), two_classes.matrices.train_x)


def test_date_parts_are_days_day_of_year_weekday_and_hour():
    moment = pd.DataFrame({"d": [datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp(), -1.0]})
    assert date_parts(moment).tolist() == [[19783, 60, 4, 12], [-1, 364, 2, pytest.approx(23.9997, abs=1e-3)]]


def test_matrices_survive_their_file(two_classes, tmp_path):
    two_classes.matrices.save(tmp_path / "m")
    again, matrices = Matrices.load(tmp_path / "m"), two_classes.matrices
    for name in ("train_x", "train_y", "validation_x", "validation_y", "train_rows"):
        assert (getattr(again, name) == getattr(matrices, name)).all()
    assert again.columns == matrices.columns
    assert len(again.columns) == again.train_x.shape[1]
    assert [again.columns[place].name for place in again.groups["kind"]] == ["kind = (missing)", "kind = a", "kind = b"]
    assert (load_train_target(tmp_path / "m") == two_classes.matrices.train_y).all()


def test_tuning_repeats_itself_and_never_ends_below_the_defaults(two_classes):
    once, again = (two_classes.fit("Linear", "roc_auc", trials=4).record for _ in range(2))
    assert (once.score, once.params) == (again.score, again.params)
    assert once.score >= two_classes.fit("Linear", "roc_auc", trials=1).record.score
    assert once.trials == 4


@pytest.mark.parametrize(
    ("task", "classes", "metric"),
    [(Task.CLASSIFICATION, 2, "roc_auc"), (Task.CLASSIFICATION, 3, "neg_log_loss"), (Task.REGRESSION, 2, "r2")],
)
@pytest.mark.parametrize("algorithm", ["Linear", "RandomForest", "HistGradientBoosting", "MLP"])
def test_a_chain_learns_survives_its_file_and_is_judged(task, classes, metric, algorithm, tmp_path):
    prepared = Prepared(task, classes=classes)
    chain, record = prepared.chain(algorithm, metric)
    save_model(chain, tmp_path / "model")
    schema, test = prepared.schema, prepared.parts.test
    judged = evaluate(
        load_model(tmp_path / "model"),
        test,
        schema,
        record=record,
        metric=metric,
        trained_through="2024-02-01T00:00:00+00:00",
        champion=None,
        seed=0,
    )
    evaluation = judged.evaluation
    floor = {"roc_auc": 0.75, "neg_log_loss": -1.09, "r2": 0.4}[metric]
    assert evaluation.score > floor
    assert 0 < evaluation.standard_error < 0.2
    lower, upper = evaluation.intervals[metric]
    assert lower < evaluation.score < upper
    assert evaluation.sampling == "None: nothing is rare"
    assert evaluation.test_rows == test.num_rows
    assert describe(judged, test, test, schema, window=timedelta(days=1)).metric_value == evaluation.score
    page = check_page(build_evaluation_page(judged, schema, "loop"))
    assert evaluation.algorithm in page.texts
    sample = build_sample(chain, test.to_pandas(), schema)
    assert len(sample["predictions"]) > 0


def judge_against(prepared: Prepared, champion: Champion):
    chain, record = prepared.chain("RandomForest", "roc_auc")
    return evaluate(
        chain,
        prepared.parts.test,
        prepared.schema,
        record=record,
        metric="roc_auc",
        trained_through="",
        champion=champion,
        seed=0,
    ).against_champion


def test_the_champion_is_compared_on_rows_newer_than_its_training(two_classes):
    chain, _ = two_classes.chain("Linear", "roc_auc")
    times = two_classes.parts.test.column("at").to_pylist()
    outcome = judge_against(two_classes, Champion(chain, two_classes.schema, trained_through=times[99]))
    assert outcome.comparison.rows == len(times) - 100
    assert outcome.comparison.lower <= outcome.comparison.difference <= outcome.comparison.upper
    assert outcome.comparison.challenger - outcome.comparison.champion == pytest.approx(outcome.comparison.difference)


def test_a_champion_that_saw_the_rows_or_is_of_another_kind_is_not_compared(two_classes):
    chain, _ = two_classes.chain("Linear", "roc_auc")
    newest = two_classes.parts.test.column("at").to_pylist()[-1]
    assert "only 0 test rows" in judge_against(two_classes, Champion(chain, two_classes.schema, newest)).failure
    other = Prepared(Task.CLASSIFICATION, classes=3)
    failure = judge_against(two_classes, Champion(chain, other.schema, None)).failure
    assert "the classes of the target changed" in failure
