"""The models of a replay: packaged ones, asked outside their server, about rows that the server would accept."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.errors import InvalidInputError
from driftloop.loop.history import Model
from driftloop.predictionlog.columns import FEATURE_PREFIX, OUTPUT_PREDICTION, OUTPUT_PROBABILITY
from driftloop.spec import DataSchema, Feature, FeatureType, Task
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.predict import predict

_TWO = 2


class ModelMissingError(InvalidInputError):
    """A packaged model is not where the history says."""

    def __init__(self, model: Model, reason: object) -> None:
        super().__init__(
            f"The model {model.label} must be in '{model.result.bento_uri}' to answer the rows. It can't be read: "
            f"{reason}. Restore the folder, or name another workspace with --workspace."
        )


@dataclass(frozen=True)
class Answered:
    """Rows as a prediction log holds them."""

    columns: pd.DataFrame
    """Features as they were sent, and outputs, with the log's prefixes."""
    refused: npt.NDArray[np.bool_]
    """Rows of the request that the server would not have answered, which `columns` lacks."""


@dataclass(frozen=True)
class PackagedModel:
    """A model of the ledger."""

    model: Model

    @property
    def folder(self) -> Path:
        """Model, schema and baseline in its Bento."""
        return Path(self.model.result.bento_uri) / "src" / "model"

    @cached_property
    def schema(self) -> DataSchema:
        """What it accepts.

        Raises:
            ModelMissingError: it can't be read.
        """
        try:
            return DataSchema.model_validate_json((self.folder / "schema.json").read_bytes())
        except (OSError, ValueError) as error:
            raise ModelMissingError(self.model, error) from error

    @cached_property
    def _chain(self) -> Any:
        from driftloop.stages.modelfile import load_model

        try:
            return load_model(self.folder / "model.skops")
        except OSError as error:
            raise ModelMissingError(self.model, error) from error

    def answer(self, rows: pd.DataFrame) -> Answered:
        """Answer raw rows; those that its server refuses (text for a number, a gap where there was none) are left out.

        Raises:
            ModelMissingError: it can't be read.
            MissingColumnsError: the rows lack an input column.
        """
        refused = refused_rows(rows, self.schema)
        frame = frame_to_model_frame(rows[~refused], self.schema)
        columns = {
            FEATURE_PREFIX + feature.name: _as_sent(frame[feature.name], feature) for feature in self.schema.features
        }
        if len(frame):
            answers = predict(self._chain, frame, self.schema)
            columns[OUTPUT_PREDICTION] = pd.Series(answers.predictions, index=frame.index)
            if answers.probabilities is not None:
                is_binary = len(self.schema.target.classes) == _TWO
                told = [row[1] for row in answers.probabilities] if is_binary else answers.probabilities
                columns[OUTPUT_PROBABILITY] = pd.Series(told, index=frame.index)
        return Answered(pd.DataFrame(columns, index=frame.index), refused)


def refused_rows(rows: pd.DataFrame, schema: DataSchema) -> npt.NDArray[np.bool_]:
    """Return which rows a model's server refuses (`serving.wire`), shape (n_rows,); absent columns are not judged."""
    refused = np.zeros(len(rows), dtype=bool)
    for feature in schema.features:
        if feature.name not in rows:
            continue
        values = rows[feature.name]
        missing = values.isna().to_numpy()
        if not feature.nullable:
            refused |= missing
        refused |= ~missing & ~_is_readable(values, feature)
    return refused


def _is_readable(values: "pd.Series[Any]", feature: Feature) -> npt.NDArray[np.bool_]:
    is_text = values.dtype == object
    readable: Any
    match feature.type:
        case FeatureType.CATEGORICAL:
            readable = values.notna()
        case FeatureType.TEXT:
            readable = values.map(lambda value: isinstance(value, str))
        case FeatureType.DATE:
            readable = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601" if is_text else None).notna()
        case FeatureType.BOOLEAN:
            readable = values.isin([True, False])
        case _:
            is_number = values.map(lambda value: isinstance(value, int | float | np.number)) if is_text else True
            readable = np.isfinite(pd.to_numeric(values, errors="coerce").astype(float)) & is_number
    return np.asarray(readable, dtype=bool)


def _as_sent(values: "pd.Series[Any]", feature: Feature) -> "pd.Series[Any]":
    """Return a column of the model's frame as a request carries it."""
    match feature.type:
        case FeatureType.BOOLEAN:
            return values.map({1.0: True, 0.0: False})
        case FeatureType.DATE:
            dates = pd.to_datetime(values, unit="s", utc=True)
            return dates.map(lambda date: None if pd.isna(date) else date.isoformat())
        case _:
            return values


def is_regression(schema: DataSchema) -> bool:
    """Return whether the truth is a number."""
    return schema.task is Task.REGRESSION
