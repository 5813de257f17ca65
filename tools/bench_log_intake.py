"""How much the monitor's intake takes in: a real process on one core, a real tap and label client on the other.

    python tools/bench_log_intake.py --seconds 600 --rate 5000

Prints the rows per second that were acknowledged, the delay from an offer to its acknowledgement, and the intake's
memory from minute to minute; checks that every row is in the log exactly once, and ends with 1 when one is not.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from driftloop.serving.outbox import Outbox, TapRecord
from driftloop.serving.tap import Receipts, Tap

FEATURES = 20
REQUEST_ROWS = (1, 1, 1, 1, 1, 1, 2, 5, 10, 20, 50, 100)
"""Rows of a request: half are single, as from a web client; the rest come from batch jobs."""
LABELS_PER_SECOND = 100
TICK_SECONDS = 0.01


class TimedOutbox(Outbox):
    """Notes how long each row was on its way."""

    def __init__(self) -> None:
        super().__init__(max_rows=100_000, max_bytes=32_000_000)
        self._offered: dict[int, float] = {}
        self.delays: Counter[int] = Counter()
        """Rows by delay in milliseconds."""

    def offer(self, record: TapRecord) -> None:
        """Note the time of the offer."""
        super().offer(record)
        self._offered[self._sequence] = time.monotonic()

    def acknowledge(self, sequence: int) -> None:
        """Note the delay of everything acknowledged."""
        now = time.monotonic()
        for entry in self._sent:
            if entry.sequence > sequence:
                break
            if entry.rows and (offered := self._offered.pop(entry.sequence, None)) is not None:
                self.delays[round((now - offered) * 1000)] += entry.rows
        super().acknowledge(sequence)

    def quantile(self, share: float) -> int:
        """Return the delay in milliseconds that this share of the rows did not exceed."""
        rest = share * self.delays.total()
        for delay in sorted(self.delays):
            rest -= self.delays[delay]
            if rest <= 0:
                return delay
        return 0


class Requests:
    """Makes requests of live traffic: 18 numbers, 2 categories, a key."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._random = random.Random(1)  # noqa: S311  no secrets
        # Drawn beforehand: the sender shall not be what is measured.
        self._pool = [(rows, self._features(rows)) for rows in sizes for _ in range(50)]
        self.rows = 0

    def _features(self, rows: int) -> dict[str, list[Any]]:
        numbers = {f"feature_{n}": [self._random.random() * 1000 for _ in range(rows)] for n in range(FEATURES - 2)}
        return numbers | {"carrier": ["AA"] * rows, "origin": ["JFK"] * rows}

    def next(self) -> TapRecord:
        """Return the next one, received now."""
        rows, features = self._random.choice(self._pool)
        numbers = range(self.rows, self.rows + rows)
        self.rows += rows
        return TapRecord(
            time=datetime.now(UTC),
            model_version="bench",
            prediction_ids=[f"0123456789abcdef-{n}" for n in numbers],
            keys=[f"k{n}" for n in numbers],
            features=features,
            predictions=[True] * rows,
            probability=[0.75] * rows,
            size=400 * rows,
        )


def start_intake(folder: Path, core: int, port: int, sync: str) -> "subprocess.Popen[bytes]":
    """Start the intake process on one core."""
    settings = {
        "loop_file": folder / "loop.yaml",
        "loop_uid": "bench",
        "log_dir": folder / "log",
        "state_dir": folder / "state",
        "baselines_dir": folder / "baselines",
        "tap_socket": folder / "tap.sock",
        "labels_port": port,
        "commit_interval_seconds": 30,
        "sync": sync,
    }
    env = os.environ | {f"DRIFTLOOP_MONITOR_{name.upper()}": str(value) for name, value in settings.items()}
    # As under the supervisor.
    env |= {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, "-m", "driftloop.sidecar", "intake"]
    command = ["taskset", "--cpu-list", str(core), *command]
    return subprocess.Popen(command, env=env)


