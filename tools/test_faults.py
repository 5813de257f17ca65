"""Kills monitor, server and controller of a real loop under load, and audits what is left. Run by `make test-faults`.

Each is killed with SIGKILL at `--kills` random moments of a replay: the monitor in turn as its supervisor, its intake
and its evaluator. The same replay without kills follows, and its verdicts are compared. `--write` puts the figures into
docs/reliability.md.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import requests
from fault_load import DAY, START, Replay, read_status, write_loop

from driftloop.controller.children import free_port
from driftloop.controller.hostclient import HostClient
from driftloop.controller.ledger import read_ledger
from driftloop.controller.orders import Door, HostView
from driftloop.controller.servers import MONITOR
from driftloop.controller.workspace import Workspace
from driftloop.loop.history import RunFinished, RunStarted, Started
from driftloop.predictionlog import PredictionLogReader

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: make test-faults -->", "<!-- end of figures -->"
CONTROLLER, INTAKE, EVALUATOR = "driftloop.controller", "intake", "evaluator"
CHILDREN = 3
"""Of the host, in peace: the monitor, a server and its standby."""
KINDS = ("monitor", "server", "controller")
ROLES = {"monitor": ("supervisor", INTAKE, EVALUATOR), "server": ("server",), "controller": ("controller",)}
READY_SECONDS = 180.0
RECOVERY_SECONDS = 120.0
LONGEST_WAIT_SECONDS = 3.0
"""A kill follows the recovery from the one before after a random time up to this."""
MAY_LOSE = ("server",)
"""Kills that may lose answered predictions which the monitor has not acknowledged yet; the figures count them."""
LIMIT_SECONDS = 5.0
"""Longest time without service that a kill of the server may cost."""


@dataclass(frozen=True)
class Kill:
    """One kill and what it took to recover."""

    kind: str
    role: str
    at: float
    recovered: float


class Loop:
    """A `driftloop up` in replay mode, and its processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.workspace = Workspace(folder / "workspace")
        self._output = folder / "up.log"
        port, labels_port = free_port(), free_port()
        self.predict_url, self.labels_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{labels_port}"
        command = [sys.executable, "-m", "driftloop", "up", str(write_loop(folder)), "--clock", "replay"]
        command += ["--workspace", str(self.workspace.root), "--port", str(port), "--labels-port", str(labels_port)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        self._until(self._is_whole, READY_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # its children die with it
            self.process.wait()

    def check(self) -> None:
        """End the test when the loop has ended."""
        if self.process.poll() is not None:
            raise SystemExit(f"The loop ended with code {self.process.returncode}:\n{self._output.read_text()[-3000:]}")

    def stop(self) -> int:
        """End the loop as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)

    def kill(self, role: str) -> None:
        """Kill one process and return when it was replaced and everything answers."""
        pid = self._until(lambda: self._pid(role), RECOVERY_SECONDS)
        starts = self._controller_starts()
        os.kill(pid, signal.SIGKILL)

        def is_replaced() -> bool:
            if role == "controller" and self._controller_starts() == starts:
                return False
            return self._pid(role) not in (None, pid) and self._is_whole()

        self._until(is_replaced, RECOVERY_SECONDS)

    def _controller_starts(self) -> int:
        return sum(isinstance(entry, Started) for entry in read_ledger(self.workspace.ledger))

    def _is_ready(self) -> bool:
        conditions = read_status(self.workspace.status).get("conditions", [])
        return {"type": "Ready", "status": "True"} in conditions

    def _is_whole(self) -> bool:
        """Whether everybody is there and answers, the standby included."""
        view = self._view()
        healthy = (
            view is not None and len(view.children) == CHILDREN and all(c.is_ready for c in view.children.values())
        )
        return healthy and self._is_ready() and self._answers(f"{self.labels_url}/healthz")

    def _answers(self, url: str) -> bool:
        try:
            return requests.get(url, timeout=30).ok
        except requests.RequestException:
            return False

    def _pid(self, role: str) -> int | None:
        """Return the process that has a role; of the servers the one behind the front door."""
        if role == "controller":
            return next((pid for pid, words in _children(self.process.pid).items() if CONTROLLER in words), None)
        view = self._view()
        if view is None:
            return None
        if role in (INTAKE, EVALUATOR):
            supervisor = view.children[MONITOR].pid
            processes = _children(supervisor) if supervisor else {}
            return next((pid for pid, words in processes.items() if role in words), None)
        child = view.children.get(view.active.get(Door.PREDICT, "") if role == "server" else MONITOR)
        return child.pid if child else None

    def _view(self) -> HostView | None:
        """Ask the host as its controller does; None while there is no controller to learn the socket from."""
        controllers = [words for words in _children(self.process.pid).values() if CONTROLLER in words]
        return HostClient(Path(controllers[0][-1])).look() if controllers else None

    def _until(self, condition: Any, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if found := condition():
                return found
            time.sleep(0.02)
        raise SystemExit(f"The loop was not ready after {seconds:.0f} s:\n{self._output.read_text()[-3000:]}")


@dataclass
class Audit:
    """What is wrong after the kills, and the figures."""

    kills: list[Kill]
    failures: Counter[str] = field(default_factory=Counter)
    """Failed requests by kind of kill."""
    gaps: dict[str, float] = field(default_factory=dict)
    """Longest time between two answers around a kill, by kind, in seconds."""
    lost: Counter[str] = field(default_factory=Counter)
    """Answered predictions that are not in the joined view, by kind of the kill they were answered before."""
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Print the figures; return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--folder", type=Path, help="keep everything in this new folder")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "faults"
        folder.mkdir()
        with Loop(folder / "killed") as loop:
            replay = Replay(loop.predict_url, loop.labels_url, loop.workspace.status, loop.check)
            killer = Killer(loop, options.kills, random.Random(options.seed))  # noqa: S311 (chooses moments)
            killer.start()
            replay.run(lambda _: killer.is_alive())
            code = loop.stop()
        print(f"{replay.days} days in {time.monotonic() - began:.0f} s with {len(killer.kills)} kills; now without")
        with Loop(folder / "calm") as calm:
            undisturbed = Replay(calm.predict_url, calm.labels_url, calm.workspace.status, calm.check)
            undisturbed.run(lambda day: day < replay.days)
            calm.stop()
        audit = audit_kills(killer.kills, replay)
        if code:
            audit.problems.append(f"the loop ended with code {code} when it was told to stop")
        audit_log(audit, loop.workspace, replay)
        audit_history(audit, loop.workspace, calm.workspace)
        if undisturbed.notes.failures:
            audit.problems.append(f"without kills {len(undisturbed.notes.failures)} requests failed")
    page = describe(audit, replay, options.seed, time.monotonic() - began)
    print(page)
    for problem in audit.problems:
        print(f"BROKEN: {problem}")
    for when, path, why in replay.notes.failures[:20]:
        print(f"  failed: {path} {when - began:.1f} s: {why}")
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{page}\n{END}{rest.partition(END)[2]}")
    return 1 if audit.problems else 0


class Killer(threading.Thread):
    """Kills at random moments, one after another, each kind equally often."""

    def __init__(self, loop: Loop, kills: int, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.kills: list[Kill] = []
        self._loop = loop
        self._chance = chance
        plan = [(kind, ROLES[kind][number % len(ROLES[kind])]) for kind in KINDS for number in range(kills)]
        self._plan = chance.sample(plan, len(plan))

    def run(self) -> None:
        """Kill and wait, through the plan."""
        for kind, role in self._plan:
            time.sleep(self._chance.uniform(0.2, LONGEST_WAIT_SECONDS))
            at = time.monotonic()
            self._loop.kill(role)
            self.kills.append(Kill(kind, role, at, time.monotonic()))
            if len(self.kills) % 10 == 0:
                print(f"  {len(self.kills)} of {len(self._plan)} kills", flush=True)


def audit_kills(kills: list[Kill], replay: Replay) -> Audit:
    """Give every failed request and every gap in service to the kill that was the last before it."""
    audit = Audit(kills)
    for when, _, _ in replay.notes.failures:
        audit.failures[_kill_before(kills, when)] += 1
    moments = sorted(replay.notes.successes)
    for kind in KINDS:
        longest = 0.0
        for kill in (kill for kill in kills if kill.kind == kind):
            around = [moment for moment in moments if kill.at - 1 <= moment <= kill.recovered + 1]
            longest = max([longest, *(later - earlier for earlier, later in itertools.pairwise(around))])
        audit.gaps[kind] = longest
    for kind in ("monitor", "controller", "none"):
        if audit.failures[kind]:
            audit.problems.append(f"{audit.failures[kind]} requests failed after kills of: {kind}")
    if audit.gaps["server"] > LIMIT_SECONDS:
        audit.problems.append(f"a kill of the server cost {audit.gaps['server']:.1f} s of service")
    return audit


def audit_log(audit: Audit, workspace: Workspace, replay: Replay) -> None:
    """Compare the joined view with what clients were told."""
    end = START + (replay.days + 10) * DAY
    joined = PredictionLogReader(workspace.log).joined(START - DAY, end, labelled_by=end)
    times = Counter(joined["prediction_id"])
    if doubled := [name for name, count in times.items() if count > 1]:
        audit.problems.append(f"{len(doubled)} predictions are in the joined view more than once")
    for name in replay.notes.answered.keys() - times.keys():
        audit.lost[_kill_after(audit.kills, replay.notes.answered[name])] += 1
    for kind, lost in audit.lost.items():
        if kind not in MAY_LOSE:
            audit.problems.append(f"{lost} answered predictions are not in the log, after kills of: {kind}")
    truths = dict(zip(joined["key"], joined["label"], strict=True))
    wrong = [key for key, label in replay.notes.labelled.items() if key in truths and truths[key] != label]
    if wrong:
        audit.problems.append(f"{len(wrong)} acknowledged labels are not in the joined view")


def audit_history(audit: Audit, killed: Workspace, calm: Workspace) -> None:
    """Compare verdicts and runs with those of the replay without kills."""
    verdicts, expected = _verdicts(killed), _verdicts(calm)
    if verdicts != expected:
        different = sorted(set(verdicts.items()) ^ set(expected.items()))
        audit.problems.append(f"{len(different)} verdicts differ from those without kills, first: {different[:4]}")
    started = [entry.run_key for entry in read_ledger(killed.ledger) if isinstance(entry, RunStarted)]
    finished = [entry.run_key for entry in read_ledger(killed.ledger) if isinstance(entry, RunFinished)]
    if len(set(started)) != len(started) or sorted(started) != sorted(finished):
        audit.problems.append(f"runs started {started}, finished {finished}: each must be there once")
    calm_runs = sum(isinstance(entry, RunStarted) for entry in read_ledger(calm.ledger))
    if len(started) != calm_runs:
        audit.problems.append(f"{len(started)} runs with kills, {calm_runs} without")


def describe(audit: Audit, replay: Replay, seed: int, seconds: float) -> str:
    """Return the figures as Markdown."""
    columns = ("killed", "times", "failed requests", "longest time without an answer", "recovery: median, longest")
    lines = [f"| {' | '.join((*columns, 'answered, not logged'))} |", "|---|---|---|---|---|---|"]
    for kind in KINDS:
        took = sorted(kill.recovered - kill.at for kill in audit.kills if kill.kind == kind)
        if took:
            lines.append(
                f"| {kind} | {len(took)} | {audit.failures[kind]} | {audit.gaps[kind]:.1f} s | "
                f"{took[len(took) // 2]:.1f} s, {took[-1]:.1f} s | {audit.lost[kind]} |"
            )
    verdict = "no promise broken" if not audit.problems else f"{len(audit.problems)} promises broken: {audit.problems}"
    summary = (
        f"{len(replay.notes.requests):,} requests, {len(replay.notes.answered):,} predictions answered and to be "
        f"logged, {len(replay.notes.labelled):,} labels acknowledged, {replay.days} days of traffic, seed {seed}, "
        f"{seconds / 60:.0f} min on {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}: {verdict}."
    )
    lines += ["", summary]
    return "\n".join(lines)


def _verdicts(workspace: Workspace) -> dict[tuple[str, str], str]:
    """Return each window's verdict; a model's version depends on its rows, so it is left out."""
    lines = (workspace.monitor / "verdicts.jsonl").read_text().splitlines()
    verdicts = [json.loads(line) for line in lines]
    return {(verdict["kind"], verdict["window"]["start"]): verdict["verdict"] for verdict in verdicts}


def _kill_before(kills: list[Kill], moment: float) -> str:
    before = [kill for kill in kills if kill.at <= moment]
    return before[-1].kind if before else "none"


def _kill_after(kills: list[Kill], moment: float) -> str:
    return next((kill.kind for kill in kills if kill.at >= moment - 1), "none")


def _children(parent: int) -> dict[int, list[str]]:
    """Return the command of each child of a process."""
    commands = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            commands[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    return commands


if __name__ == "__main__":
    sys.exit(main())
