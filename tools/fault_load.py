"""The traffic of `make test-faults`: parcels whose distance tells whether they are late, day after day, in replay mode.

Every few weeks the carrier decides instead for some days, so that there are episodes to answer. Each answered
prediction and each acknowledged label is noted, and each request that failed; what failed is sent again, as a client
would.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import requests

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EPISODE_DAYS = 60
"""Days from the begin of one episode to the next."""
TURNED_DAYS = 6
"""Length of an episode."""
FIRST_ROWS = 1_000
ROWS_A_DAY = 120
ROWS_A_REQUEST = 2
LABELS_A_REQUEST = 20
CLIENTS = 4
PAUSE_SECONDS = 0.02
"""Between two requests of a client: the load is steady, not the most the machine can take."""
REQUEST_SECONDS = 60.0
SETTLE_SECONDS = 600.0
"""A run that is cut off again and again takes its time."""
OK = 200

LOOP = """
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: parcels}
spec:
  problem: {task: Classification}
  data: {uri: parcels.csv, targetColumn: late, timeColumn: sent, keyColumn: parcel, minRows: 900}
  training: {algorithms: [Linear], maxTrialCount: 1}
  monitoring:
    engine: SciPy
    window: {duration: 1d, minRows: 100}
    labels: {expectedDelay: 1d}
"""


@dataclass
class Notes:
    """What clients saw; appended to by several threads."""

    answered: dict[str, float] = field(default_factory=dict)
    """Prediction ids, and when their answer came."""
    labelled: dict[str, bool] = field(default_factory=dict)
    """Acknowledged labels, by key."""
    successes: list[float] = field(default_factory=list)
    """Monotonic seconds of every answered prediction, probes included."""
    failures: list[tuple[float, str, str]] = field(default_factory=list)
    """When, which address, and why."""
    requests: list[None] = field(default_factory=list)
    """One entry a request: appending is safe from several threads."""


class Client:
    """A keep-alive client that notes what it sees."""

    def __init__(self, url: str, notes: Notes) -> None:
        self._url = url
        self._notes = notes
        self._session = requests.Session()
        self._session.trust_env = False

    def post(self, path: str, payload: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Send until it is answered with 200; every other outcome is noted as a failure."""
        while True:
            self._notes.requests.append(None)
            try:
                answer = self._session.post(self._url + path, json=payload, headers=headers, timeout=REQUEST_SECONDS)
            except requests.RequestException as error:
                self._fail(path, f"no answer: {type(error).__name__}")
                continue
            if answer.status_code == OK:
                return dict(answer.json())
            self._fail(path, f"{answer.status_code}: {answer.text[:200]}")

    def _fail(self, path: str, why: str) -> None:
        self._notes.failures.append((time.monotonic(), path, why))
        time.sleep(0.05)


