"""Traffic from inside the cluster: asks for predictions, sends the labels after them, counts what failed.

Standard library only, so that it runs on any image with Python. Its one argument is a JSON file with the fields of
`Plan`; it prints one JSON object, the summary.
"""

import csv
import http.client
import json
import random
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What to send."""

    rows_csv: str
    """The table whose rows are sent, shuffled by `seed`."""
    target: str
    host: str
    labels_host: str = ""
    """Empty: no labels are sent."""
    seconds: float = 30
    requests_per_second: float = 10
    rows_per_request: int = 1
    fresh_share: float = 0.5
    """Share of the requests that open a connection of their own; the others keep one alive."""
    threads: int = 4
    label_delay_seconds: float = 1
    relabel: dict = field(default_factory=dict)
    """What the truth has become, by what the table says: concept drift."""
    seed: int = 0
    header: str = ""
    """A request header `name: value`, such as `driftloop-probe: 1`."""
    keep_ids: bool = False
    """Whether the summary lists the ids of all answered predictions."""


class Traffic:
    """Sends a plan, once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._rows = [
            (
                {name: float(value) for name, value in row.items() if name != plan.target},
                plan.relabel.get(row[plan.target], row[plan.target]),
            )
            for row in csv.DictReader(plan.rows_csv.splitlines())
        ]
        self._lock = threading.Lock()
        self._pending = deque()
        self._done = threading.Event()
        self.sent = self.answered = self.unresolved = self.predictions = self.labels = 0
        self.failures, self.label_failures, self.ids = [], [], []
        self.versions, self.seconds_taken = {}, []

    def run(self) -> dict:
        plan = self._plan
        start = time.monotonic()
        workers = [
            threading.Thread(target=self._ask_until, args=(start, start + plan.seconds, number))
            for number in range(plan.threads)
        ]
        labeller = threading.Thread(target=self._label) if plan.labels_host else None
        for thread in [*workers, *([labeller] if labeller else [])]:
            thread.start()
        for worker in workers:
            worker.join()
        self._done.set()
        if labeller:
            labeller.join()
        taken = sorted(self.seconds_taken) or [0.0]
        return {
            "sent": self.sent,
            "answered": self.answered,
            "predictions": self.predictions,
            "unresolved": self.unresolved,
            "failed": len(self.failures),
            "failures": self.failures[:20],
            "labels": self.labels,
            "labelFailures": self.label_failures[:20],
            "versions": self.versions,
            "p50": taken[len(taken) // 2],
            "p99": taken[int(len(taken) * 0.99)],
            "longest": taken[-1],
            "ids": self.ids if plan.keep_ids else [],
        }

    def _ask_until(self, start: float, end: float, number: int) -> None:
        plan = self._plan
        pause = plan.threads / plan.requests_per_second
        kept = None
        due = start + pause * number / plan.threads
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            due += pause
            with self._lock:
                rows = self._random.choices(self._rows, k=plan.rows_per_request)
                fresh = self._random.random() < plan.fresh_share
                self.sent += 1
            began = time.monotonic()
            connection = None
            try:
                if fresh or kept is None:
                    connection = http.client.HTTPConnection(plan.host, timeout=30)
                    if not fresh:
                        kept = connection
                else:
                    connection = kept
                answer, body = self._post(connection, "/predict", {"rows": [row for row, _ in rows]}, fresh=fresh)
            except socket.gaierror:  # the cluster's DNS is overloaded; the Service was not even asked
                kept = None if connection is kept else kept
                with self._lock:
                    self.unresolved += 1
                continue
            except (OSError, http.client.HTTPException) as error:
                kept = None if connection is kept else kept
                with self._lock:
                    self.failures.append(f"{time.time():.1f} {'fresh' if fresh else 'kept'}: {error!r}")
                continue
            with self._lock:
                self.seconds_taken.append(time.monotonic() - began)
                if answer.status != 200:
                    self.failures.append(f"{time.time():.1f} {answer.status}: {body[:300]!r}")
                    continue
                told = json.loads(body)
                self.answered += 1
                self.predictions += len(rows)
                version = told["modelVersion"]
                self.versions[version] = self.versions.get(version, 0) + 1
                if plan.keep_ids:
                    self.ids += told["predictionIds"]
                if plan.labels_host:
                    truths = [truth for _, truth in rows]
                    self._pending.append((time.monotonic(), list(zip(told["predictionIds"], truths, strict=True))))
            if answer.will_close or answer.getheader("connection", "").lower() == "close":
                connection.close()
                kept = None if connection is kept else kept

    def _post(self, connection, path: str, body: dict, *, fresh: bool = False):
        headers = {"content-type": "application/json"} | ({"connection": "close"} if fresh else {})
        if self._plan.header:
            name, _, value = self._plan.header.partition(":")
            headers[name.strip()] = value.strip()
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def _label(self) -> None:
        """Send labels in batches; one that was not acknowledged is sent again, for half a minute after the end."""
        plan, unsent, deadline = self._plan, [], None
        while True:
            if self._done.is_set() and deadline is None:
                deadline = time.monotonic() + plan.label_delay_seconds + 30
            with self._lock:
                while self._pending and self._pending[0][0] + plan.label_delay_seconds < time.monotonic():
                    unsent += self._pending.popleft()[1]
                left = len(self._pending)
            if unsent:
                labels = [{"predictionId": id_, "label": label} for id_, label in unsent[:500]]
                try:
                    connection = http.client.HTTPConnection(plan.labels_host, timeout=40)
                    answer, body = self._post(connection, "/labels", {"labels": labels}, fresh=True)
                    if answer.status == 200:
                        self.labels += len(labels)
                        del unsent[:500]
                    else:
                        self.label_failures.append(f"{answer.status}: {body[:300]!r}")
                except (OSError, http.client.HTTPException) as error:
                    self.label_failures.append(repr(error))
            elif deadline and not left:
                return
            if deadline and time.monotonic() > deadline:
                return
            time.sleep(0.5)


if __name__ == "__main__":
    print(json.dumps(Traffic(Plan(**json.loads(Path(sys.argv[1]).read_text()))).run()), flush=True)
