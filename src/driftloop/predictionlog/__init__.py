"""The durable log of predictions and labels: write-ahead file, Parquet segments, join, watermark."""

from driftloop.predictionlog.columns import (
    FEATURE_PREFIX,
    KEY,
    LABEL,
    LABEL_TIME,
    MODEL_VERSION,
    OUTPUT_PREDICTION,
    OUTPUT_PREFIX,
    OUTPUT_PROBABILITY,
    PREDICTION_ID,
    TIME,
)
from driftloop.predictionlog.damage import LogDamagedError, NewerFormatError
from driftloop.predictionlog.reader import LabelMaturity, PredictionLogReader
from driftloop.predictionlog.records import InvalidRecordError, Label, LogCounts, PredictionBatch
from driftloop.predictionlog.writer import LogInUseError, LogWriteError, PredictionLogWriter

__all__ = [
    "FEATURE_PREFIX",
    "KEY",
    "LABEL",
    "LABEL_TIME",
    "MODEL_VERSION",
    "OUTPUT_PREDICTION",
    "OUTPUT_PREFIX",
    "OUTPUT_PROBABILITY",
    "PREDICTION_ID",
    "TIME",
    "InvalidRecordError",
    "Label",
    "LabelMaturity",
    "LogCounts",
    "LogDamagedError",
    "LogInUseError",
    "LogWriteError",
    "NewerFormatError",
    "PredictionBatch",
    "PredictionLogReader",
    "PredictionLogWriter",
]
