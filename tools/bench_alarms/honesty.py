"""Do the alarms keep their budget, and do they see what they should? 12 cells of traffic, beside the peers.

    python -m tools.bench_alarms.honesty --references 40
    python -m tools.bench_alarms.honesty --references 4 --cells 2,5

Per cell: 40 independent references of 10,000 rows, each with 25 days of hourly windows. An alarm is an episode: a run
of alarming windows. At the budget of 1 in 30 days, 33 are expected in a cell; more than 50, or more than 5 of one
reference, break it. The stated shift is put into the same traffic at five places; it counts as seen when one of its
first three windows alarms.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftloop.monitor.scores import Sums

from tools.bench_alarms.peers import Cells, TabularTests, count_episodes, threshold_for
from tools.bench_alarms.traffic import HOURS, Cell, Kind, Move, Shift, Stream, generate
from tools.bench_alarms.watch import Watch

CELLS = (
    Cell(Kind.IID, 20, 50, Shift(Move.MEAN, 0.75)),
    Cell(Kind.IID, 20, 200, Shift(Move.MEAN, 0.5)),
    Cell(Kind.IID, 5, 2000, Shift(Move.SPREAD, 1.75)),
    Cell(Kind.IID, 50, 500, Shift(Move.MEAN, 0.75), smallest_rows=50),
    Cell(Kind.AR5, 20, 200, Shift(Move.MEAN, 0.75)),
    Cell(Kind.AR5, 50, 500, Shift(Move.MEAN, 0.5)),
    Cell(Kind.AR9, 5, 1000, Shift(Move.MEAN, 1.0)),
    Cell(Kind.AR9, 20, 200, Shift(Move.MEAN, 1.5)),
    Cell(Kind.SEASON, 20, 50, Shift(Move.MEAN, 1.0)),
    Cell(Kind.SEASON, 5, 2000, Shift(Move.MEAN, 1.0)),
    Cell(Kind.HEAVY, 20, 200, Shift(Move.MEAN, 0.5)),
    Cell(Kind.MIXED, 20, 200, Shift(Move.MIX, 0.2)),
)
LIMIT, WORST_LIMIT, SEEN_WITHIN, SEEN_LIMIT = 50, 5, 3, 0.9
REFERENCES = 40
TUNING_REFERENCES = 20
"""Null references that the peers' threshold is tuned on; other seeds than those judged."""
ONSETS = (97, 212, 335, 451, 566)
"""Windows at which the shift begins, at different hours of the day."""
LONGEST = 12
"""Windows after which a shift counts as not seen."""
BUDGET_DAYS = 30
KEPT = 12
"""Windows whose sums are kept for those after them."""

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What one reference and its 25 days gave."""

    alarms: Flags
    """driftloop's, shape (windows,)."""
    shifted: Flags
    """driftloop's after each onset, shape (onsets, LONGEST)."""
    carried: float
    """Alarms in 30 days that driftloop says the reference can carry."""
    reasons: tuple[str, ...]
    plain: Flags
    """alibi-detect's plain detectors'."""
    evidence: Numbers
    """Of the same tests, as -ln p."""
    shifted_evidence: Numbers
    seconds: float
    """What driftloop took."""


def observe(cell: Cell, seed: int, *, tuning: bool = False) -> Outcome:
    """Watch one reference's traffic; for tuning, by the peers only."""
    stream = generate(cell, seed)
    random = np.random.default_rng([seed, 7])
    movable = stream.movable(cell.shift)
    moved = [tuple(random.choice(movable, cell.shift.features, replace=False)) for _ in ONSETS]
    # Shifted windows are made once, for everyone.
    trials = (
        []
        if tuning
        else [
            [stream.shifted(onset + after, cell.shift, random, names) for after in range(LONGEST)]
            for onset, names in zip(ONSETS, moved, strict=True)
        ]
    )
    tests = TabularTests(stream.reference)
    judged = [tests.judge(stream.window(hour)) for hour in range(HOURS)]
    evidence, plain = np.array([e for e, _ in judged]), np.array([a for _, a in judged])
    shifted_evidence = np.array([[tests.judge(window)[0] for window in trial] for trial in trials])
    if tuning:
        return Outcome(plain, plain, 0.0, (), plain, evidence, shifted_evidence, 0.0)
    began = time.process_time()
    watch = Watch(stream)
    sums: list[Sums] = []
    flags = []
    for hour in range(HOURS):
        window = stream.window(hour)
        sums.append(watch.summed(window, hour))
        flags.append(watch.alarms(window, sums[-KEPT:]))
    alarms = np.array(flags)
    shifted = np.array([_after(watch, sums, onset, trial) for onset, trial in zip(ONSETS, trials, strict=True)])
    seconds = time.process_time() - began
    return Outcome(alarms, shifted, watch.carried, watch.reasons, plain, evidence, shifted_evidence, seconds)


def _after(watch: Watch, sums: list[Sums], onset: int, trial: list[Cells]) -> list[bool]:
    """Return the alarms of the windows since a shift began; what came before it is as it was."""
    history = sums[onset - KEPT : onset]
    alarms = []
    for after, window in enumerate(trial):
        history.append(watch.summed(window, onset + after))
        alarms.append(watch.alarms(window, history[-KEPT:]))
    return alarms


