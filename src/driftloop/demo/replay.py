"""Replays a table as live traffic: predictions and late labels over HTTP, in event time, as fast as the loop keeps up.

The replay steps from one moment at which a verdict may fall due to the next, and there waits until the loop has judged,
decided and carried out everything. What the loop sees, and so what it does, does not depend on the machine's speed.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from driftloop.demo.flights import FEATURES, KEY, TARGET, TIME
from driftloop.errors import DriftloopError

if TYPE_CHECKING:
    import pandas as pd

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABEL_DELAY = timedelta(days=1)
REQUEST_SECONDS = 30.0
SETTLE_SECONDS = 300.0


class RequestFailedError(DriftloopError):
    """A request of the replay was not answered with 200."""

    def __init__(self, path: str, status: int, body: str) -> None:
        super().__init__(f"POST {path} must be answered with 200. Got {status}: {body[:300]}")


class NoAnswerError(DriftloopError):
    """A request of the replay was not answered at all."""

    def __init__(self, url: str, reason: Exception) -> None:
        super().__init__(f"POST {url} must be answered. Got: {reason}. See the logs in the demo's folder.")


class Client:
    """A keep-alive HTTP client for one address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # the address is on this machine: no proxy is asked

    def post(self, path: str, payload: Any, headers: dict[str, str] | None = None) -> None:
        """Send JSON.

        Raises:
            RequestFailedError: the status is not 200.
            NoAnswerError: the connection failed.
        """
        url = self._url + path
        try:
            response = self._session.post(url, json=payload, headers=headers, timeout=REQUEST_SECONDS)
        except requests.RequestException as error:
            raise NoAnswerError(url, error) from error
        if response.status_code != HTTPStatus.OK:
            raise RequestFailedError(path, response.status_code, response.text)


@dataclass
class Bystander:
    """A client that asks without pause for as long as the demo lasts, and counts what fails.

    Its requests carry the probe header: they are answered like any other and kept out of the prediction log.
    """

    url: str
    rows: list[dict[str, Any]]
    interval_seconds: float = 0.05
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, in a thread."""
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the request under way and end."""
        self._stop.set()
        if self._thread:
            self._thread.join(REQUEST_SECONDS)

    def _ask(self) -> None:
        client = Client(self.url)
        while not self._stop.wait(self.interval_seconds):
            self.requests += 1
            try:
                client.post("/predict", {"rows": self.rows}, {"driftloop-probe": "1"})
            except DriftloopError as error:
                self.failures.append(str(error))


@dataclass(frozen=True)
class Replay:
    """A replay of one table.

    Args:
        table: rows in order of event time, with key, time, features and target.
        status: file in which the loop publishes how far it has got.
        window: length of a window; verdicts fall due at its multiples since 1970, and one label delay later.
        check: called while waiting; raises when the loop has ended.
    """

    table: "pd.DataFrame"
    status: Path
    window: timedelta
    check: Callable[[], None]

    def run(self, predict_url: str, labels_url: str) -> float:
        """Send everything; return the monotonic time at which the first window was judged.

        Raises:
            DriftloopError: a request failed, or the loop did not settle.
        """
        predictions, labels = Client(predict_url), Client(labels_url)
        rows = json_rows(self.table, [KEY, *FEATURES])
        times = [moment.to_pydatetime() for moment in self.table[TIME]]
        truths = [bool(value) for value in self.table[TARGET]]
        asked = labelled = 0
        first_judged = None
        for moment in moments(times[0], times[-1], self.window):
            while asked < len(rows) and times[asked] < moment:
                hour = times[asked].replace(minute=0)
                batch = asked
                while asked < len(rows) and times[asked] < moment and times[asked] < hour + timedelta(hours=1):
                    asked += 1
                headers = {"driftloop-event-time": hour.isoformat()}
                predictions.post("/predict", {"rows": rows[batch:asked]}, headers)
            due = labelled
            while labelled < asked and times[labelled] + LABEL_DELAY <= moment:
                labelled += 1
            if labelled > due:
                payload = [
                    {"key": rows[i][KEY], "label": truths[i], "time": (times[i] + LABEL_DELAY).isoformat()}
                    for i in range(due, labelled)
                ]
                labels.post("/labels", {"labels": payload})
            predictions.post("/watermark", {"time": moment.isoformat()})
            self._until_settled(moment)
            first_judged = first_judged or time.monotonic()
        return first_judged or time.monotonic()

    def _until_settled(self, moment: datetime) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            self.check()
            settled = read_status(self.status).get("settledThrough")
            if settled and datetime.fromisoformat(settled) >= moment:
                return
            time.sleep(0.03)
        raise DriftloopError(f"The loop did not settle at {moment:%Y-%m-%d} within {SETTLE_SECONDS:.0f} s.")


def read_status(path: Path) -> dict[str, Any]:
    """Return the loop's published status; empty before the first."""
    try:
        status: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return status


def moments(first: datetime, last: datetime, window: timedelta) -> Iterator[datetime]:
    """Yield every moment at which a verdict falls due: the end of each whole window, and when its labels are mature.

    The last moment follows the last row's label. A window that the rows only begin to fill is left unjudged.
    """
    end = EPOCH + ((first - EPOCH) // window + 1) * window
    while end <= last:
        yield end
        yield end + LABEL_DELAY
        end += window
    yield last + LABEL_DELAY


def json_rows(table: "pd.DataFrame", columns: list[str]) -> list[dict[str, Any]]:
    """Return rows as JSON values, missing numbers as null."""
    values = table[columns].astype(object)
    return [dict(zip(columns, row, strict=True)) for row in values.where(values.notna(), None).to_numpy()]
