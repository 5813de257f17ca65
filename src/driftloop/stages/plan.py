"""Eighth stage: plans the search. Which algorithms are tried and why, with what part of the budget, from which start.

It sees the size of the training matrix, the user's wishes and the champion's record, fits nothing and loads no library
for models.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.algorithms import Algorithm, get_algorithm
from driftloop.algorithms.algorithm import RICHER, SIMPLER, Shape
from driftloop.algorithms.catalogue import CATALOGUE
from driftloop.spec import Task
from driftloop.spec.training import Effort, TrainingSpec
from driftloop.stages.judgements import OVER_FITTING, UNDER_FITTING
from driftloop.stages.records import Evaluation, LeftOut, Plan, PlannedCandidate, TrialRecord

WORKERS = 2
"""Candidates that are fitted side by side on a laptop, one thread each."""
_FEWEST_TRIALS = 3
"""`Auto` takes no more candidates than can have so many trials each, but three in any case."""
_CERTAIN = 3
"""Candidates that the number of trials does not push out."""
_LEANINGS = {OVER_FITTING: SIMPLER, UNDER_FITTING: RICHER}
"""Diagnosis of the champion → the direction in which the search leans."""


@dataclass(frozen=True)
class Wishes:
    """What the user wants of the search."""

    names: Sequence[str]
    """Algorithms that may be tried, `Auto` written out."""
    spec: TrainingSpec
    trials: int
    """Trials of all candidates together."""


def read_shape(matrices: Path, task: Task, *, is_scaled: bool) -> Shape:
    """Read the size of the training matrix without its numbers, and the target's classes."""
    with np.load(matrices, allow_pickle=False) as arrays:
        target = arrays["train_y"]
        rows, columns = _array_shape(arrays, "train_x")
    counts = np.unique(target, return_counts=True)[1] if task is Task.CLASSIFICATION else np.zeros(0, dtype=np.int64)
    rarest = int(counts.min()) if len(counts) else 0
    return Shape(rows, columns, len(counts), rarest, is_scaled)


def plan(shape: Shape, wishes: Wishes, champion: Evaluation | None) -> Plan:
    """Decide what is tried.

    Args:
        shape: of the training matrix.
        wishes: what the user wants.
        champion: what the model that serves now says of its training; None for a first model.
    """
    effort, why = _effort(wishes, champion)
    if effort == "Refit" and champion:
        return Plan(effort=effort, reason=why, candidates=tuple(_refit(champion, wishes.spec.timeout)), left_out=())
    chosen, left_out = _choose(shape, wishes, effort)
    leaning = champion.diagnosis if champion and champion.diagnosis in _LEANINGS else ""
    earlier = champion if wishes.spec.warm_start == "Auto" else None
    trials = _share_trials(list(chosen), wishes.trials)
    seconds = _share_time(list(chosen), shape, wishes.spec.timeout)
    candidates = tuple(
        PlannedCandidate(
            algorithm=algorithm.name,
            reason=reason,
            trials=trials[algorithm.name],
            seconds=seconds[algorithm.name],
            first=tuple(_first(algorithm, earlier, leaning)),
            known=tuple(_known(algorithm, earlier)),
        )
        for algorithm, reason in chosen.items()
    )
    # The longest first, so that two workers end at about the same time.
    ordered = tuple(sorted(candidates, key=lambda candidate: -candidate.seconds))
    return Plan(effort=effort, reason=why, leaning=leaning, candidates=ordered, left_out=tuple(left_out))


def _effort(wishes: Wishes, champion: Evaluation | None) -> tuple[Effort, str]:
    """Return the rung, and why, as a plain sentence."""
    asked: Effort = "Tune" if wishes.spec.effort == "Auto" else wishes.spec.effort
    if asked != "Refit":
        return asked, {
            "Tune": "Hyperparameters are tuned.",
            "Widen": "The search is widened: more algorithms, larger spaces.",
        }[asked]
    if champion is None or not champion.params or champion.origin:
        return "Tune", "Hyperparameters are tuned: there is no champion whose hyperparameters are known."
    unwanted = sorted({trial.algorithm for trial in _parts(champion)} - set(wishes.names))
    if unwanted:
        return "Tune", f"Hyperparameters are tuned: the champion's {', '.join(unwanted)} is no longer asked for."
    return "Refit", "The champion's algorithm and hyperparameters are fitted again on the new rows; nothing is tuned."


