"""Ninth stage, once per algorithm: tunes and fits one candidate within its share of the budget.

Fits on the training rows, tunes on the validation rows, never sees the test rows. Puts out the whole chain. One trial
is `stages.trial`; how much may be spent and what is tried first is said by `stages.plan`.
"""

import hashlib
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np

from driftloop.algorithms import Algorithm
from driftloop.algorithms.metrics import Answers, score
from driftloop.algorithms.tasks import answer_fitted_on
from driftloop.errors import DriftloopError, InvalidInputError
from driftloop.spec import DataSchema, Task, TrainingSpec
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import CandidateRecord, Plan, PlannedCandidate, SamplingRecord, TrialRecord
from driftloop.stages.resample import Sampling
from driftloop.stages.table import encode_target
from driftloop.stages.trial import Bench, Outcome, Report, Stopwatch, lay_out, no_report, run_trial

_RANDOM_TRIALS = 5
"""Trials at random before the sampler trusts what it has seen; also those that no trial is given up before."""
_PARAMS, _KNOWN = "params", "known"
"""Attributes of an Optuna trial: what it ended with; that an earlier run made it."""
_KEPT_TRIALS = 20
"""Trials that travel to the next run."""


class NoScoreError(DriftloopError):
    """The metric is undefined for everything that was tried."""

    def __init__(self, algorithm: str, metric: str) -> None:
        super().__init__(
            f"The metric '{metric}' must be defined on the validation rows. It is not for {algorithm}. "
            "Choose another 'problem.metric.name', or collect more rows."
        )


class TooFewRowsError(InvalidInputError):
    """An algorithm was named that can't be fitted on so few rows."""

    def __init__(self, algorithm: str, what: str, needed: int, found: int) -> None:
        super().__init__(
            f"The algorithm {algorithm} needs at least {needed} {what}. Got {found}. "
            "Collect more rows, or take it out of 'training.algorithms'."
        )


class StudyUnreachableError(InvalidInputError):
    """The database of shared trials does not answer."""

    def __init__(self, uri: str, reason: Exception) -> None:
        kind, _, place = uri.partition("://")
        shown = f"{kind}://{place.rpartition('@')[2]}"  # what stands before may be a password
        why = str(reason).strip().partition("\n")[0]
        super().__init__(
            f"The 'training.study.uri' must be a database that answers, as SQLAlchemy names one. Got '{shown}': {why}. "
            "Start it, correct the address, or remove 'training.study': candidates then keep their own trials."
        )


@dataclass(frozen=True)
class Budget:
    """What one candidate may spend."""

    trials: int
    duration: timedelta

    @classmethod
    def of(cls, planned: PlannedCandidate) -> Self:
        """Return what is planned for a candidate."""
        return cls(planned.trials, timedelta(seconds=planned.seconds))


@dataclass(frozen=True)
class Start:
    """Where a search begins."""

    first: Sequence[dict[str, Any]] = ()
    """Hyperparameters to try before any other; empty: the algorithm's defaults."""
    known: Sequence[TrialRecord] = ()
    """Trials of an earlier run to learn from."""
    is_wide: bool = False
    """Whether the space is widened."""
    is_refit: bool = False
    """Whether `first` is fitted as it is, in one go, and nothing is tuned."""

    @classmethod
    def of(cls, planned: PlannedCandidate, plan: Plan) -> Self:
        """Return where a planned candidate begins."""
        return cls(planned.first, planned.known, plan.effort == "Widen", planned.is_refit)


@dataclass(frozen=True)
class Study:
    """A database that trials are shared in."""

    uri: str
    name: str


@dataclass(frozen=True)
class Candidate:
    """The best estimator that one algorithm gave."""

    estimator: Any
    record: CandidateRecord
    answers: Answers
    """To the rows that trials were judged on."""
    truth: Any = field(repr=False)
    """Of those rows, shape (n_rows,)."""
    made: tuple[TrialRecord, ...] = ()
    """Its trials, in order."""


