"""A blend: the weighted mean of two or three candidates' answers, chosen by the stage `select`.

NumPy only, so that a chain can hold it and a stage can choose one without scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.algorithm import Algorithm, Params
from driftloop.algorithms.metrics import Answers, compare, score
from driftloop.spec import Task
from driftloop.spec.problem import SUPERVISED

NAME = "Blend"
MOST_PARTS = 3
"""More would cost more to answer than they bring."""
_STEPS = 12
_INTERVAL_ERRORS = 2 * 1.96
"""Width of a 95 % interval in standard errors."""


class Blend:
    """Estimators whose answers are averaged; the last link of a chain."""

    def __init__(self, estimators: Sequence[Any], weights: Sequence[float]) -> None:
        """Keep the parts and the weight of each; weights add up to 1."""
        self.estimators = estimators
        self.weights = weights

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        return self.estimators[0].__sklearn_tags__()

    def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[Any], sample_weight: Any = None) -> Self:
        """Fit every part; those that take no weights do without."""
        from sklearn.utils.validation import has_fit_parameter

        for estimator in self.estimators:
            takes = sample_weight is not None and has_fit_parameter(estimator, "sample_weight")
            estimator.fit(x, y, **({"sample_weight": sample_weight} if takes else {}))
        return self

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes, in the order of the probabilities."""
        classes: npt.NDArray[Any] = self.estimators[0].classes_
        return classes

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return mean probabilities, shape (n_rows, n_classes)."""
        return _mean([estimator.predict_proba(rows) for estimator in self.estimators], self.weights)

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the most probable classes, or mean numbers, shape (n_rows,)."""
        if hasattr(self.estimators[0], "predict_proba"):
            predicted: npt.NDArray[Any] = self.classes_[self.predict_proba(rows).argmax(axis=1)]
            return predicted
        return _mean([estimator.predict(rows) for estimator in self.estimators], self.weights)


@dataclass(frozen=True)
class Mixture:
    """Which candidates are blended, and what that brings."""

    parts: tuple[int, ...]
    """Indices of candidates."""
    weights: tuple[float, ...]
    score: float
    gain: float
    """Over the best candidate alone."""


def find_mixture(
    metric: str, truth: npt.NDArray[np.float64], answers: Sequence[Answers], *, seed: int
) -> Mixture | None:
    """Return the mixture that greedy selection with replacement finds (Caruana et al. 2004); None where none pays.

    One pays if it is better than the best candidate by more than the standard error of the difference.

    Args:
        metric: greater is better.
        truth: of the rows that candidates were judged on.
        answers: of each candidate to the same rows.
        seed: of the bootstrap.
    """
    alone = [score(metric, truth, answer) for answer in answers]
    best = int(np.nanargmax(alone))
    taken, found, reached = [best], [best], alone[best]
    for _ in range(_STEPS):
        open_ = [i for i in range(len(answers)) if i in taken or len(set(taken)) < MOST_PARTS]
        values = [score(metric, truth, _mix(answers, [*taken, i])) for i in open_]
        taken = [*taken, open_[int(np.nanargmax(values))]]
        if np.nanmax(values) > reached:
            found, reached = taken, float(np.nanmax(values))
    parts = tuple(sorted(set(found)))
    if len(parts) == 1:
        return None
    interval = compare(metric, truth, _mix(answers, found), answers[best], seed=seed)
    if interval.difference <= (interval.upper - interval.lower) / _INTERVAL_ERRORS:
        return None
    weights = tuple(found.count(part) / len(found) for part in parts)
    return Mixture(parts, weights, reached, reached - alone[best])


def _mix(answers: Sequence[Answers], taken: Sequence[int]) -> Answers:
    share = [1 / len(taken)] * len(taken)
    if answers[0].probabilities is None:
        return Answers(_mean([answers[i].predictions for i in taken], share))
    probabilities = _mean([answers[i].probabilities for i in taken], share)
    return Answers(probabilities.argmax(axis=1).astype(np.float64), probabilities)


def _mean(values: Sequence[Any], weights: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(sum(weight * np.asarray(value) for weight, value in zip(weights, values, strict=True)))


def _build(task: Task, params: Params, seed: int) -> Blend:
    from driftloop.algorithms.catalogue import get_algorithm

    parts = params["parts"]
    estimators = [get_algorithm(part["algorithm"]).build(task, part["params"], seed) for part in parts]
    return Blend(estimators, [part["weight"] for part in parts])


BLEND = Algorithm(
    name=NAME,
    tasks=frozenset(SUPERVISED),
    reason="Weighted mean of two or three candidates that err on different rows; made by `select`, never named.",
    defaults={"parts": ()},
    space={},
    build=_build,
    seconds=lambda _: 0.0,
)
