"""A small model that was trained by the stages, and the rows it was made of, for the tests that judge and explain."""

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSpec, PreparationSpec, ProblemSpec, Task
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.evaluate import evaluate
from driftloop.stages.examination import Material, examine
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import CandidateRecord
from driftloop.stages.split import split
from driftloop.stages.table import encode_target, read_features, read_target
from driftloop.stages.train import build_chain
from driftloop.stages.transform import fit_transformer
from driftloop.stages.validate import validate

PREPARATION = PreparationSpec()


def make_table(rows: int, *, classes: int = 2, signal: float = 1.0, crossed: bool = False, seed: int = 0) -> pa.Table:
    """Rows whose target depends on a number and a place, or on the product of two numbers alone."""
    random = np.random.default_rng(seed)
    number, other = random.normal(size=rows), random.normal(size=rows)
    place = random.integers(4, size=rows)
    shown = number * other if crossed else number + (place == 0)
    value = signal * shown + random.normal(size=rows) / 2
    y = value if classes == 0 else np.digitize(value, np.quantile(value, np.arange(1, classes) / classes))
    number[::11] = np.nan
    return pa.table(
        {
            "number": number,
            "other": other,
            "place": [f"place {index}" for index in place],
            "sure": random.random(rows) < 0.5,
            "y": y if classes == 0 else [f"class {code}" for code in y],
        }
    )


class TrainedModel:
    """One algorithm with given hyperparameters, fitted as the pipeline does."""

    def __init__(self, table: pa.Table, *, algorithm: str = "Linear", metric: str = "", time_column=None, params=None):
        is_number = pa.types.is_floating(table.schema.field("y").type)
        self.task = Task.REGRESSION if is_number else Task.CLASSIFICATION
        self.metric = metric or ("r2" if is_number else "roc_auc")
        spec = DataSpec(uri="x", target_column="y", time_column=time_column)
        validated = validate(table, task=self.task, data=spec)
        self.schema = validated.schema
        self.parts = split(validated.table, self.schema, seed=0)
        train, labels = read_features(self.parts.train, self.schema), read_target(self.parts.train, self.schema)
        cleaned = clean_training_rows(train, labels, self.schema, PREPARATION, seed=0)
        labels = labels[cleaned.rows]
        made = fit_transformer(cleaned.frame, labels, self.schema, PREPARATION, seed=0)
        validation = read_features(self.parts.validation, self.schema)
        self.matrices = Matrices(
            made.matrix,
            labels,
            np.asarray(made.transformer.transform(cleaned.cleaner.transform(validation))),
            read_target(self.parts.validation, self.schema),
            made.columns,
            cleaned.rows,
        )
        entry = get_algorithm(algorithm)
        params = dict(entry.defaults) | (params or {})
        with threadpool_limits(limits=1):
            estimator = entry.build(self.task, params, 0).fit(self.matrices.train_x, self.matrices.train_y)
        self.chain = build_chain(cleaned.cleaner, made.transformer, estimator)
        self.record = CandidateRecord(
            algorithm=algorithm,
            score=self._score(estimator, self.matrices.validation_x, self.matrices.validation_y),
            train_score=self._score(estimator, self.matrices.train_x, self.matrices.train_y),
            trials=1,
            fit_seconds=0,
            params=params,
        )

    def _score(self, estimator, x, y) -> float:
        return score(self.metric, encode_target(y, self.schema), answer(estimator, x, self.task))

    def judge(self, chain=None, *, problem=None, origin: str = ""):
        record = self.record.model_copy(update={"origin": origin})
        chain = chain or self.chain
        judged = evaluate(
            chain,
            self.parts.test,
            self.schema,
            record=record,
            metric=self.metric,
            trained_through="",
            champion=None,
            seed=0,
        )
        material = Material(record, lambda: self.parts.train, lambda: self.parts.validation, lambda: self.matrices)
        problem = problem or ProblemSpec(task=self.task)
        return examine(
            chain,
            judged,
            self.parts.test,
            self.schema,
            material,
            problem=problem,
            preparation=PREPARATION,
            seed=0,
        )
