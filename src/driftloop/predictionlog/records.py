"""The records of the prediction log, and their form in the write-ahead file.

The sidecar's intake makes them from what the tap and the label clients send. A record that exists can be committed:
whatever could make a later flush fail is refused here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from driftloop.errors import InvalidInputError

Value = bool | float | str | list[float] | None
"""One cell of a feature or an output: what JSON has, lists for the probabilities of several classes."""


class InvalidRecordError(InvalidInputError):
    """A prediction batch or a label that the log can't keep."""


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """The answer to one request: n rows in, n predictions out, and what the tap lost before it.

    A batch without rows carries only `dropped`.
    """

    model_version: str
    time: datetime
    """Event time, with a time zone."""
    prediction_ids: Sequence[str]
    keys: Sequence[str | None] | None
    """Business keys of the rows; None where the data have no key column."""
    features: Mapping[str, Sequence[Value]]
    """Raw input by feature name, n values each."""
    outputs: Mapping[str, Sequence[Value]]
    """`prediction` and, for classification, `probability`; n values each."""
    dropped: int = 0
    """Rows that the sender lost since its previous message."""
    source: str = ""
    """The process that sent it; empty when it does not number its batches."""
    sequence: int = 0
    """Number within the source, rising: what was received twice is known by it."""
    line: bytes | None = None
    """The batch as JSON, when it came so; kept as it is."""

    def __post_init__(self) -> None:
        _require_aware(self.time, "time of a prediction batch")
        rows = len(self.prediction_ids)
        for columns in (self.features, self.outputs):
            for values in columns.values():
                if len(values) != rows:
                    self._refuse()
        if self.keys is not None and len(self.keys) != rows:
            self._refuse()

    def _refuse(self) -> None:
        rows = len(self.prediction_ids)
        columns = {f"features.{name}": values for name, values in self.features.items()}
        columns |= {f"outputs.{name}": values for name, values in self.outputs.items()}
        if self.keys is not None:
            columns["keys"] = self.keys
        for name, values in columns.items():
            if len(values) != rows:
                raise InvalidRecordError(
                    f"The '{name}' of a prediction batch must have one value per prediction id ({rows}). "
                    f"Got {len(values)}."
                )


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one prediction, found by prediction id, or about every prediction made with a business key."""

    label: bool | float | str
    time: datetime
    """When the truth became known, with a time zone."""
    key: str | None = None
    prediction_id: str | None = None

    def __post_init__(self) -> None:
        _require_aware(self.time, "time of a label")
        if (self.key is None) == (self.prediction_id is None):
            raise InvalidRecordError("A label must have either a key or a prediction id. Got both or none.")


@dataclass(frozen=True, slots=True)
class LogCounts:
    """How much a log holds. Retried records are counted each time they were acknowledged."""

    rows: int = 0
    """Predictions."""
    labels: int = 0
    dropped: int = 0
    """Predictions that were served and never reached the log."""

    def __add__(self, other: "LogCounts") -> "LogCounts":
        return LogCounts(self.rows + other.rows, self.labels + other.labels, self.dropped + other.dropped)


def count(record: PredictionBatch | Label) -> LogCounts:
    """Return what one record adds to the counts."""
    if isinstance(record, Label):
        return LogCounts(labels=1)
    return LogCounts(rows=len(record.prediction_ids), dropped=record.dropped)


def encode(record: PredictionBatch | Label) -> bytes:
    """Write a record as JSON; a batch has the form of the tap's messages.

    Raises:
        InvalidRecordError: it holds a value that JSON or UTF-8 has no form for.
    """
    if isinstance(record, PredictionBatch) and record.line is not None:
        return record.line
    fields = _label_fields(record) if isinstance(record, Label) else _batch_fields(record)
    try:
        # ensure_ascii would let lone surrogates through, and a later Parquet file could not hold them.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRecordError(
            f"The values of a log record must be numbers, booleans, strings, null or lists of numbers: {error}."
        ) from error


def decode(payload: bytes) -> PredictionBatch | Label:
    """Read what `encode` wrote, now or in version 0.1."""
    fields: dict[str, Any] = from_json(payload, cache_strings="keys")
    time = datetime.fromisoformat(fields["time"])
    if "label" in fields:
        return Label(**fields | {"time": time})
    if "model_version" in fields:
        return PredictionBatch(**fields | {"time": time})
    return PredictionBatch(
        fields["modelVersion"],
        time,
        fields["predictionIds"],
        fields["keys"],
        fields["features"],
        fields["outputs"],
        fields["dropped"],
        fields.get("server", ""),
        fields.get("sequence", 0),
    )


def _label_fields(label: Label) -> dict[str, Any]:
    return {name: getattr(label, name) for name in label.__slots__} | {"time": label.time.isoformat()}


def _batch_fields(batch: PredictionBatch) -> dict[str, Any]:
    return {
        "modelVersion": batch.model_version,
        "time": batch.time.isoformat(),
        "predictionIds": batch.prediction_ids,
        "keys": batch.keys,
        "features": batch.features,
        "outputs": batch.outputs,
        "dropped": batch.dropped,
        "server": batch.source,
        "sequence": batch.sequence,
    }


def _require_aware(time: datetime, what: str) -> None:
    if time.tzinfo is None:
        raise InvalidRecordError(f"The {what} must have a time zone. Got {time.isoformat()}; use UTC.")
