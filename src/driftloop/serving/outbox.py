"""What the tap holds for the monitor: records in order, from the offer until the monitor says they are on its disk.

Bounded by rows and bytes; what does not fit is dropped and counted, and the count travels with the next message. Pure:
no socket, thread or clock. The sequence numbers let a monitor keep a message once that had to be sent again.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class TapRecord:
    """One answered request."""

    time: datetime
    """Event time."""
    model_version: str
    prediction_ids: list[str]
    keys: list[str | None] | None
    features: dict[str, list[Any]]
    predictions: list[Any]
    probability: list[Any] | None
    """Two classes or actions: the last one's. More: a list a row. Regression: None."""
    size: int
    """Bytes it stands for in the outbox."""
    propensity: list[float] | None = None
    """Decision: probability with which each action was drawn."""

    @property
    def rows(self) -> int:
        """Number of predictions."""
        return len(self.prediction_ids)

    def to_message(self) -> dict[str, Any]:
        """Return the message of the tap's protocol, without what belongs to its sending."""
        outputs = {"prediction": self.predictions, "probability": self.probability, "propensity": self.propensity}
        return {
            "type": "predictions",
            "modelVersion": self.model_version,
            "time": self.time.isoformat(),
            "predictionIds": self.prediction_ids,
            "keys": self.keys,
            "features": self.features,
            "outputs": {name: values for name, values in outputs.items() if values is not None},
        }


@dataclass(slots=True)
class Entry:
    """A record or a watermark on its way."""

    item: TapRecord | datetime
    sequence: int
    dropped: int | None = None
    """Rows lost before it. Fixed when it is first sent: sent again, it must say the same."""

    @property
    def rows(self) -> int:
        """Number of predictions it holds."""
        return self.item.rows if isinstance(self.item, TapRecord) else 0

    @property
    def size(self) -> int:
        """Bytes it stands for."""
        return self.item.size if isinstance(self.item, TapRecord) else 0

    def to_message(self) -> dict[str, Any]:
        """Return the message to send."""
        if isinstance(self.item, TapRecord):
            return self.item.to_message() | {"dropped": self.dropped}
        return {"type": "watermark", "time": self.item.isoformat(), "dropped": self.dropped}


class Outbox:
    """The queue of one model server: waiting, then sent, then acknowledged and forgotten.

    Args:
        max_rows: most rows held, sent or not.
        max_bytes: most bytes held, sent or not.
    """

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._waiting: deque[Entry] = deque()
        self._sent: deque[Entry] = deque()
        self._sequence = 0
        self._rows = 0
        self._bytes = 0
        self._unreported = 0
        self.promised: datetime | None = None
        """Newest watermark offered."""
        self.delivered_rows = 0
        """Rows that the monitor has; of a monitor that does not acknowledge, rows that were sent."""
        self.resent_rows = 0
        self.dropped_rows = 0

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._waiting)

    @property
    def is_empty(self) -> bool:
        """Whether everything offered is known to have arrived, or was dropped."""
        return not self._waiting and not self._sent

    @property
    def held_rows(self) -> int:
        """Rows that are not known to be on the monitor's disk."""
        return self._rows

    def offer(self, record: TapRecord) -> None:
        """Take a record, or drop and count it."""
        if self._rows + record.rows > self._max_rows or self._bytes + record.size > self._max_bytes:
            self.drop(record.rows)
            return
        self._put(record)
        self._rows += record.rows
        self._bytes += record.size

    def offer_watermark(self, through: datetime) -> None:
        """Take the statement that everything up to a time was offered; one right behind another replaces it."""
        self.promised = through
        if self._waiting and isinstance(self._waiting[-1].item, datetime) and self._waiting[-1].dropped is None:
            self._waiting.pop()
        self._put(through)

    def drop(self, rows: int) -> None:
        """Count rows as lost."""
        self.dropped_rows += rows
        self._unreported += rows

    def take(self, max_bytes: int) -> list[Entry]:
        """Return the next entries to send, at least one if any waits; from now on they count as sent."""
        taken: list[Entry] = []
        size = 0
        while self._waiting and size < max_bytes:
            entry = self._waiting.popleft()
            if entry.dropped is None:
                entry.dropped, self._unreported = self._unreported, 0
            else:
                self.resent_rows += entry.rows
            size += entry.size
            taken.append(entry)
        self._sent += taken
        return taken

    def acknowledge(self, sequence: int) -> None:
        """Forget what the monitor has: everything up to a sequence number."""
        for entries in (self._sent, self._waiting):  # waiting: sent on an earlier connection
            while entries and entries[0].sequence <= sequence:
                entry = entries.popleft()
                self._rows -= entry.rows
                self._bytes -= entry.size
                self.delivered_rows += entry.rows

    def trust(self) -> None:
        """Take what was sent for delivered: this monitor does not acknowledge."""
        if self._sent:
            self.acknowledge(self._sent[-1].sequence)

    def take_back(self) -> None:
        """Put what was sent and not acknowledged back in front: the connection is gone."""
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()

    def times(self) -> Iterator[datetime]:
        """Yield the event times of the records held."""
        return (entry.item.time for entry in [*self._sent, *self._waiting] if isinstance(entry.item, TapRecord))

    def give_up(self) -> None:
        """Drop and count everything that is left."""
        self.drop(self._rows)
        self._waiting.clear()
        self._sent.clear()
        self._rows = self._bytes = 0

    def _put(self, item: TapRecord | datetime) -> None:
        self._sequence += 1
        self._waiting.append(Entry(item, self._sequence))
