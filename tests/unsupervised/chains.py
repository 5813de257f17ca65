"""Whole chains of the tasks without a target, made stage by stage in this process."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from driftloop.algorithms import get_algorithm
from driftloop.algorithms.tasks import set_up
from driftloop.spec import DataSchema, DataSpec, PreparationSpec, Task
from driftloop.spec.problem import METRICS_BY_TASK
from driftloop.spec.training import TrainingSpec
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.evaluate import Champion, Judged, evaluate
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import CandidateRecord
from driftloop.stages.resample import resample
from driftloop.stages.split import split
from driftloop.stages.table import read_features, read_target
from driftloop.stages.train import Budget, build_chain, fit_candidate
from driftloop.stages.transform import fit_transformer
from driftloop.stages.validate import validate

CENTRES = np.array([[0.0, 0, 0], [9, 0, 9], [0, 9, 9]])
START = pd.Timestamp("2024-01-01", tz="UTC")


def customers(rows: int = 300, start: int = 0, *, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """Three kinds of customers, one row an hour."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 3, rows)
    x = CENTRES[group] + random.normal(size=(rows, 3)) + shift
    return pd.DataFrame(
        {
            "seen": START + pd.to_timedelta(np.arange(start, start + rows), unit="h"),
            "spend": x[:, 0],
            "visits": x[:, 1],
            "age": x[:, 2],
            "city": np.where(random.random(rows) < 0.95, np.array(["Ulm", "Bonn", "Bonn"])[group], "Kiel"),
        }
    )


@dataclass(frozen=True)
class Made:
    """A model and what it was made of."""

    chain: Any
    schema: DataSchema
    record: CandidateRecord
    test: pa.Table
    rows: pa.Table
    trained_through: str
    train: pa.Table
    matrices: Matrices

    def judge(self, champion: "Made | None" = None, metric: str = "") -> Judged:
        known = champion and Champion(champion.chain, champion.schema, pd.Timestamp(champion.trained_through))
        return evaluate(
            self.chain,
            self.test,
            self.schema,
            record=self.record,
            metric=metric or METRICS_BY_TASK[self.schema.task][0],
            trained_through=self.trained_through,
            champion=known,
            seed=0,
        )


def make(
    task: Task,
    table: pd.DataFrame,
    algorithm: str,
    *,
    metric: str = "",
    target: str = "",
    trials: int = 2,
    preparation: PreparationSpec = PreparationSpec(),  # noqa: B008 - frozen
    **training: Any,
) -> Made:
    """Train one candidate on a table."""
    spec = TrainingSpec.model_validate(training)
    metric = metric or METRICS_BY_TASK[task][0]
    named = {"time_column": "seen"} if "seen" in table else {}
    data = DataSpec(uri="rows.csv", target_column=target, min_rows=30, **named)
    valid = validate(pa.Table.from_pandas(table, preserve_index=False), task=task, data=data)
    parts = split(valid.table, valid.schema, seed=0)
    frame, y = read_features(parts.train, valid.schema), read_target(parts.train, valid.schema)
    cleaned = clean_training_rows(frame, None, valid.schema, preparation, seed=0)
    kept = cleaned.frame.index.to_numpy()
    made = fit_transformer(cleaned.frame, y[kept], valid.schema, preparation, seed=0)
    judged = made.transformer.transform(cleaned.cleaner.transform(read_features(parts.validation, valid.schema)))
    matrices = Matrices(made.matrix, y[kept], judged, read_target(parts.validation, valid.schema), made.columns, kept)
    sampling, sampled = resample(y[kept], task, "Auto", seed=0)
    fitted = fit_candidate(
        matrices,
        sampling,
        sampled,
        valid.schema,
        algorithm=set_up(get_algorithm(algorithm), spec, metric),
        metric=metric,
        budget=Budget(trials, timedelta(minutes=1)),
        seed=0,
    )
    chain = build_chain(cleaned.cleaner, made.transformer, fitted.estimator)
    through = parts.trained_through.isoformat() if parts.trained_through else ""
    return Made(chain, valid.schema, fitted.record, parts.test, valid.table, through, parts.train, matrices)