def fit_candidate(
    matrices: Matrices,
    sampling: Sampling,
    sampled: SamplingRecord,
    schema: DataSchema,
    *,
    algorithm: Algorithm,
    metric: str,
    budget: Budget,
    seed: int,
    start: Start = Start(),
    study: Study | None = None,
) -> Candidate:
    """Tune with Optuna's TPE, the algorithm's defaults or the champion's best first, and return the best of all trials.

    Trials that fall behind the median half-way are given up. Trials and pieces of trials that would end after the
    budget are not begun; the first trial always is.

    Args:
        matrices: rows to fit on, rows to tune on.
        sampling: how the rows to fit on are drawn and weighted; probabilities are corrected for it.
        sampled: what `resample` said of it.
        schema: what the columns are.
        algorithm: what to fit.
        metric: what to tune for.
        budget: what may be spent.
        seed: of every random choice.
        start: what to try first.
        study: where trials are shared with other processes; None: nowhere.

    Raises:
        TooFewRowsError: the algorithm can't be fitted on these rows.
        NoScoreError: the metric is undefined in every trial.
    """
    from threadpoolctl import threadpool_limits

    _check(algorithm, matrices, schema.task)
    algorithm.build(schema.task, algorithm.defaults, seed)  # its imports are no fitting
    search = _Search(algorithm, budget, seed, start, study)
    watch = Stopwatch(budget.duration.total_seconds())
    bench = lay_out(
        matrices,
        sampling,
        schema,
        algorithm=algorithm,
        metric=metric,
        seconds=budget.duration.total_seconds(),
        seed=seed,
    )
    with closing(search), threadpool_limits(limits=1), warnings.catch_warnings():
        # Iterations are bounded on purpose; how good a fit is, the validation rows tell.
        warnings.filterwarnings(
            "ignore", message=".*(failed to converge|hasn't converged|did not converge|max_iter was)"
        )
        warnings.filterwarnings("ignore", message=".*Solver terminated early")
        best = search.run(bench, watch)
        if best.answers is None:
            raise NoScoreError(algorithm.name, metric)
        on_train = answer_fitted_on(best.estimator, matrices.train_x, matrices.train_y, schema.task)
    record = CandidateRecord(
        algorithm=algorithm.name,
        score=best.score,
        train_score=score(metric, encode_target(matrices.train_y, schema), on_train),
        params=best.params,
        trials=len(search.made),
        pruned=sum(trial.is_pruned for trial in search.made),
        rows=bench.rows,
        judged_by=bench.judged_by,
        history=tuple(sorted(search.made, key=lambda trial: -trial.score)[:_KEPT_TRIALS]),
        fit_seconds=watch.spent,
        sampling=f"{sampled.method}: {sampled.reason}",
    )
    return Candidate(best.estimator, record, best.answers, bench.truth, tuple(search.made))


