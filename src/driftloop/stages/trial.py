"""One trial of `train`: fits an algorithm with given hyperparameters, piece by piece where it grows, and judges it.

Fits on training rows only. On small tables trials are also judged on held-out folds of the training rows, because a few
validation rows can't tell good from lucky; not where rows follow one another in time or are drawn again.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from driftloop.algorithms import Algorithm
from driftloop.algorithms.metrics import Answers, score
from driftloop.algorithms.tasks import answer
from driftloop.spec import SUPERVISED, DataSchema, Task
from driftloop.stages.matrices import Matrices
from driftloop.stages.resample import PriorCorrection, Sampling
from driftloop.stages.table import encode_target

FEW_VALIDATION_ROWS = 800
"""Below this trials are judged on folds of the training rows, too. On 800 a rate is sure to 3.5 points."""
_FOLDS = 4
_FIRST_PIECES = 3
"""Growing does not end before so many pieces."""


Report: TypeAlias = Callable[[float, int], bool]
"""Takes a piece's score and its number; True gives the trial up."""


def no_report(_score: float, _step: int) -> bool:
    """Give no trial up."""
    return False


class Stopwatch:
    """What is left of a candidate's time."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = now()
        self._seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self._now() - self._started

    def has(self, seconds: float) -> bool:
        """Whether so much time is left."""
        return self.spent + seconds <= self._seconds


@dataclass(frozen=True)
class Fold:
    """Rows to fit on, and rows to answer."""

    x: npt.NDArray[np.float64]
    y: npt.NDArray[Any]
    judged_x: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None = None
    factors: npt.NDArray[np.float64] | None = None
    """Of `PriorCorrection`; None: none."""

    def fit(self, estimator: Any) -> Any:
        """Fit, or go on fitting; return what answers."""
        weights = {} if self.weights is None else {"sample_weight": self.weights}
        estimator.fit(self.x, self.y, **weights)
        return estimator if self.factors is None else PriorCorrection(estimator, self.factors)


@dataclass(frozen=True)
class Bench:
    """What trials are made on: the last fold is the one whose estimator serves."""

    folds: Sequence[Fold]
    truth: npt.NDArray[np.float64]
    """Of all rows that are answered, fold after fold."""
    metric: str
    task: Task
    judged_by: str
    """As the rest of a sentence."""

    @property
    def rows(self) -> int:
        """Rows that the estimator which serves is fitted on."""
        return len(self.folds[-1].y)


@dataclass
class Outcome:
    """What a trial reached."""

    params: dict[str, Any]
    score: float = -np.inf
    estimator: Any = None
    answers: Answers | None = None
    """To the rows of `Bench.truth`."""
    is_pruned: bool = False
    piece_seconds: list[float] = field(default_factory=list)


def lay_out(
    matrices: Matrices,
    sampling: Sampling,
    schema: DataSchema,
    *,
    algorithm: Algorithm,
    metric: str,
    seconds: float,
    seed: int,
) -> Bench:
    """Return the rows that an algorithm is fitted and judged on.

    Args:
        matrices: rows to fit on, rows to tune on.
        sampling: how the rows to fit on are drawn and weighted.
        schema: what the columns are.
        algorithm: what will be fitted: it may not take weights, or only so many rows.
        metric: what to tune for.
        seconds: the candidate's time; more rows than can be fitted in half of it are not fitted on.
        seed: of draws and folds.
    """
    factors = sampling.prior_factors(matrices.train_y)
    x, y, rows = matrices.train_x, matrices.train_y, np.arange(len(matrices.train_y))
    if sampling.made_x is not None or sampling.rows is not None:
        x, y = sampling.fit_on(matrices)
        rows = np.arange(len(y))
    weights = sampling.weights
    random = np.random.default_rng(seed)
    if weights is not None and not algorithm.takes_weights:
        rows, weights = np.sort(random.choice(len(y), len(y), p=weights / weights.sum())), None
    affordable = affordable_rows(algorithm, rows=len(rows), columns=x.shape[1], schema=schema, seconds=seconds)
    if affordable < len(rows):
        rows = _thin(rows, y, affordable, schema.task, random)
    held_out = encode_target(matrices.validation_y, schema)

    def fold(chosen: npt.NDArray[np.int64], judged: npt.NDArray[np.float64]) -> Fold:
        taken = None if weights is None else weights[chosen]
        return Fold(x[chosen], y[chosen], judged, taken, factors)

    whole = fold(rows, matrices.validation_x)
    is_drawn = sampling.rows is not None or sampling.made_x is not None  # equal or alike rows would be in two folds
    is_small = len(held_out) < FEW_VALIDATION_ROWS and not schema.time_column and not is_drawn
    is_small = is_small and schema.task in SUPERVISED
    splits = _split(y[rows], schema.task, algorithm, seed) if is_small and weights is None else []
    if not splits:
        return Bench([whole], held_out, metric, schema.task, f"{len(held_out):,} validation rows")
    folds = [fold(rows[inside], x[rows[outside]]) for inside, outside in splits]
    truth = np.concatenate([encode_target(y[rows[outside]], schema) for _, outside in splits] + [held_out])
    told = f"{len(held_out):,} validation rows and, held out fold by fold, the {len(rows):,} training rows"
    return Bench([*folds, whole], truth, metric, schema.task, told)


def affordable_rows(algorithm: Algorithm, *, rows: int, columns: int, schema: DataSchema, seconds: float) -> int:
    """Return how many training rows an algorithm can be fitted on: by its own limit, and within half of the time."""
    from driftloop.algorithms.algorithm import Shape

    count = min(rows, algorithm.most_rows)
    classes = len(schema.target.classes)
    while count > algorithm.fewest_rows and algorithm.seconds(Shape(count, columns, classes)) > seconds / 2:
        count = int(count * 0.7)
    return max(count, min(rows, algorithm.fewest_rows))


def run_trial(
    bench: Bench,
    algorithm: Algorithm,
    params: dict[str, Any],
    *,
    seed: int,
    watch: Stopwatch,
    report: Report = no_report,
) -> Outcome:
    """Fit and judge; the first piece whatever it takes, a further one only if it fits the time that is left.

    Args:
        bench: rows.
        algorithm: what to fit.
        params: its hyperparameters; with the parameter of its growth among them it is fitted in one go.
        seed: of the fit.
        watch: the candidate's time.
        report: called with each piece's score and its number; True gives the trial up.
    """
    growth = algorithm.growth
    if growth is None or growth.parameter in params:
        sizes: Sequence[int] = (0,)
        growth = None
    else:
        sizes = growth.sizes(params)
    estimators = [algorithm.build(bench.task, params, seed) for _ in bench.folds]
    outcome, stale, before = Outcome(dict(params)), False, 0
    for step, size in enumerate(sizes):
        if step and not watch.has(outcome.piece_seconds[-1] * _increment(sizes, step)):
            break
        started = watch.spent
        models = []
        for fold, estimator in zip(bench.folds, estimators, strict=True):
            if growth:
                growth.grow(estimator, size, before)
            models.append(fold.fit(estimator))
        answers = _join([answer(m, f.judged_x, bench.task) for m, f in zip(models, bench.folds, strict=True)])
        value = score(bench.metric, bench.truth, answers)
        outcome.piece_seconds.append(watch.spent - started)
        if np.isfinite(value) and (value > outcome.score or not (growth and growth.can_harm)):
            kept = models[-1]
            if growth:
                kept = copy.deepcopy(kept)
                growth.settle(getattr(kept, "estimator", kept) if bench.folds[-1].factors is not None else kept, size)
                outcome.params = {**params, growth.parameter: size}
            outcome.score, outcome.estimator, outcome.answers, stale = value, kept, answers, False
        else:
            stale = True
        if step + 1 < len(sizes) and report(value, step):
            outcome.is_pruned = True
            break
        if stale and step + 1 >= _FIRST_PIECES:
            break
        before = size
    return outcome


def _increment(sizes: Sequence[int], step: int) -> float:
    """Return how much longer a piece takes than the one before it, about."""
    last = sizes[step - 1] - (sizes[step - 2] if step > 1 else 0)
    return (sizes[step] - sizes[step - 1]) / max(last, 1)


def _join(parts: Sequence[Answers]) -> Answers:
    if len(parts) == 1:
        return parts[0]
    known = [name for name, values in vars(parts[0]).items() if values is not None]
    return Answers(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in known})


def _split(
    y: npt.NDArray[Any], task: Task, algorithm: Algorithm, seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return folds of the training rows (inside, outside); none where they are too few."""
    from sklearn.model_selection import KFold, StratifiedKFold

    inside = len(y) * (_FOLDS - 1) // _FOLDS
    if inside < max(algorithm.fewest_rows, 2 * _FOLDS):
        return []
    if task is Task.REGRESSION:
        return list(KFold(_FOLDS, shuffle=True, random_state=seed).split(y))
    rarest = int(np.unique(y, return_counts=True)[1].min())
    if rarest < max(_FOLDS, 2 * algorithm.fewest_of_class):
        return []
    return list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(y, y))


def _thin(
    rows: npt.NDArray[np.int64], y: npt.NDArray[Any], count: int, task: Task, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw some of the rows at random; of each class its share, and at least three where there are so many."""
    if task is not Task.CLASSIFICATION:
        return np.sort(random.choice(rows, count, replace=False))
    chosen = []
    for label in np.unique(y[rows]):
        of_class = rows[y[rows] == label]
        share = max(round(count * len(of_class) / len(rows)), min(len(of_class), 3))
        chosen.append(random.choice(of_class, min(share, len(of_class)), replace=False))
    return np.sort(np.concatenate(chosen))
