"""What comes over the wire to the monitor: the tap's messages from the model server, and labels from anyone.

Checked here, completely, before it becomes a record of the log.
"""

import math
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from driftloop.predictionlog import Label, PredictionBatch
from driftloop.spec.boundary import Boundary


def _read_key(value: object) -> str:
    """Bring a business key to one form, whatever type the client's table gives it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be a string or a number")


def _read_label(value: object) -> bool | float | str:
    if isinstance(value, bool | str) or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    raise ValueError("must be a string, a boolean or a finite number")


def _read_time(value: object) -> datetime:
    """Read ISO 8601 and nothing else: a bare number could mean seconds, milliseconds or a year."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("must be an ISO 8601 time with a time zone, e.g. '2026-01-31T12:00:00Z'")
    return time.astimezone(UTC)


Time = Annotated[datetime, PlainValidator(_read_time)]
Key = Annotated[str, PlainValidator(_read_key)]
Cell = bool | float | str | list[float] | None


class TapPredictions(Boundary):
    """The rows of one request and the answers to them."""

    type: Literal["predictions"]
    model_version: str
    time: Time
    prediction_ids: list[str]
    keys: list[Key | None] | None
    features: dict[str, list[Cell]]
    outputs: dict[str, list[Cell]]
    dropped: Annotated[int, Field(ge=0)]

    def to_batch(self) -> PredictionBatch:
        """Return the record to log.

        Raises:
            InvalidRecordError: a column does not have one value per prediction id.
        """
        return PredictionBatch(
            self.model_version, self.time, self.prediction_ids, self.keys, self.features, self.outputs, self.dropped
        )


class TapWatermark(Boundary):
    """Everything up to `time` was sent on this connection."""

    type: Literal["watermark"]
    time: Time
    dropped: Annotated[int, Field(ge=0)]


class LabelMessage(Boundary):
    """The truth about one prediction or one business key."""

    key: Key | None = None
    prediction_id: str | None = None
    label: Annotated[bool | float | str, PlainValidator(_read_label)]
    time: Time | None = None
    """Replay mode only, and required there: when the truth became known."""

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if (self.key is None) == (self.prediction_id is None):
            raise ValueError("must have either 'key' or 'predictionId'")
        return self

    def to_label(self, received: datetime) -> Label:
        """Return the record to log."""
        return Label(label=self.label, time=self.time or received, key=self.key, prediction_id=self.prediction_id)


class LabelsRequest(Boundary):
    """The body of `POST /labels`."""

    labels: Annotated[list[LabelMessage], Field(min_length=1)]


_TAP_MESSAGE: TypeAdapter[TapPredictions | TapWatermark] = TypeAdapter(
    Annotated[TapPredictions | TapWatermark, Field(discriminator="type")]
)


def parse_tap_line(line: bytes) -> TapPredictions | TapWatermark:
    """Read one line of the tap.

    Raises:
        ValidationError: it is not one of the two messages.
    """
    return _TAP_MESSAGE.validate_json(line)


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the path of the first wrong field, e.g. `labels[3].label`, and what is wrong with it."""
    problem = error.errors(include_url=False)[0]
    path = ""
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    # Our own validators put the plain sentence into the context; pydantic's begin with a capital letter.
    reason = str(problem.get("ctx", {}).get("error", "")) or problem["msg"][:1].lower() + problem["msg"][1:]
    return path, reason