def get(port: int, path: str) -> Any:
    """Return what the intake answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        return json.load(response)


def post_labels(port: int, stop: threading.Event, requests: Requests, posted: list[int]) -> None:
    """Post labels for rows of the past, once a second."""
    while not stop.wait(1):
        newest = requests.rows
        labels = [{"key": f"k{newest - n}", "label": True} for n in range(min(LABELS_PER_SECOND, newest))]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/labels",
            json.dumps({"labels": labels}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  our intake
            posted[0] += json.load(response)["accepted"]


def rss_mebibytes(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(tap: Tap, requests: Requests, rate: int, seconds: float, pid: int) -> tuple[float, list[float]]:
    """Offer rows at a rate; return how long that took, and the intake's memory by the minute."""
    start = time.monotonic()
    memory = [rss_mebibytes(pid)]
    while (elapsed := time.monotonic() - start) < seconds:
        while requests.rows < rate * elapsed:
            tap.offer(requests.next())
        if elapsed >= 60 * len(memory):
            memory.append(rss_mebibytes(pid))
            print(f"  minute {len(memory) - 1}: {memory[-1]:.0f} MiB, {tap.held_rows} rows on their way", flush=True)
        time.sleep(TICK_SECONDS)
    return time.monotonic() - start, [*memory, rss_mebibytes(pid)]


def logged(folder: Path) -> tuple[int, int]:
    """Return how many rows the log has, and how many different ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted((folder / "log" / "predictions").rglob("*.parquet"))
    ids = pa.concat_tables(pq.read_table(path, columns=["prediction_id"], partitioning=None) for path in paths)
    return ids.num_rows, len(ids["prediction_id"].unique())


def bench(folder: Path, arguments: argparse.Namespace) -> bool:
    """Run once and print the figures; return whether every row is there once and none was dropped."""
    cores = sorted(os.sched_getaffinity(0))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    started = time.monotonic()
    process = start_intake(folder, cores[0], port, arguments.sync)
    try:
        os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})
        until_healthy(port)
        print(f"ready after {time.monotonic() - started:.1f} s; intake on core {cores[0]}, sync {arguments.sync}")
        tap = Tap(folder / "tap.sock", max_rows=100_000, max_bytes=32_000_000, receipts=Receipts())
        outbox = tap._outbox = TimedOutbox()  # noqa: SLF001  the tap has no other place to look from
        tap.start()
        requests = Requests(REQUEST_ROWS if arguments.rows == 0 else (arguments.rows,))
        stop, posted = threading.Event(), [0]
        labels = threading.Thread(target=post_labels, args=(port, stop, requests, posted))
        labels.start()
        used = cpu_seconds(process.pid)
        seconds, memory = send(tap, requests, arguments.rate, arguments.seconds, process.pid)
        used = cpu_seconds(process.pid) - used
        stop.set()
        labels.join()
        closing = time.monotonic()
        tap.close(60)
        drained = time.monotonic() - closing
        appends = get(port, "/status")["appends"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    rows, different = logged(folder)
    is_complete = rows == different == requests.rows and tap.dropped_rows == 0
    print(f"offered        {requests.rows} rows in {seconds:.1f} s; the last arrived {drained:.1f} s later")
    print(f"sustained      {tap.sent_rows / (seconds + drained):.0f} rows/s, {100 * used / seconds:.0f} % of the core")
    print(f"acknowledged   p50 {outbox.quantile(0.5)} ms, p99 {outbox.quantile(0.99)} ms after the offer")
    print(f"memory         {', '.join(f'{mebibytes:.0f}' for mebibytes in memory)} MiB: start, each minute, end")
    print(f"waits for disk {appends} appends, {appends / seconds:.0f} a second")
    print(f"labels         {posted[0]} over HTTP")
    verdict = "all once" if is_complete else "WRONG"
    print(f"in the log     {rows} rows, {different} different, {tap.dropped_rows} dropped: {verdict}")
    return is_complete


def until_healthy(port: int) -> None:
    """Wait until the intake answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            get(port, "/healthz")
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
        else:
            return
    raise SystemExit("The intake did not become ready within 60 s.")


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=5000, help="rows a second")
    parser.add_argument("--rows", type=int, default=0, help="rows of every request; 0: a mix of 1 to 100")
    parser.add_argument("--sync", choices=["always", "interval", "never"], default="always")
    parser.add_argument("--folder", type=Path, help="where the log is written; absent: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="driftloop-bench-") as folder:
        return 0 if bench(Path(folder), arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
