"""Concept drift on error streams: driftloop's `ErrorWatch` beside river's detectors, one setting for all streams.

Streams of river's generators, 10,000 items, drifts at 2,500, 5,000 and 7,500 to the generator's next concept; abrupt,
or gradual: the new concept's share follows river's sigmoid of width 1,000, and the drift starts where it is 12 %, 500
items earlier. A Hoeffding tree (river's defaults) predicts each item, then learns it; a detector that alarms gets a new
tree and begins anew itself. The first alarm within 1,500 items after a drift's start finds it; every other alarm is
false. F1 is pooled over seeds and averaged over generators. The setting of `ErrorWatch` was chosen on seeds from 100;
the table is of the seeds 0 to 9. The peers have river's defaults.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from driftloop.monitor.errorstream import ErrorWatch

ITEMS = 10_000
DRIFTS = (2_500, 5_000, 7_500)
WIDTHS = {"abrupt": 1, "gradual": 1_000, "stationary": 0}
IN_TIME = 1_500
FALSE_ALARMS_PER_ITEM = 2e-6
FEWEST_BEFORE = 1_000
"""Items that a change must have before it: a model that has just begun to learn is not yet what it will be."""
CONCEPTS = {"SINE": 4, "STAGGER": 3, "SEA": 4, "AGRAWAL": 10}
OURS = "driftloop ErrorWatch"

Alarm = Callable[[bool], bool]


class Stream(NamedTuple):
    """What makes a stream: its generator, the kind of its drifts, and the seed."""

    generator: str
    kind: str
    seed: int

    @property
    def starts(self) -> list[int]:
        """Items at which its drifts start."""
        width = WIDTHS[self.kind]
        return [drift - width // 2 for drift in DRIFTS] if width else []

    def items(self) -> list[tuple[dict[str, Any], Any]]:
        """Return features and label of every item."""
        width, concepts = WIDTHS[self.kind], CONCEPTS[self.generator]
        sources = [
            iter(_concept(self.generator, (self.seed + i) % concepts, 1000 * self.seed + i).take(ITEMS))
            for i in range(len(DRIFTS) + 1)
        ]
        mixing = np.random.default_rng(self.seed)
        found = []
        for item in range(ITEMS):
            concept = 0
            for i, drift in enumerate(DRIFTS if width else (), 1):
                slope = min(max(-4.0 * (item - drift) / width, -50.0), 50.0)
                if (item >= drift) if width == 1 else (mixing.random() < 1 / (1 + math.exp(slope))):
                    concept = i
            found.append(next(sources[concept]))
        return found


class Learners:
    """The errors of trees that began at different items of one stream, each computed once and no farther than asked."""

    def __init__(self, stream: Stream) -> None:
        """Make the stream's items."""
        self._items = stream.items()
        self._known: dict[int, tuple[Any, list[bool]]] = {}

    def errors(self, start: int) -> Iterator[bool]:
        """Yield whether each answer from `start` on is wrong."""
        from river import tree

        model, errors = self._known.setdefault(start, (tree.HoeffdingTreeClassifier(), []))
        for i, (x, y) in enumerate(self._items[start:]):
            if i == len(errors):
                errors.append(model.predict_one(x) != y)
                model.learn_one(x, y)
            yield errors[i]


