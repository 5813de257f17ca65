"""What comes over the wire to the monitor: the tap's messages from the model server, and labels from anyone.

Checked here, completely, before it becomes a record of the log. The hot path is `read_tap_line`: a line of predictions
is parsed once, in Rust, and goes into the log's write-ahead file as it came.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, Self, TypeAlias

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from typing_extensions import TypedDict  # pydantic can't use Python 3.11's

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


class _Hello(TypedDict):
    type: Literal["hello"]
    server: str
    through: Time | None


class _Predictions(TypedDict):
    type: Literal["predictions"]
    modelVersion: str
    time: Time
    predictionIds: list[str]
    keys: list[str | None] | None
    # Cells are not looked at: whatever JSON can hold has a form in the log.
    features: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    dropped: Annotated[int, Field(ge=0)]
    server: NotRequired[str]
    sequence: NotRequired[Annotated[int, Field(ge=1)]]


class _Watermark(TypedDict):
    type: Literal["watermark"]
    time: Time
    dropped: Annotated[int, Field(ge=0)]
    server: NotRequired[str]
    sequence: NotRequired[Annotated[int, Field(ge=1)]]


class _Goodbye(TypedDict):
    type: Literal["goodbye"]


_TapMessage: TypeAlias = Annotated[_Hello | _Predictions | _Watermark | _Goodbye, Field(discriminator="type")]
_TAP_MESSAGE: TypeAdapter[_Hello | _Predictions | _Watermark | _Goodbye] = TypeAdapter(_TapMessage)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a model server that waits for acknowledgements."""

    server: str
    """Identity of the process."""
    through: datetime | None
    """Event time before which it will send no record; None when it does not know yet."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """Everything up to `time` was sent on this connection."""

    time: datetime
    dropped: int
    server: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a model server that has nothing left to send."""


def read_tap_line(line: bytes) -> Hello | PredictionBatch | Watermark | Goodbye:
    """Read one line of the tap.

    Raises:
        ValidationError: it is not one of the messages.
        InvalidRecordError: a column does not have one value per prediction id.
    """
    # Strictly: the line itself is kept, so what it holds must not need conversion.
    message = _TAP_MESSAGE.validate_json(line, strict=True)
    match message["type"]:
        case "predictions":
            return PredictionBatch(
                message["modelVersion"],
                message["time"],
                message["predictionIds"],
                message["keys"],
                message["features"],
                message["outputs"],
                message["dropped"],
                message.get("server", ""),
                message.get("sequence", 0),
                line,
            )
        case "watermark":
            return Watermark(message["time"], message["dropped"], message.get("server", ""), message.get("sequence", 0))
        case "hello":
            return Hello(message["server"], message["through"])
    return Goodbye()


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


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the path of the first wrong field, e.g. `labels[3].label`, and what is wrong with it."""
    problem = error.errors(include_url=False)[0]
    path = ""
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    # Our own validators put the plain sentence into the context; pydantic's begin with a capital letter.
    reason = str(problem.get("ctx", {}).get("error", "")) or problem["msg"][:1].lower() + problem["msg"][1:]
    return path, reason