class _Search:
    """The trials of one candidate."""

    def __init__(self, algorithm: Algorithm, budget: Budget, seed: int, start: Start, study: Study | None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._algorithm, self._budget, self._seed, self._start = algorithm, budget, seed, start
        self._is_shared = study is not None
        self._storage = _connect(study.uri) if study else None
        self._study = optuna.create_study(
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_RANDOM_TRIALS, n_warmup_steps=1),
            storage=self._storage,
            study_name=study.name if study else None,
            load_if_exists=self._is_shared,
        )
        self.made: list[TrialRecord] = []
        if not start.is_refit and not self._study.trials:
            self._prepare()

    def run(self, bench: Bench, watch: Stopwatch) -> Outcome:
        """Make trials until trials or time are spent; return the best, also of those that others made."""
        best, slowest = Outcome({}), 0.0
        if self._start.is_refit:
            return self._make(bench, watch, dict(self._start.first[0]))
        states = self._optuna.trial.TrialState
        while self._must_begin() or (self._is_wanted() and watch.has(slowest)):
            # Reseeded by number, so that processes that share a study try different things, whoever comes when.
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=self._seed + len(self._study.trials), n_startup_trials=_RANDOM_TRIALS
            )
            trial = self._study.ask()
            params = self._algorithm.suggest(trial, is_wide=self._start.is_wide)

            def gives_up(value: float, step: int, trial: Any = trial) -> bool:
                trial.report(value, step)
                return bool(trial.should_prune())

            outcome = self._make(bench, watch, params, gives_up)
            slowest = max(slowest, outcome.piece_seconds[0])
            trial.set_user_attr(_PARAMS, outcome.params)
            if outcome.answers is None:
                self._study.tell(trial, state=states.FAIL)
            elif outcome.is_pruned:
                self._study.tell(trial, state=states.PRUNED)
            else:
                self._study.tell(trial, outcome.score)
            if outcome.score > best.score:
                best = outcome
        return self._take_over(bench, watch, best) if self._is_shared else best

    def close(self) -> None:
        """Leave the database of a shared study."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()

    def _prepare(self) -> None:
        """Put first what shall be tried first, and what is known."""
        algorithm, is_wide = self._algorithm, self._start.is_wide
        for params in self._start.first or [dict(algorithm.defaults)]:
            self._study.enqueue_trial(algorithm.within(params, is_wide=is_wide))
        for known in self._start.known:
            self._study.add_trial(
                self._optuna.trial.create_trial(
                    params=algorithm.within(known.params, is_wide=is_wide),
                    distributions=algorithm.distributions(is_wide=is_wide),
                    value=known.score,
                    user_attrs={_KNOWN: True},
                )
            )

    def _must_begin(self) -> bool:
        """Whether nothing was tried yet, by this process or those that share its study."""
        return not self.made and not (self._is_shared and self._found())

    def _found(self) -> list[Any]:
        """Return the finished trials of the study."""
        return [t for t in self._study.trials if t.state.name == "COMPLETE" and _PARAMS in t.user_attrs]

    def _is_wanted(self) -> bool:
        """Whether fewer trials were begun than may be, by this process and those that share its study."""
        return sum(_KNOWN not in trial.user_attrs for trial in self._study.trials) < self._budget.trials

    def _make(self, bench: Bench, watch: Stopwatch, params: dict[str, Any], report: Report = no_report) -> Outcome:
        outcome = run_trial(bench, self._algorithm, params, seed=self._seed, watch=watch, report=report)
        if outcome.answers is not None:
            self.made.append(
                TrialRecord(
                    algorithm=self._algorithm.name,
                    params=outcome.params,
                    score=outcome.score,
                    is_pruned=outcome.is_pruned,
                )
            )
        return outcome

    def _take_over(self, bench: Bench, watch: Stopwatch, best: Outcome) -> Outcome:
        """Fit what another process found best, if it is better: a fit depends on hyperparameters and seed alone."""
        found = max(self._found(), key=lambda trial: trial.value, default=None)
        if found is None or found.value <= best.score:
            return best
        return self._make(bench, watch, found.user_attrs[_PARAMS])


def _connect(uri: str) -> Any:
    """Return the database of a shared study.

    Raises:
        StudyUnreachableError: it does not answer.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return optuna.storages.RDBStorage(uri)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError) as error:
        raise StudyUnreachableError(uri, error) from error


def shared_study(spec: TrainingSpec, loop: str, planned: PlannedCandidate, metric: str, matrices: Path) -> Study | None:
    """Return the study that `training.study` wants: one for each loop, algorithm, metric and content of the rows.

    Scores on other rows can't be compared, so that their trials are in another study. A refit shares nothing.
    """
    if spec.study is None or planned.is_refit:
        return None
    with matrices.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    return Study(spec.study.uri, f"driftloop/{loop}/{planned.algorithm}/{metric}/{content}")


def build_chain(cleaner: Any, transformer: Any, estimator: Any) -> Any:
    """Join fitted parts to the one model that takes the model's frame."""
    from sklearn.pipeline import Pipeline

    return Pipeline([("clean", cleaner), ("transform", transformer), ("estimator", estimator)])


def _check(algorithm: Algorithm, matrices: Matrices, task: Task) -> None:
    rows = len(matrices.train_y)
    if rows < algorithm.fewest_rows:
        raise TooFewRowsError(algorithm.name, "training rows", algorithm.fewest_rows, rows)
    if task is Task.CLASSIFICATION:
        rarest = int(np.unique(matrices.train_y, return_counts=True)[1].min())
        if rarest < algorithm.fewest_of_class:
            raise TooFewRowsError(algorithm.name, "training rows of each class", algorithm.fewest_of_class, rarest)
