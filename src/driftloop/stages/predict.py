"""The answers of a fitted chain as plain values: one way to ask it, shared by evaluation, verification and serving.

Also builds the sample that a Bento carries for its verification. It must not import scikit-learn by itself.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from driftloop.algorithms.tasks import decide, last_link
from driftloop.errors import DriftloopError
from driftloop.spec import DataSchema, Task
from driftloop.stages.frame import frame_to_model_frame, to_request_columns

SAMPLE_ROWS = 64


class ClassesDifferError(DriftloopError):
    """A classifier knows other classes than its schema names."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(
            f"The model must answer with the {expected} classes of its schema. Got {got} probabilities a row. "
            "Train with the schema of the same run."
        )


class NoSampleError(DriftloopError):
    """No row is fit to verify a model with."""

    def __init__(self, columns: list[str]) -> None:
        super().__init__(
            f"At least one row must have all of the columns {', '.join(columns)}, as every training row had. "
            "Got none. Check how the newest rows were collected."
        )


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows."""

    predictions: list[Any]
    """One of the schema's classes a row. Regression: a float a row."""
    probabilities: list[list[float]] | None
    """A row's probabilities, in the order of the schema's classes; of an anomaly the share of training rows that are
    less anomalous. None for regression, and for clusters by distance."""


def predict(model: Any, frame: pd.DataFrame, schema: DataSchema) -> Answers:
    """Ask a fitted chain about the rows of a model frame (see `stages.frame`).

    The predicted class is the most probable one unless the chain decides otherwise (`decisionlinks`); a classifier is
    asked once.

    Raises:
        ClassesDifferError: the model has more or fewer classes than the schema.
    """
    if schema.task is Task.REGRESSION:
        return Answers(model.predict(frame).astype(float).tolist(), None)
    classes = schema.target.classes
    if schema.task is Task.CLUSTERING:
        clusters, matrix = last_link(model, frame)
        probabilities = clusters.predict_proba(matrix).tolist() if hasattr(clusters, "predict_proba") else None
        return Answers([int(cluster) for cluster in clusters.predict(matrix)], probabilities)
    codes, probabilities = decide(model, frame)
    if probabilities.shape[1] != len(classes):
        raise ClassesDifferError(len(classes), probabilities.shape[1])
    return Answers([classes[index] for index in codes.tolist()], probabilities.tolist())


def build_sample(model: Any, table: pd.DataFrame, schema: DataSchema) -> dict[str, Any]:
    """Return up to 64 rows that a server would accept, with the answers it must give: the content of `sample.json`.

    Args:
        model: fitted chain.
        table: rows as they were collected, e.g. the validation rows; may have more columns than the model needs.
        schema: the model's schema.

    Raises:
        NoSampleError: no row has all the values that the schema requires.
    """
    required = [feature.name for feature in schema.features if not feature.nullable]
    rows = table.dropna(subset=required).head(SAMPLE_ROWS)
    if rows.empty:
        raise NoSampleError(required)
    answers = predict(model, frame_to_model_frame(rows, schema), schema)
    return {
        "columns": to_request_columns(rows, schema),
        "predictions": answers.predictions,
        "probabilities": answers.probabilities,
    }
