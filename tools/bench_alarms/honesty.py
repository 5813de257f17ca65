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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftloop.monitor.budget import Share
from driftloop.monitor.scores import Sums
from driftloop.spec import VerdictKind
from tools.bench_alarms.peers import AlibiDetect, Cells, Evidently, TabularTests, count_episodes, threshold_for
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
    Cell(Kind.SEASON, 5, 2000, Shift(Move.MEAN, 2.0)),
    Cell(Kind.HEAVY, 20, 200, Shift(Move.MEAN, 0.5)),
    Cell(Kind.MIXED, 20, 200, Shift(Move.MIX, 0.2)),
)
JUDGED, JUDGED_REFERENCES = CELLS[-1], 4
"""Cell and references that also go the whole way of production, with frames, checks and reports."""
CONFIRMED_WINDOWS = 8
"""Windows per cell for the peers' own classes: Evidently takes seconds for each."""
FIRST_TUNING_SEED = 10_000
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
class Peers:
    """What the peers made of one reference and its 25 days."""

    plain: Flags
    """Alarms of alibi-detect's plain detectors, shape (windows,)."""
    evidence: Numbers
    """Of the same tests, as -ln p, shape (windows,)."""
    shifted: Numbers
    """The same after each onset, shape (onsets, LONGEST)."""


@dataclass(frozen=True)
class Outcome:
    """What driftloop made of them."""

    alarms: Flags
    """Shape (windows,)."""
    shifted: Flags
    """Alarms after each onset, shape (onsets, LONGEST)."""
    carried: float
    """Alarms in 30 days that driftloop says the reference can carry."""
    reasons: tuple[str, ...]
    seconds: float
    """Processor time."""
    checks: int | None = None
    """Windows that the whole judge calls a data fault; None where it was not asked."""


@dataclass(frozen=True)
class Trials:
    """The stated shift, put into a stream's live traffic at each onset."""

    windows: list[list[Cells]]
    """LONGEST windows per onset."""

    @classmethod
    def of(cls, stream: Stream, shift: Shift, seed: int) -> "Trials":
        """Make the shifted windows once, for everyone."""
        random = np.random.default_rng([seed, 7])
        movable = stream.movable(shift)
        moved = [tuple(random.choice(movable, shift.features, replace=False)) for _ in ONSETS]
        return cls(
            [
                [stream.shifted(onset + after, shift, random, names) for after in range(LONGEST)]
                for onset, names in zip(ONSETS, moved, strict=True)
            ]
        )


def ask_peers(stream: Stream, trials: Trials | None) -> Peers:
    """Judge every window by the peers' tests; without trials only to tune a threshold on it."""
    tests = TabularTests(stream.reference)
    judged = [tests.judge(stream.window(hour)) for hour in range(HOURS)]
    shifted = [[tests.judge(window)[0] for window in trial] for trial in (trials.windows if trials else ())]
    return Peers(np.array([a for _, a in judged]), np.array([e for e, _ in judged]), np.array(shifted))


def ask_driftloop(stream: Stream, trials: Trials, *, whole: bool) -> Outcome:
    """Judge every window by driftloop; `whole`: also by the judge as in production, which must say the same."""
    began = time.process_time()
    watch = Watch(stream)
    sums: list[Sums] = []
    flags = []
    for hour in range(HOURS):
        window = stream.window(hour)
        sums.append(watch.summed(window, hour))
        flags.append(watch.alarms(window, sums[-KEPT:]))
    shifted = [_after(watch, sums, onset, trial) for onset, trial in zip(ONSETS, trials.windows, strict=True)]
    seconds = time.process_time() - began
    checks = None
    if whole:
        verdicts = [watch.judged(hour, sums[max(hour - KEPT + 1, 0) : hour]) for hour in range(HOURS)]
        if [any(feature.drifted for feature in verdict.features) for verdict in verdicts] != flags:
            raise SystemExit(
                "The judge and its detector, driven by arrays, must alarm in the same windows. They do not."
            )
        checks = sum(verdict.verdict is VerdictKind.DATA_FAULT for verdict in verdicts)
    return Outcome(np.array(flags), np.array(shifted), watch.carried, watch.reasons, seconds, checks)


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
    matched: Detection
    """The same peer at the rate that driftloop spends on these tests; the rest of its budget has other questions."""
    seconds: float
    judged: str
    """What the whole judge's checks said, where it was asked."""

    @property
    def declined(self) -> int:
        """How many references can't carry the budget."""
        return sum(carried > 1 for carried in self.carried)

    @property
    def faults(self) -> list[str]:
        """Which limits were missed; where driftloop declines, they are those of the budget that it says it carries."""
        faults = []
        if sum(self.episodes) > LIMIT / REFERENCES * sum(self.carried):
            faults.append("alarms")
        if any(
            alarms > max(WORST_LIMIT, _most(carried))
            for alarms, carried in zip(self.episodes, self.carried, strict=True)
        ):
            faults.append("worst reference")
        if self.detection.seen < SEEN_LIMIT:
            faults.append("detection")
        if self.detection.delay > self.tuned.delay:
            faults.append("slower than tuned KS")
        return faults


def _most(carried: float) -> float:
    """Return the alarms of one reference that a budget allows as rarely as it allows six where one is expected."""
    from scipy.stats import poisson

    days = HOURS / 24
    return float(poisson.isf(poisson.sf(WORST_LIMIT, days / BUDGET_DAYS), carried * days / BUDGET_DAYS))


