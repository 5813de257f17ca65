"""Up to which event time every connected model server has handed over its records.

Two servers are connected during a switch; each speaks for itself only. Pure: the caller brings the clock.
"""

from dataclasses import dataclass, field
from datetime import datetime

SILENCE_SECONDS = 5.0
"""Time without a watermark after which a connection no longer holds the others back."""


@dataclass(slots=True)
class Watermarks:
    """The newest watermark of each open connection."""

    newest: datetime | None = None
    """The newest of all, also of connections that are closed."""
    _heard: dict[int, tuple[datetime, float]] = field(default_factory=dict)

    def hear(self, connection: int, time: datetime, now: float) -> None:
        """Note that the connection has sent everything up to event time `time`; `now` in monotonic seconds."""
        self._heard[connection] = (time, now)
        self.newest = max(self.newest or time, time)

    def close(self, connection: int) -> None:
        """Forget a connection that has ended: all it had to say was read."""
        self._heard.pop(connection, None)

    def through(self, now: float) -> datetime | None:
        """Return the event time up to which nothing is outstanding; None before the first watermark."""
        speaking = [time for time, heard in self._heard.values() if now - heard < SILENCE_SECONDS]
        return min(speaking, default=self.newest)
