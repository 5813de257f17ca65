"""Eighth stage, once per algorithm: tunes and fits one candidate within its share of the budget.

Fits on the training rows, tunes on the validation rows, never sees the test rows. Puts out the whole chain.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from driftloop.algorithms import Algorithm
from driftloop.algorithms.metrics import score
from driftloop.algorithms.tasks import answer, answer_fitted_on
from driftloop.errors import DriftloopError
from driftloop.spec import DataSchema
from driftloop.stages.matrices import Matrices
from driftloop.stages.records import CandidateRecord, SamplingRecord
from driftloop.stages.resample import PriorCorrection, Sampling
from driftloop.stages.table import encode_target


class NoScoreError(DriftloopError):
    """The metric is undefined for everything that was tried."""

    def __init__(self, algorithm: str, metric: str) -> None:
        super().__init__(
            f"The metric '{metric}' must be defined on the validation rows. It is not for {algorithm}. "
            "Choose another 'problem.metric.name', or collect more rows."
        )


@dataclass(frozen=True)
class Budget:
    """What one candidate may spend."""

    trials: int
    duration: timedelta


@dataclass(frozen=True)
class Candidate:
    """The best estimator that one algorithm gave."""

    estimator: Any
    record: CandidateRecord


def share_budget(algorithms: Sequence[str], algorithm: str, *, trials: int, duration: timedelta) -> Budget:
    """Return one algorithm's part of the loop's budget: equal parts, at least one trial."""
    share, remainder = divmod(trials, len(algorithms))
    extra = 1 if algorithms.index(algorithm) < remainder else 0
    return Budget(trials=max(share + extra, 1), duration=duration / len(algorithms))


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
) -> Candidate:
    """Tune with Optuna's TPE, the algorithm's defaults first, and return the best of all trials.

    A trial that has begun is finished, so that the time may be exceeded by one fit.

    Args:
        matrices: rows to fit on, rows to tune on.
        sampling: how the rows to fit on are drawn and weighted; probabilities are corrected for it.
        sampled: what `resample` said of it.
        schema: what the columns are.
        algorithm: what to fit.
        metric: what to tune for.
        budget: what may be spent.
        seed: of every random choice.

    Raises:
        NoScoreError: the metric is undefined in every trial.
    """
    import optuna
    from threadpoolctl import threadpool_limits

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    truth = encode_target(matrices.validation_y, schema)
    x, y = sampling.take(matrices.train_x), sampling.take(matrices.train_y)
    weights = {} if sampling.weights is None else {"sample_weight": sampling.weights}
    factors = sampling.prior_factors(matrices.train_y)
    best: dict[str, Any] = {"score": -np.inf}

    def run(trial: Any) -> float:
        params = dict(algorithm.suggest(trial))
        estimator = algorithm.build(schema.task, params, seed)
        estimator.fit(x, y, **weights)
        if factors is not None:
            estimator = PriorCorrection(estimator, factors)
        value = score(metric, truth, answer(estimator, matrices.validation_x, schema.task))
        if value > best["score"]:
            best.update(score=value, estimator=estimator, params=params)
        return value

    algorithm.build(schema.task, algorithm.defaults, seed)  # its imports are no fitting
    started = time.monotonic()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(algorithm.defaults))
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Iterations are bounded on purpose; how good a fit is, the validation rows tell.
        warnings.filterwarnings("ignore", message=".*(failed to converge|hasn't converged)")
        study.optimize(run, n_trials=budget.trials, timeout=budget.duration.total_seconds())
        if "estimator" not in best:
            raise NoScoreError(algorithm.name, metric)
        on_train = answer_fitted_on(best["estimator"], matrices.train_x, matrices.train_y, schema.task)
    record = CandidateRecord(
        algorithm=algorithm.name,
        score=best["score"],
        train_score=score(metric, encode_target(matrices.train_y, schema), on_train),
        params=best["params"],
        trials=len(study.trials),
        fit_seconds=time.monotonic() - started,
        sampling=f"{sampled.method}: {sampled.reason}",
    )
    return Candidate(best["estimator"], record)


def build_chain(cleaner: Any, transformer: Any, estimator: Any) -> Any:
    """Join fitted parts to the one model that takes the model's frame."""
    from sklearn.pipeline import Pipeline

    return Pipeline([("clean", cleaner), ("transform", transformer), ("estimator", estimator)])
