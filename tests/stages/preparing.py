"""Rows with every kind of column, and a way to prepare them, for the tests of `clean` and `transform`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from driftloop.spec import DataSchema, DataSpec, PreparationSpec, Task
from driftloop.stages.clean import CleanedRows, clean_training_rows
from driftloop.stages.table import read_features, read_target
from driftloop.stages.transform import Transformation, fit_transformer
from driftloop.stages.validate import validate

ROWS = 240
START = datetime(2024, 1, 1, tzinfo=UTC)
WORDS = ("late", "early", "broken", "fine", "again", "never", "refund", "thanks", "parcel", "driver")
INPUTS = ("size", "wealth", "steady", "city", "kind", "flag", "day", "note")


def make_rows(*, seed: int = 0, rows: int = ROWS) -> pa.Table:
    random = np.random.default_rng(seed)
    size, wealth = random.normal(size=rows), np.exp(2 * random.normal(size=rows))
    signal = size + np.log(wealth) / 2 + random.normal(size=rows) / 2
    size[::9], wealth[4::50] = np.nan, np.nan
    return pa.table(
        {
            "size": size,
            "wealth": wealth,
            "steady": random.normal(10, 1, rows),
            "city": [f"city {index}" for index in random.integers(20, size=rows)],
            "kind": random.choice(["a", "b", None], rows),
            "flag": pa.array([None if row % 17 == 0 else bool(row % 3) for row in range(rows)]),
            "day": pa.array(
                [None if row % 23 == 0 else START + timedelta(hours=int(row) * 7) for row in range(rows)],
                pa.timestamp("us", "UTC"),
            ),
            "note": [
                None if row == 5 else " ".join(random.choice(WORDS, 6)) + (" broken refund" if high else "")
                for row, high in enumerate(signal > 0)
            ],
            "at": [START + timedelta(hours=row) for row in range(rows)],
            "y": signal > 0,
            "amount": signal,
        }
    )


@dataclass(frozen=True)
class Prepared:
    schema: DataSchema
    frame: pd.DataFrame
    labels: Any
    cleaned: CleanedRows
    made: Transformation

    def apply(self, frame: pd.DataFrame) -> Any:
        return self.made.transformer.transform(self.cleaner.transform(frame))

    @property
    def cleaner(self):
        return self.cleaned.cleaner

    def column(self, name: str) -> Any:
        """The training rows' numbers in one column of the matrix."""
        return self.made.matrix[:, [column.name for column in self.made.columns].index(name)]


def read(task: Task = Task.CLASSIFICATION, **options: Any) -> tuple[DataSchema, pd.DataFrame, Any]:
    target, other = ("y", "amount") if task is Task.CLASSIFICATION else ("amount", "y")
    data = DataSpec(uri="x", target_column=target, time_column="at")
    validated = validate(make_rows(**options).drop_columns([other]), task=task, data=data)
    return (
        validated.schema,
        read_features(validated.table, validated.schema),
        read_target(validated.table, validated.schema),
    )


def prepare(task: Task = Task.CLASSIFICATION, *, seed: int = 0, **choices: Any) -> Prepared:
    schema, frame, labels = read(task)
    preparation = PreparationSpec.model_validate(choices)
    cleaned = clean_training_rows(frame, labels, schema, preparation, seed=seed)
    made = fit_transformer(cleaned.frame, labels[cleaned.rows], schema, preparation, seed=seed)
    return Prepared(schema, frame, labels, cleaned, made)