class Replay:
    """Day after day of traffic through a running loop.

    Args:
        predict_url: where predictions are asked for.
        labels_url: where labels are taken.
        status: file in which the loop says how far it has settled.
        check: raises when the loop has ended.
    """

    def __init__(self, predict_url: str, labels_url: str, status: Path, check: Callable[[], None]) -> None:
        self.notes = Notes()
        self.days = 0
        self._predict_url, self._labels_url = predict_url, labels_url
        self._status = status
        self._check = check
        self._stop = threading.Event()
        self._clients = itertools.cycle([Client(predict_url, self.notes) for _ in range(CLIENTS)])
        self._labels = Client(labels_url, self.notes)
        self._bystander = threading.Thread(target=self._keep_asking, daemon=True)

    def run(self, goes_on: Callable[[int], bool]) -> None:
        """Live through days for as long as `goes_on(day)` says so."""
        self._bystander.start()
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            while goes_on(self.days):
                self._live_through(self.days, pool)
                self.days += 1
        self._stop.set()
        self._bystander.join()

    def _live_through(self, day: int, pool: ThreadPoolExecutor) -> None:
        start = START + day * DAY
        rows = make_parcels(ROWS_A_DAY, start, DAY / ROWS_A_DAY, seed=100 + day, ruled_by=ruler_of(day))
        batches = _batched(rows, ROWS_A_REQUEST)
        work = [
            pool.submit(self._ask, next(self._clients), batches[client::CLIENTS], start) for client in range(CLIENTS)
        ]
        for future in work:
            future.result()
        self._send_labels(rows, start + DAY)
        self._settle(start + DAY)

    def _ask(self, client: Client, batches: list[list[dict[str, Any]]], at: datetime) -> None:
        for batch in batches:
            asked = [{name: value for name, value in row.items() if name != "late"} for row in batch]
            answer = client.post("/predict", {"rows": asked}, {"driftloop-event-time": at.isoformat()})
            now = time.monotonic()
            self.notes.successes.append(now)
            self.notes.answered |= dict.fromkeys(answer["predictionIds"], now)
            time.sleep(PAUSE_SECONDS)

    def _send_labels(self, rows: list[dict[str, Any]], at: datetime) -> None:
        for batch in _batched(rows, LABELS_A_REQUEST):
            labels = [{"key": row["parcel"], "label": row["late"], "time": at.isoformat()} for row in batch]
            self._labels.post("/labels", {"labels": labels})
            self.notes.labelled |= {row["parcel"]: row["late"] for row in batch}

    def _settle(self, through: datetime) -> None:
        """Say that the day is over, again while a killed process may have lost the word, until the loop has settled."""
        deadline = time.monotonic() + SETTLE_SECONDS
        client = Client(self._predict_url, self.notes)
        while time.monotonic() < deadline:
            client.post("/watermark", {"time": through.isoformat()})
            again = time.monotonic() + 1.0
            while time.monotonic() < again:
                self._check()
                settled = read_status(self._status).get("settledThrough")
                if settled and datetime.fromisoformat(settled) >= through:
                    return
                time.sleep(0.03)
        raise SystemExit(f"The loop did not settle at {through:%Y-%m-%d} within {SETTLE_SECONDS:.0f} s.")

    def _keep_asking(self) -> None:
        """Ask all the while, also while the loop settles; these answers are not logged."""
        client = Client(self._predict_url, self.notes)
        rows = make_parcels(1, START, DAY, seed=3, ruled_by="distance")
        del rows[0]["late"]
        while not self._stop.wait(PAUSE_SECONDS):
            client.post("/predict", {"rows": rows}, {"driftloop-probe": "1"})
            self.notes.successes.append(time.monotonic())


def ruler_of(day: int) -> str:
    """Return what tells on a day whether a parcel is late: its distance, or its carrier."""
    if day < EPISODE_DAYS:
        return "distance" if day == 0 else "carrier"
    return "distance" if day % EPISODE_DAYS < TURNED_DAYS else "carrier"


def make_parcels(rows: int, start: datetime, step: timedelta, *, seed: int, ruled_by: str) -> list[dict[str, Any]]:
    """Return parcels whose distance tells whether they are late, or else their carrier."""
    random = np.random.default_rng(seed)
    distance, carrier = random.normal(size=rows), random.choice(["north", "south"], size=rows)
    decisive = distance if ruled_by == "distance" else np.where(carrier == "north", 1.0, -1.0)
    late = decisive + 0.3 * random.normal(size=rows) > 0
    return [
        {
            "parcel": f"{seed}-{row}",
            "sent": (start + row * step).isoformat(),
            "distance": float(distance[row]),
            "carrier": str(carrier[row]),
            "late": bool(late[row]),
        }
        for row in range(rows)
    ]


def write_loop(folder: Path) -> Path:
    """Write the ModelLoop and the table of its first model; return the file."""
    rows = make_parcels(FIRST_ROWS, START - 30 * DAY, timedelta(minutes=40), seed=1, ruled_by="distance")
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "parcels.csv").write_text("\n".join(lines))
    file = folder / "parcels.yaml"
    file.write_text(LOOP)
    return file


def read_status(path: Path) -> dict[str, Any]:
    """Return the loop's published status; empty before the first."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _batched(rows: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
