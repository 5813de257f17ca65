"""Up to which event time every model server has handed over its records.

Two servers are connected during a switch; each speaks for itself only, and one that lost its connection may come back
with records that nobody has yet. Pure: the caller brings the clock, in monotonic seconds.
"""

from dataclasses import dataclass, field
from datetime import datetime

SILENCE_SECONDS = 5.0
"""Time without a watermark after which a server no longer holds the others back."""
QUIET_SECONDS = 60.0
"""Time without a watermark after which the clock may speak for a server, where time is the wall's."""
RETURN_SECONDS = 3.0
"""Time that a server has to come back after its connection, or the monitor itself, has ended. A tap tries at least
every second."""


@dataclass(slots=True)
class _Server:
    """What one connection has said of itself."""

    name: str = ""
    """Identity of a server that sends again what was not acknowledged; empty for one that does not."""
    through: datetime | None = None
    heard: float = 0.0
    gone: float | None = None
    """When its connection ended without a goodbye."""


@dataclass(slots=True)
class Watermarks:
    """The newest watermark of each model server."""

    starts_at: float
    """When promises begin: until then a server that knew the last monitor may come back with older records."""
    newest: datetime | None = None
    """The newest of all, also of servers that are gone."""
    _servers: dict[int, _Server] = field(default_factory=dict)

    def greet(self, connection: int, name: str, through: datetime | None, now: float) -> None:
        """Note a server that says who it is, and the event time before which it will send nothing."""
        for other in [number for number, server in self._servers.items() if server.name == name]:
            del self._servers[other]  # it is back
        self._servers[connection] = _Server(name, through, now)

    def hear(self, connection: int, time: datetime, now: float) -> None:
        """Note that the connection has sent everything up to event time `time`."""
        server = self._servers.setdefault(connection, _Server())
        server.through, server.heard = time, now
        self.newest = max(self.newest or time, time)

    def part(self, connection: int, now: float, *, returns: bool) -> None:
        """Note that a connection has ended; `returns` says whether its server may still hold records."""
        server = self._servers.get(connection)
        if server is None:
            return
        if returns and server.name:
            server.gone = now
        else:
            del self._servers[connection]

    def excuse(self, now: float) -> None:
        """Begin everybody's silence anew: it was the monitor that did not listen."""
        for server in self._servers.values():
            server.heard = now

    def is_quiet(self, now: float) -> bool:
        """Return whether no server is connected that was heard of lately, and none is expected back."""
        return now >= self.starts_at and not any(
            server.gone is not None or now - server.heard < QUIET_SECONDS for server in self._servers.values()
        )

    def through(self, now: float) -> datetime | None:
        """Return the event time up to which nothing is outstanding; None while that is not known."""
        if now < self.starts_at:
            return None
        for connection, server in list(self._servers.items()):
            if server.gone is not None and now - server.gone >= RETURN_SECONDS:
                del self._servers[connection]
        holding = [
            server.through
            for server in self._servers.values()
            if server.through is not None and (server.gone is not None or now - server.heard < SILENCE_SECONDS)
        ]
        return min(holding, default=self.newest)
