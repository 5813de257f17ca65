"""Runs the demo: a real `driftloop up` in a child process, real flights through it, and the timeline at the end."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import IO, Self

from driftloop.controller.children import free_port
from driftloop.controller.ledger import read_ledger
from driftloop.controller.monitorview import MonitorView
from driftloop.controller.workspace import Workspace
from driftloop.demo.flights import FEATURES, KEY, between, load_flights, sample_a_day
from driftloop.demo.replay import Bystander, Replay, json_rows, read_status
from driftloop.demo.timeline import FinalComparison, TimelineRow, build_page, build_timeline, compare_models
from driftloop.errors import DriftloopError
from driftloop.loop.history import Promoted, RolledBack
from driftloop.spec.loading import read_modelloop

FLIGHTS_A_DAY = 300
"""About a third of all; the ModelLoop's `minRows` and windows are chosen for it."""
FIRST_MODEL_SECONDS = 180.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class DemoPlan:
    """What is replayed.

    Args:
        workspace: folder for everything the demo makes; an earlier demo in it is removed.
        until: end of the replay; it begins on 1 March 2013.
        seed: of the sample of flights.
        judged_month: month of the final comparison, on all its flights.
    """

    workspace: Path
    until: datetime
    seed: int
    judged_month: int


@dataclass(frozen=True)
class DemoOutcome:
    """What the demo found."""

    rows: list[TimelineRow]
    final: FinalComparison
    requests: int
    failures: list[str]
    first_prediction_seconds: float
    first_verdict_seconds: float
    total_seconds: float
    page: Path
    """The timeline to look at."""


def run_demo(plan: DemoPlan, say: Callable[[str], None]) -> DemoOutcome:
    """Run the whole demo; about five minutes for half a year of flights.

    Raises:
        DriftloopError: the loop failed, or the workspace is in use.
    """
    began = time.monotonic()
    workspace = Workspace(plan.workspace.resolve())
    _clear(workspace)
    say("Reading the flights of 2013 and the weather before each of them.")
    flights = load_flights()
    march = datetime(2013, 3, 1, tzinfo=UTC)
    between(flights, datetime(2013, 1, 1, tzinfo=UTC), march).to_parquet(workspace.root / "flights.parquet")
    loop_file = workspace.root / "flight-delays.yaml"
    loop_file.write_text(resources.files("driftloop.demo").joinpath("flight-delays.yaml").read_text())
    live = between(sample_a_day(flights, FLIGHTS_A_DAY, plan.seed), march, plan.until)  # the same days, however many
    window = read_modelloop(loop_file).spec.monitoring.window.duration
    with UpProcess(loop_file, workspace, say) as up:
        predict_url, labels_url = up.until_serving(FIRST_MODEL_SECONDS)
        first_prediction = time.monotonic() - began
        say(f"First model serves after {first_prediction:.0f} s. Replaying {len(live):,} flights from 1 March.")
        bystander = Bystander(predict_url, json_rows(live[:1], [KEY, *FEATURES]))
        bystander.start()
        try:
            replay = Replay(live, workspace.status, window, up.check)
            first_verdict = replay.run(predict_url, labels_url) - began
        finally:
            bystander.stop()
    say("Comparing the last champion with the first model.")
    entries = read_ledger(workspace.ledger)
    serving = [entry.model for entry in entries if isinstance(entry, Promoted | RolledBack)]
    start = datetime(2013, plan.judged_month, 1, tzinfo=UTC)
    judged = between(flights, start, _month_after(start))
    monitor = MonitorView(workspace.monitor)
    rows = build_timeline(entries, monitor.verdicts(), live)
    final = compare_models(serving[0], serving[-1], judged, f"{start:%B %Y}")
    page = workspace.root / "timeline.html"
    page.write_text(build_page(entries, monitor.verdicts(), monitor.evidence(page.parent), rows, final))
    return DemoOutcome(
        rows=rows,
        final=final,
        requests=bystander.requests,
        failures=bystander.failures,
        first_prediction_seconds=first_prediction,
        first_verdict_seconds=first_verdict,
        total_seconds=time.monotonic() - began,
        page=page,
    )


class UpProcess:
    """A `driftloop up` in a child process, its sentences passed on; ended with the context."""

    def __init__(self, loop_file: Path, workspace: Workspace, say: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._predict_port, self._labels_port = free_port(), free_port()
        command = [sys.executable, "-m", "driftloop", "up", str(loop_file), "--clock", "replay"]
        command += ["--workspace", str(workspace.root)]
        command += ["--port", str(self._predict_port), "--labels-port", str(self._labels_port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._last_lines: list[str] = []
        if self._process.stdout is None:
            raise DriftloopError("The output of 'driftloop up' can't be read.")
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stdout, say), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reader.join(1)

    def check(self) -> None:
        """Raise a DriftloopError with its last words if the process has ended."""
        if self._process.poll() is not None:
            self._reader.join(1)
            raise DriftloopError(
                f"'driftloop up' ended with code {self._process.returncode}:\n" + "\n".join(self._last_lines)
            )

    def until_serving(self, seconds: float) -> tuple[str, str]:
        """Wait for the first model; return the addresses for predictions and labels."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            status = read_status(self._workspace.status)
            if status and status["champion"] and {"type": "Ready", "status": "True"} in status["conditions"]:
                return status["addresses"]["predict"], status["addresses"]["labels"]
            time.sleep(0.1)
        raise DriftloopError(f"No model was served within {seconds:.0f} s. See the logs in '{self._workspace.logs}'.")

    def _pass_on(self, output: IO[str], say: Callable[[str], None]) -> None:
        for line in output:
            self._last_lines = [*self._last_lines[-9:], line.rstrip()]
            say(line.rstrip())


def _clear(workspace: Workspace) -> None:
    """Remove an earlier demo; refuse while it runs, or if the folder holds something else."""
    if workspace.root.exists():
        if any(workspace.root.iterdir()) and not (workspace.root / "lock").exists():
            message = (
                f"The folder '{workspace.root}' must be empty or an earlier demo's. Choose another with --workspace."
            )
            raise DriftloopError(message)
        workspace.lock().close()
        shutil.rmtree(workspace.root)
    workspace.create()
    workspace.lock().close()  # marks the folder as a workspace, should the demo be interrupted early


def _month_after(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
