"""What the tasks differ in: how a fitted model is asked, and what of the loop its fit depends on. Stages ask here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.algorithm import Algorithm
from driftloop.algorithms.anomaly import CONTAMINATION
from driftloop.algorithms.clustering import COUNTS, METRIC
from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.offpolicy import Logged, Numbers, cross_fitted
from driftloop.algorithms.policies import ACTIONS, EXPLORATION
from driftloop.spec import DataSchema, Task
from driftloop.spec.training import TrainingSpec


def set_up(algorithm: Algorithm, training: TrainingSpec, metric: str, schema: DataSchema | None = None) -> Algorithm:
    """Return an algorithm whose fits know what loop and rows say of them and no trial tunes.

    Args:
        algorithm: entry of the catalogue.
        training: what the loop says.
        metric: the loop's.
        schema: of the rows; only decisions need it.
    """
    settings: dict[str, Any] = {}
    if Task.CLUSTERING in algorithm.tasks:
        settings = {COUNTS: (training.clusters.min, training.clusters.max), METRIC: metric}
    if Task.ANOMALY_DETECTION in algorithm.tasks:
        settings = {CONTAMINATION: training.contamination}
    if Task.DECISION in algorithm.tasks and schema:
        settings = {ACTIONS: len(schema.target.classes), EXPLORATION: training.exploration}
    build = algorithm.build
    return replace(algorithm, build=lambda task, params, seed: build(task, {**settings, **params}, seed))


def answer(model: Any, rows: Any, task: Task) -> Answers:
    """Ask a fitted estimator about rows of the matrix, or a whole chain about rows of the model's frame."""
    return _ANSWERERS[task](model, rows)


def answer_fitted_on(model: Any, x: Numbers, y: Any, task: Task) -> Answers:
    """Ask a fitted estimator about the very rows it was fitted on.

    The rewards expected of them come from models that have not seen them; else the doubly robust value is too sure.
    """
    answers = answer(model, x, task)
    if task is not Task.DECISION or answers.probabilities is None:
        return answers
    return replace(answers, expected=cross_fitted(x, Logged.of(y), answers.probabilities.shape[1]))


def _numbers(model: Any, rows: Any) -> Answers:
    return Answers(np.asarray(model.predict(rows), dtype=np.float64))


def _classes(model: Any, rows: Any) -> Answers:
    codes, probabilities = decide(model, rows)
    return Answers(codes.astype(np.float64), probabilities)


def decide(model: Any, rows: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Ask a fitted classifier or chain once; return the index of the class decided for, and the probabilities.

    That is the most probable class, unless the last link has a rule of its own (`stages.decisionlinks`).
    """
    last = model[-1] if hasattr(model, "steps") else model
    if not hasattr(last, "decide"):
        probabilities = np.asarray(model.predict_proba(rows))
        return probabilities.argmax(axis=1), probabilities
    _, matrix = last_link(model, rows)
    probabilities = last.predict_proba(matrix)
    return last.decide(probabilities, matrix), probabilities


def _clusters(model: Any, rows: Any) -> Answers:
    estimator, space = last_link(model, rows)
    probabilities = estimator.predict_proba(space) if hasattr(estimator, "predict_proba") else None
    predictions = estimator.predict(space).astype(np.float64)
    return Answers(predictions, probabilities, space=space, halves=estimator.halves(space))


def _anomalies(model: Any, rows: Any) -> Answers:
    estimator, matrix = last_link(model, rows)
    codes, probabilities = decide(estimator, matrix)
    return Answers(codes.astype(np.float64), probabilities, halves=estimator.halves(matrix))


def _decisions(model: Any, rows: Any) -> Answers:
    policy, contexts = last_link(model, rows)
    probabilities = policy.predict_proba(contexts)
    return Answers(
        probabilities.argmax(axis=1).astype(np.float64), probabilities, expected=policy.expect_rewards(contexts)
    )


def last_link(model: Any, rows: Any) -> tuple[Any, Any]:
    """Return the estimator, and the matrix it takes for these rows."""
    if not hasattr(model, "steps"):
        return model, np.asarray(rows, dtype=np.float64)
    return model[-1], np.asarray(model[:-1].transform(rows), dtype=np.float64)


_ANSWERERS: dict[Task, Callable[[Any, Any], Answers]] = {
    Task.CLASSIFICATION: _classes,
    Task.REGRESSION: _numbers,
    Task.CLUSTERING: _clusters,
    Task.ANOMALY_DETECTION: _anomalies,
    Task.DECISION: _decisions,
}