@dataclass(frozen=True)
class Detection:
    """How well a shift was seen."""

    seen: float
    """Share of onsets seen within three windows."""
    delay: float
    """Mean number of windows to the first alarm; LONGEST and one more where there was none."""

    @classmethod
    def of(cls, alarms: Flags) -> "Detection":
        """Sum up trials, shape (trials, LONGEST)."""
        first = np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, LONGEST + 1)
        return cls(float((first <= SEEN_WITHIN).mean()), float(first.mean()))


@dataclass(frozen=True)
class Line:
    """One cell's figures."""

    cell: Cell
    episodes: list[int]
    """Of each reference."""
    windows: int
    """Alarming windows of all."""
    carried: list[float]
    reasons: Counter[str]
    detection: Detection
    plain_windows: float
    """Share of windows in which the plain detectors alarm."""
    tuned_episodes: list[int]
    tuned: Detection
    seconds: float

    @property
    def faults(self) -> list[str]:
        """Which limits were missed."""
        asked = 25 / BUDGET_DAYS
        allowed = LIMIT * max(float(np.mean(self.carried)), 1.0)
        faults = []
        if sum(self.episodes) > allowed * len(self.episodes) / REFERENCES:
            faults.append("alarms")
        if max(self.episodes) > WORST_LIMIT * max(max(self.carried), 1.0):
            faults.append("worst reference")
        if self.detection.seen < SEEN_LIMIT:
            faults.append("detection")
        if self.detection.delay > self.tuned.delay:
            faults.append("slower than tuned KS")
        return faults


def sum_up(cell: Cell, outcomes: list[Outcome], tuning: list[Outcome]) -> Line:
    """Turn a cell's outcomes into its line; the peers' threshold comes from `tuning`."""
    days = len(tuning) * HOURS / 24
    threshold = threshold_for(np.array([o.evidence for o in tuning]), int(days / BUDGET_DAYS))
    return Line(
        cell=cell,
        episodes=[count_episodes(o.alarms) for o in outcomes],
        windows=sum(int(o.alarms.sum()) for o in outcomes),
        carried=[o.carried for o in outcomes],
        reasons=Counter(reason for o in outcomes for reason in o.reasons),
        detection=Detection.of(np.concatenate([o.shifted for o in outcomes])),
        plain_windows=float(np.mean([o.plain for o in outcomes])),
        tuned_episodes=[count_episodes(o.evidence > threshold) for o in outcomes],
        tuned=Detection.of(np.concatenate([o.shifted_evidence for o in outcomes]) > threshold),
        seconds=sum(o.seconds for o in outcomes),
    )


HEADER = (
    "| traffic | alarms | worst | windows | carried | shift | seen in 3 | delay | tuned KS: alarms | worst | seen | "
    "delay | alibi-detect plain: windows that alarm | missed |"
)


def as_row(line: Line) -> str:
    """Return a line of the Markdown table."""
    cells = [
        line.cell.traffic,
        sum(line.episodes),
        max(line.episodes),
        line.windows,
        f"{np.median(line.carried):.3g}",
        line.cell.shift,
        f"{line.detection.seen:.2f}",
        f"{line.detection.delay:.2f}",
        sum(line.tuned_episodes),
        max(line.tuned_episodes),
        f"{line.tuned.seen:.2f}",
        f"{line.tuned.delay:.2f}",
        f"{line.plain_windows:.1%}",
        ", ".join(line.faults) or "-",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def run(cells: Sequence[Cell], references: int, tuning_references: int, processes: int) -> Iterator[Line]:
    """Yield the cells' lines, each as soon as it is known."""
    tasks = [
        (number, seed, tuning)
        for number in range(len(cells))
        for tuning, seeds in ((True, range(10_000, 10_000 + tuning_references)), (False, range(references)))
        for seed in seeds
    ]
    outcomes: dict[tuple[int, bool], list[Outcome]] = defaultdict(list)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for (number, _, tuning), outcome in zip(
            tasks, pool.imap(_observe, ((cells[n], s, t) for n, s, t in tasks)), strict=True
        ):
            outcomes[number, tuning].append(outcome)
            if not tuning and len(outcomes[number, False]) == references:
                yield sum_up(cells[number], outcomes.pop((number, False)), outcomes.pop((number, True)))


def _observe(task: tuple[Cell, int, bool]) -> Outcome:
    cell, seed, tuning = task
    return observe(cell, seed, tuning=tuning)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=REFERENCES)
    parser.add_argument("--tuning", type=int, default=TUNING_REFERENCES)
    parser.add_argument("--cells", help="numbers from 0, with commas; all when absent")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    chosen = [CELLS[int(n)] for n in options.cells.split(",")] if options.cells else CELLS
    began = time.monotonic()
    print(HEADER)
    print("|---" * (HEADER.count("|") - 1) + "|")
    for line in run(chosen, options.references, options.tuning, options.processes):
        print(as_row(line), flush=True)
        for reason, count in line.reasons.most_common(2):
            print(f"{count} of {options.references}: {reason}", file=sys.stderr)
        print(f"{time.monotonic() - began:.0f} s, driftloop's part {line.seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