def sum_up(cell: Cell, outcomes: list[Outcome], peers: list[Peers], tuning: list[Peers]) -> Line:
    """Turn a cell's outcomes into its line; the peers' threshold comes from `tuning`."""
    days = len(tuning) * HOURS / 24
    evidence, expected = np.array([p.evidence for p in tuning]), days / BUDGET_DAYS
    threshold = threshold_for(evidence, int(expected))
    stricter = threshold_for(evidence, max(int(expected * Share.DRIFT.value), 1))
    shifted = np.concatenate([p.shifted for p in peers])
    judged = [o.checks for o in outcomes if o.checks is not None]
    return Line(
        cell=cell,
        episodes=[count_episodes(o.alarms) for o in outcomes],
        windows=sum(int(o.alarms.sum()) for o in outcomes),
        carried=[o.carried for o in outcomes],
        reasons=Counter(reason for o in outcomes for reason in o.reasons),
        detection=Detection.of(np.concatenate([o.shifted for o in outcomes])),
        plain_windows=float(np.mean([p.plain for p in peers])),
        tuned_episodes=[count_episodes(p.evidence > threshold) for p in peers],
        tuned=Detection.of(shifted > threshold),
        matched=Detection.of(shifted > stricter),
        seconds=sum(o.seconds for o in outcomes),
        judged=f"{sum(judged)} data faults of {len(judged)} references" if judged else "",
    )


COLUMNS = (
    "traffic",
    "alarms",
    "worst reference",
    "windows that alarm",
    "carried (declined)",
    "shift",
    "seen in 3",
    "delay",
    "tuned KS: alarms",
    "worst",
    "seen in 3",
    "delay",
    "delay at driftloop's own rate",
    "alibi-detect plain: windows that alarm",
    "missed",
)


def as_row(line: Line) -> str:
    """Return a line of the Markdown table."""
    cells = [
        line.cell.traffic,
        sum(line.episodes),
        max(line.episodes),
        line.windows,
        f"{np.median(line.carried):.3g} ({line.declined})",
        line.cell.shift,
        f"{line.detection.seen:.2f}",
        f"{line.detection.delay:.2f}",
        sum(line.tuned_episodes),
        max(line.tuned_episodes),
        f"{line.tuned.seen:.2f}",
        f"{line.tuned.delay:.2f}",
        f"{line.matched.delay:.2f}",
        f"{line.plain_windows:.1%}",
        ", ".join(line.faults) or "-",
    ]
    return f"| {' | '.join(map(str, cells))} |"


Task = tuple[Cell, int, bool, bool]
"""Cell, seed, for tuning, through the whole judge."""


def run(cells: Sequence[Cell], references: int, tuning: int, processes: int) -> Iterator[Line]:
    """Yield the cells' lines, each as soon as it is known."""
    tasks: list[Task] = []
    for cell in cells:
        tasks += [(cell, FIRST_TUNING_SEED + seed, True, False) for seed in range(tuning)]
        tasks += [(cell, seed, False, cell is JUDGED and seed < JUDGED_REFERENCES) for seed in range(references)]
    outcomes: list[Outcome] = []
    peers: list[Peers] = []
    tuned: list[Peers] = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for (cell, _, tunes, _), (outcome, peer) in zip(tasks, pool.imap(observe, tasks), strict=True):
            (tuned if tunes else peers).append(peer)
            if outcome is not None:
                outcomes.append(outcome)
            if len(outcomes) == references:
                yield sum_up(cell, outcomes, peers, tuned)
                outcomes, peers, tuned = [], [], []


def observe(task: Task) -> tuple[Outcome | None, Peers]:
    """Watch one reference's traffic; for tuning, by the peers only."""
    cell, seed, tunes, whole = task
    stream = generate(cell, seed)
    if tunes:
        return None, ask_peers(stream, None)
    trials = Trials.of(stream, cell.shift, seed)
    return ask_driftloop(stream, trials, whole=whole), ask_peers(stream, trials)


def confirm() -> Iterator[str]:
    """Yield lines on what the peers' own classes say of a few windows of unchanged traffic.

    alibi-detect's class must decide what `TabularTests` decides.
    """
    yield "| traffic | windows | alibi-detect TabularDrift alarms | Evidently: dataset drift | some column drifts |"
    yield "|---|---|---|---|---|"
    for cell in (CELLS[1], CELLS[4], CELLS[8], CELLS[10]):
        stream = generate(cell, 0)
        tests, alibi, evidently = (peer(stream.reference) for peer in (TabularTests, AlibiDetect, Evidently))
        windows = [stream.window(hour) for hour in range(0, HOURS, HOURS // CONFIRMED_WINDOWS)]
        plain = [alibi.alarms(window) for window in windows]
        if plain != [tests.judge(window)[1] for window in windows]:
            raise SystemExit(f"TabularDrift and its statistics here must decide alike. They do not: {cell.traffic}.")
        found = [evidently.drifted(window) for window in windows]
        drifts = sum(drift for _, drift in found), sum(count > 0 for count, _ in found)
        yield f"| {cell.traffic} | {len(windows)} | {sum(plain)} | {drifts[0]} | {drifts[1]} |"


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
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for line in run(chosen, options.references, options.tuning, options.processes):
        print(as_row(line), flush=True)
        if line.judged:
            print(f"the judge, with its checks: {line.judged}", file=sys.stderr)
        for reason, count in line.reasons.most_common(2):
            print(f"{count} of {options.references}: {reason}", file=sys.stderr)
        print(f"{time.monotonic() - began:.0f} s, driftloop's part {line.seconds:.0f} s", file=sys.stderr)
    if not options.cells:
        print("", *confirm(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