def _parts(champion: Evaluation) -> list[TrialRecord]:
    """Return algorithm and hyperparameters of the champion, or of each part of a blend."""
    parts = champion.params.get("parts")
    if parts is None:
        return [
            TrialRecord(algorithm=champion.algorithm, params=champion.params, score=champion.validation_score or 0.0)
        ]
    return [TrialRecord(algorithm=part["algorithm"], params=part["params"], score=0.0) for part in parts]


def _refit(champion: Evaluation, duration: timedelta) -> Iterable[PlannedCandidate]:
    parts = _parts(champion)
    seconds = duration.total_seconds() / ceil(len(parts) / WORKERS)
    for part in parts:
        yield PlannedCandidate(
            algorithm=part.algorithm,
            reason="it serves now",
            trials=1,
            seconds=seconds,
            first=(part.params,),
            is_refit=True,
        )


def _choose(shape: Shape, wishes: Wishes, effort: Effort) -> tuple[dict[Algorithm, str], list[LeftOut]]:
    """Return what is tried and why, in the catalogue's order, and what is not and why."""
    named = set(wishes.spec.algorithms)
    chosen: dict[Algorithm, str] = {}
    left_out: list[LeftOut] = []
    for algorithm in (get_algorithm(name) for name in wishes.names):
        if algorithm.name in named:
            chosen[algorithm] = f"it is named. {algorithm.reason}"
        elif flaw := _flaw(algorithm, shape, effort):
            left_out.append(LeftOut(algorithm=algorithm.name, reason=flaw))
        else:
            chosen[algorithm] = algorithm.reason
    for test in (_too_slow(shape, wishes.spec.timeout), _too_many(wishes.trials)):
        for algorithm, flaw in test([algorithm for algorithm in chosen if algorithm.name not in named], list(chosen)):
            del chosen[algorithm]
            left_out.append(LeftOut(algorithm=algorithm.name, reason=flaw))
    return chosen, left_out


def _flaw(algorithm: Algorithm, shape: Shape, effort: Effort) -> str:
    """Why `Auto` leaves an algorithm out, as the rest of a sentence; empty: it doesn't."""
    if shape.rows < algorithm.fewest_rows:
        return f"it needs at least {algorithm.fewest_rows} training rows, and there are {shape.rows}"
    if shape.classes and shape.rarest < algorithm.fewest_of_class:
        return f"it needs {algorithm.fewest_of_class} training rows of each class, and one has {shape.rarest}"
    if algorithm.wants_scale and not shape.is_scaled:
        return "unlike scales mislead it, and 'preparation.scaling' is None"
    return "" if effort == "Widen" else algorithm.leave_out(shape)


_Test = Callable[[list[Algorithm], list[Algorithm]], list[tuple[Algorithm, str]]]


def _too_slow(shape: Shape, duration: timedelta) -> _Test:
    def test(open_: list[Algorithm], chosen: list[Algorithm]) -> list[tuple[Algorithm, str]]:
        shares = _share_time(chosen, shape, duration) if chosen else {}
        found = []
        for algorithm in sorted(open_, key=lambda algorithm: algorithm.rank)[1:]:  # the first stays whatever it takes
            one = algorithm.seconds(_limited(algorithm, shape))
            if one * _FEWEST_TRIALS > shares[algorithm.name]:
                share = shares[algorithm.name]
                told = f"one fit takes about {one:.0f} s, and its part of 'training.timeout' is {share:.0f} s"
                found.append((algorithm, told))
        return found

    return test