@dataclass
class Score:
    """What a detector did, added up over streams."""

    found: int = 0
    false: int = 0
    missed: int = 0
    streams: int = 0
    delays: tuple[int, ...] = ()
    seconds: float = 0.0

    def __add__(self, other: "Score") -> "Score":
        """Add up two."""
        return Score(
            self.found + other.found,
            self.false + other.false,
            self.missed + other.missed,
            self.streams + other.streams,
            self.delays + other.delays,
            self.seconds + other.seconds,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(2 * self.found + self.false + self.missed, 1)


def detectors() -> dict[str, Callable[[], Alarm]]:
    """Return what makes each detector new."""
    from river import drift
    from river.drift import binary

    peers = {"HDDM_A": binary.HDDM_A, "HDDM_W": binary.HDDM_W, "DDM": binary.DDM, "EDDM": binary.EDDM}
    peers |= {"ADWIN": drift.ADWIN, "PageHinkley": drift.PageHinkley}
    return {OURS: _ours} | {name: partial(_peer, kind) for name, kind in peers.items()}


def play(stream: Stream) -> dict[str, Score]:
    """Let every detector watch a stream."""
    learners, scores = Learners(stream), {}
    for name, make in detectors().items():
        alarms, start, spent = [], 0, 0.0
        while start < ITEMS:
            alarm, began = make(), start
            for item, is_wrong in enumerate(learners.errors(start), start):
                before = time.perf_counter()
                rose = alarm(is_wrong)
                spent += time.perf_counter() - before
                if rose:
                    alarms.append(item)
                    start = item + 1
                    break
            if start == began:
                break
        scores[name] = judge(alarms, stream.starts, spent)
    return scores


def judge(alarms: list[int], starts: list[int], seconds: float = 0.0) -> Score:
    """Score the alarms of one stream."""
    firsts = [next((a for a in alarms if start <= a < start + IN_TIME), None) for start in starts]
    delays = tuple(first - start for first, start in zip(firsts, starts, strict=True) if first is not None)
    return Score(len(delays), len(alarms) - len(delays), len(starts) - len(delays), 1, delays, seconds)


def independent_false_alarms(make: Callable[[], Alarm], streams: int = 10) -> Score:
    """Watch streams of independent errors at rates of .02 to .4 that do not change."""
    total = Score()
    for rate, seed in product((0.02, 0.1, 0.2, 0.4), range(streams)):
        alarm, alarms = make(), []
        for item, is_wrong in enumerate((np.random.default_rng(seed).random(ITEMS) < rate).tolist()):
            if alarm(is_wrong):
                alarms.append(item)
                alarm = make()
        total += judge(alarms, [])
    return total


def main(seeds: range = range(10)) -> None:
    """Print the table."""
    streams = [Stream(g, kind, seed) for g, kind, seed in product(CONCEPTS, WIDTHS, seeds)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        played = list(pool.map(play, streams, chunksize=2))
        names = list(detectors())
        independent = list(pool.map(_independent, names))
    print(
        "| detector | F1 abrupt | SINE, STAGGER, SEA, AGRAWAL | false / 10k | delay | F1 gradual | SINE, STAGGER, SEA, "
        "AGRAWAL | false / 10k | delay | false / 10k stationary | false / 10k independent | µs an item |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, on_independent in zip(names, independent, strict=True):
        by: dict[tuple[str, str], Score] = {}
        for stream, scores in zip(streams, played, strict=True):
            key = stream.kind, stream.generator
            by[key] = by.get(key, Score()) + scores[name]
        cells = [name]
        for kind in ("abrupt", "gradual"):
            each = [by[kind, generator] for generator in CONCEPTS]
            total = sum(each, Score())
            cells += [f"{np.mean([score.f1 for score in each]):.3f}", ", ".join(f"{score.f1:.2f}" for score in each)]
            cells += [f"{total.false / total.streams:.2f}", f"{np.mean(total.delays or [np.nan]):.0f}"]
        still = sum((by["stationary", generator] for generator in CONCEPTS), Score())
        cells += [f"{still.false / still.streams:.2f}", f"{on_independent.false / on_independent.streams:.2f}"]
        everything = sum(by.values(), Score())
        cells.append(f"{everything.seconds / everything.streams / ITEMS * 1e6:.1f}")
        print("| " + " | ".join(cells) + " |")


def _independent(name: str) -> Score:
    return independent_false_alarms(detectors()[name])


def _concept(generator: str, function: int, seed: int) -> Any:
    from river.datasets import synth

    if generator == "SEA":
        return synth.SEA(variant=function, seed=seed)
    kinds = {"SINE": synth.Sine, "STAGGER": synth.STAGGER, "AGRAWAL": synth.Agrawal}
    return kinds[generator](classification_function=function, seed=seed)


def _ours() -> Alarm:
    watch = ErrorWatch(FALSE_ALARMS_PER_ITEM, fewest_before=FEWEST_BEFORE)
    return lambda is_wrong: watch.update(is_wrong=is_wrong)


def _peer(kind: Callable[[], Any]) -> Alarm:
    detector = kind()

    def alarm(is_wrong: bool) -> bool:
        detector.update(int(is_wrong))
        return bool(detector.drift_detected)

    return alarm


if __name__ == "__main__":
    main(range(*map(int, sys.argv[1:3])) if len(sys.argv) > 1 else range(10))
