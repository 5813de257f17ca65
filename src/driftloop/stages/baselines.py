"""Simpler ways to answer, which a model must beat to be worth its trouble; for `evaluate` and `feasibility`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.metrics import Answers, compare, score
from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, Task
from driftloop.stages.judgements import Reference
from driftloop.stages.table import encode_target

MOST_ROWS = 10_000
"""Rows that the references are fitted on: enough for models so simple."""
_FLEXIBLE = ("HistGradientBoosting", "RandomForest", "ExtraTrees")
"""Algorithms that follow any shape by themselves: nothing more flexible is needed to judge them."""


def dummy_answers(train_y: npt.NDArray[Any], schema: DataSchema, metric: str, *, rows: int) -> Answers:
    """Answer every row alike: with the shares of the classes, or the mean (the median where that errs less)."""
    labels = encode_target(train_y, schema)
    if schema.task is Task.REGRESSION:
        middle = np.median(labels) if metric == "neg_mean_absolute_error" else labels.mean()
        return Answers(np.full(rows, float(middle)))
    shares = np.bincount(labels.astype(np.int64), minlength=len(schema.target.classes)) / len(labels)
    return Answers(np.full(rows, float(shares.argmax())), np.tile(shares, (rows, 1)))


def measure_references(
    algorithm: str,
    train: tuple[npt.NDArray[np.float64], npt.NDArray[Any]],
    test: npt.NDArray[np.float64],
    truth: npt.NDArray[np.float64],
    answers: Answers,
    *,
    schema: DataSchema,
    metric: str,
    seed: int,
) -> tuple[Reference, ...]:
    """Return how a dummy, a simple model and, unless the model is one itself, a flexible one do on the test rows.

    Args:
        algorithm: the model's.
        train: training rows as the estimators take them, and their target.
        test: test rows as the estimators take them.
        truth: of the test rows, encoded.
        answers: the model's.
        schema: task and classes.
        metric: the loop's metric.
        seed: of every random choice.
    """
    from threadpoolctl import threadpool_limits

    x, y = _few(*train, seed=seed)
    found = [_compare("dummy", _dummy_name(schema, metric), dummy_answers(train[1], schema, metric, rows=len(truth)))]
    with threadpool_limits(limits=1):
        for name, what, build in _builders(schema.task, algorithm, seed):
            if schema.target.classes and len(np.unique(y)) < len(schema.target.classes):
                continue  # a rare class is not among the few rows
            found.append(_compare(name, what, answer(build().fit(x, y), test, schema.task)))
    return tuple(one(metric, truth, answers, seed) for one in found)


def _compare(
    name: Any, what: str, theirs: Answers
) -> Callable[[str, npt.NDArray[np.float64], Answers, int], Reference]:
    def measure(metric: str, truth: npt.NDArray[np.float64], ours: Answers, seed: int) -> Reference:
        interval = compare(metric, truth, ours, theirs, seed=seed)
        return Reference(name=name, what=what, score=score(metric, truth, theirs), **vars(interval))

    return measure


def _builders(task: Task, algorithm: str, seed: int) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def simple() -> Any:  # scaled, whatever the preparation does: it converges faster
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200) if is_classifier else Ridge())

    def flexible() -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        boosting = HistGradientBoostingClassifier if is_classifier else HistGradientBoostingRegressor
        return boosting(max_iter=50, early_stopping=False, random_state=seed)

    is_classifier = task is Task.CLASSIFICATION
    yield "simple", "a logistic regression" if is_classifier else "a ridge regression", simple
    if algorithm not in _FLEXIBLE:
        yield "flexible", "gradient boosting as it comes", flexible


def _few(
    x: npt.NDArray[np.float64], y: npt.NDArray[Any], *, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    if len(y) <= MOST_ROWS:
        return x, y
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:MOST_ROWS])
    return x[chosen], y[chosen]


def _dummy_name(schema: DataSchema, metric: str) -> str:
    if schema.task is Task.CLASSIFICATION:
        return "a dummy that answers with the shares of the classes"
    return f"a dummy that answers with the {'median' if metric == 'neg_mean_absolute_error' else 'mean'}"