def _too_many(trials: int) -> _Test:
    def test(open_: list[Algorithm], chosen: list[Algorithm]) -> list[tuple[Algorithm, str]]:
        room = max(_CERTAIN, trials // _FEWEST_TRIALS) - (len(chosen) - len(open_))
        told = f"'training.maxTrialCount' is {trials}: others come first, with at least {_FEWEST_TRIALS} trials each"
        return [(algorithm, told) for algorithm in sorted(open_, key=lambda algorithm: algorithm.rank)[max(room, 0) :]]

    return test


def _limited(algorithm: Algorithm, shape: Shape) -> Shape:
    return replace(shape, rows=min(shape.rows, algorithm.most_rows))


def _first(algorithm: Algorithm, champion: Evaluation | None, leaning: str) -> Iterable[dict[str, object]]:
    """Return what is tried first: the champion's best, a simpler or a richer model, the defaults."""
    best = next((trial for trial in _known(algorithm, champion)), None)
    serving = next((part for part in _parts(champion) if part.algorithm == algorithm.name), None) if champion else None
    start = serving or best
    if start:
        yield algorithm.within(start.params)
    if leaning:
        yield algorithm.lean(algorithm.within(start.params if start else algorithm.defaults), _LEANINGS[leaning])
    yield algorithm.within(algorithm.defaults)


def _known(algorithm: Algorithm, champion: Evaluation | None) -> list[TrialRecord]:
    return [trial for trial in champion.history if trial.algorithm == algorithm.name] if champion else []


def _share_trials(algorithms: Sequence[Algorithm], trials: int) -> dict[str, int]:
    """Part the trials by weight: at least one each, no more than an algorithm has use for."""
    total = sum(algorithm.weight for algorithm in algorithms)
    shares = {a.name: max(min(trials * a.weight // total, a.most_trials), 1) for a in algorithms}
    for algorithm in sorted(algorithms, key=lambda algorithm: -algorithm.weight):  # what is left over
        rest = trials - sum(shares.values())
        if rest > 0:
            shares[algorithm.name] = min(
                shares[algorithm.name] + rest, max(algorithm.most_trials, shares[algorithm.name])
            )
    return shares


def _share_time(algorithms: Sequence[Algorithm], shape: Shape, duration: timedelta) -> dict[str, float]:
    """Part the time by weight, so that two workers are done in time; quick ones get no more than they have use for."""
    most = duration.total_seconds()
    needs = {a.name: _SAFETY * a.most_trials * a.seconds(_limited(a, shape)) + 1 for a in algorithms}

    def parts(unit: float) -> list[float]:
        return [min(a.weight * unit, needs[a.name], most) for a in algorithms]

    low, high = 0.0, most
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _makespan(parts(middle)) <= most else (low, middle)
    shares = parts(low)
    stretch = most / max(_makespan(shares), 1e-9)  # all are quick: an estimate may be off, and there is time
    return {a.name: min(share * stretch, most) for a, share in zip(algorithms, shares, strict=True)}


_SAFETY = 15
"""Small tables are fitted five times a trial, and an estimate may be off by three."""


def _makespan(parts: Sequence[float]) -> float:
    """Return when all are done, the longest first, by so many workers."""
    ends = [0.0] * WORKERS
    for part in sorted(parts, reverse=True):
        ends[ends.index(min(ends))] += part
    return max(ends)


def _array_shape(arrays: Any, name: str) -> tuple[int, int]:
    """Read the shape of an array of an archive without its numbers."""
    reader: Any = np.lib.format
    with arrays.zip.open(f"{name}.npy") as file:
        reader.read_magic(file)
        (rows, columns), _, _ = reader.read_array_header_1_0(file)
    return int(rows), int(columns)


def place_of(name: str) -> int:
    """Return where an algorithm stands in the catalogue: the simplest first."""
    return next((place for place, algorithm in enumerate(CATALOGUE) if algorithm.name == name), len(CATALOGUE))
