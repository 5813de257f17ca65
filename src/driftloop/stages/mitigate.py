"""A decision that treats groups more alike: fairlearn's exponentiated gradient, fitted on the training rows.

For `adjust`. The sensitive column is known while fitting and never asked for afterwards; what serves are the numbers of
linear rules (`decisionlinks.FairDecision`), without fairlearn.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, FairnessSpec
from driftloop.stages.decisionlinks import FairDecision, log_odds
from driftloop.stages.records import EQUALIZED_ODDS

MOST_ROWS = 10_000
"""Rows to fit on; rules are fitted about ten times an iteration."""
MOST_ITERATIONS = 12
FOLDS = 3
AIM = 0.8
"""Share of the limit that is aimed at on the training rows: test rows are a little further apart."""
FEWEST_ROWS = 30
"""Smaller groups are put together; they can't be compared either."""
_SMALLEST_WEIGHT = 1e-4
_TWO = 2
OTHERS = "(others)"


class TooManyClassesError(InvalidInputError):
    """Mitigation was asked for more than two classes."""

    def __init__(self, classes: int) -> None:
        super().__init__(
            "The 'acceptance.fairness.mitigation' must be None for a target of more than two classes. "
            f"Got {classes} classes. Set it to None, or predict one class against the others."
        )


@dataclass(frozen=True)
class Mitigated:
    """The new last link, and what was done, as a plain sentence without its full stop."""

    link: FairDecision
    told: str


def check_mitigation(fairness: FairnessSpec | None, schema: DataSchema) -> None:
    """Refuse what can't be mitigated, before anything is fitted.

    Raises:
        TooManyClassesError: the target has more than two classes.
    """
    if fairness and fairness.mitigation != "None" and len(schema.target.classes) != _TWO:
        raise TooManyClassesError(len(schema.target.classes))


def mitigate(
    estimator: Any,
    fit: Callable[[npt.NDArray[np.float64], npt.NDArray[Any]], Any],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    *,
    groups: Sequence[npt.NDArray[np.object_]],
    fairness: FairnessSpec,
    seed: int,
) -> Mitigated | str:
    """Fit linear rules under the constraint of the loop's fairness metric; or return why that can't be done.

    The rules learn from log-odds of rows that their model was not fitted on, as those of live rows will be.

    Args:
        estimator: the fitted last link; its probabilities stay.
        fit: fits another one of its kind.
        x: training rows, shape (n_rows, n_columns).
        y: their two classes, shape (n_rows,).
        groups: of the same rows, one array for each sensitive column.
        fairness: metric and limit.
        seed: of the choice of rows and of the folds.
    """
    from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:MOST_ROWS])
    x, y = x[chosen], y[chosen]
    labels = (y == estimator.classes_[1]).astype(np.int64)
    group = _intersections([column[chosen] for column in groups], labels)
    if len(set(group)) < _TWO:
        return f"fewer than two groups have {FEWEST_ROWS} training rows with both classes"
    constraint = EqualizedOdds if fairness.metric == EQUALIZED_ODDS else DemographicParity
    with threadpool_limits(limits=1):
        inputs = np.column_stack([log_odds(_held_out(fit, x, y, seed)), x])
        middle, spread = inputs.mean(axis=0), inputs.std(axis=0)
        spread[spread == 0] = 1.0
        scaled = (inputs - middle) / spread
        reduction = ExponentiatedGradient(
            LogisticRegression(max_iter=200),
            constraint(difference_bound=fairness.max / 2),
            max_iter=MOST_ITERATIONS,
            eps=fairness.max / 2,
        )
        reduction.fit(scaled, labels, sensitive_features=group)
    rules = [_rule(predictor, middle, spread) for predictor in reduction.predictors_]
    coefficients, starts = np.array([rule[0] for rule in rules]), np.array([rule[1] for rule in rules])
    shares = np.asarray(reduction.weights_, dtype=np.float64)
    candidates = _candidates(estimator, coefficients, starts, shares / shares.sum(), inputs)

    def rank(one: tuple[FairDecision, npt.NDArray[np.int64]]) -> tuple[float, float]:
        difference = difference_of(one[1], labels, group, fairness.metric)
        return max(difference - AIM * fairness.max, 0.0), -float((one[1] == labels).mean())

    link, codes = min(candidates, key=rank)
    difference = difference_of(codes, labels, group, fairness.metric)
    told = (
        f"by {'a linear rule' if len(link.weights) == 1 else f'{len(link.weights)} linear rules'} on the model's log-odds and the columns, fitted on {len(y):,} training "
        f"rows for a {fairness.metric} of at most {fairness.max:g} (exponentiated gradient; {difference:.3f} on these "
        "rows)"
    )
    return Mitigated(link, told)


def _held_out(
    fit: Callable[[npt.NDArray[np.float64], npt.NDArray[Any]], Any],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    seed: int,
) -> npt.NDArray[np.float64]:
    """Return the probability of the second class of each row by a model that was fitted on other rows."""
    from sklearn.model_selection import StratifiedKFold

    found = np.zeros(len(y))
    for fitted, judged in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y):
        found[judged] = fit(x[fitted], y[fitted]).predict_proba(x[judged])[:, 1]
    return found


def _rule(
    predictor: Any, middle: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """Return coefficients and intercept on the inputs as they are; fairlearn's constant answers have none."""
    if not hasattr(predictor, "coef_"):
        return np.zeros(len(middle)), 1.0 if predictor.predict(np.zeros((1, len(middle))))[0] else -1.0
    coefficients = predictor.coef_[0] / spread
    return coefficients, float(predictor.intercept_[0] - coefficients @ middle)


def _candidates(
    estimator: Any,
    coefficients: npt.NDArray[np.float64],
    starts: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    inputs: npt.NDArray[np.float64],
) -> Iterator[tuple[FairDecision, npt.NDArray[np.int64]]]:
    """Yield each rule by itself and the weighted vote with every threshold that matters, with what they decide."""
    says_yes = inputs @ coefficients.T + starts > 0
    for place in range(len(starts)):
        one = slice(place, place + 1)
        yield FairDecision(estimator, coefficients[one], starts[one], np.ones(1), 0.5), says_yes[:, place].astype(int)
    kept = np.flatnonzero(shares > _SMALLEST_WEIGHT)
    weights = shares[kept] / shares[kept].sum()
    votes = says_yes[:, kept] @ weights
    levels = np.unique(votes.round(9))
    for threshold in (levels[1:] + levels[:-1]) / 2:
        link = FairDecision(estimator, coefficients[kept], starts[kept], weights, float(threshold))
        yield link, (votes >= threshold).astype(int)


def difference_of(
    codes: npt.NDArray[np.int64], y: npt.NDArray[np.int64], group: npt.NDArray[np.object_], metric: str
) -> float:
    """Return the greatest difference between groups in the share of rows answered with 1; by class for the odds."""
    names = sorted(set(group))
    slices = [y == 0, y == 1] if metric == EQUALIZED_ODDS else [np.ones(len(y), dtype=bool)]
    shares = [[codes[rows & (group == name)].mean() for name in names] for rows in slices]
    return float(max(max(of_groups) - min(of_groups) for of_groups in shares))


def _intersections(columns: Sequence[npt.NDArray[np.object_]], y: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Return one group a row: that of all columns together, or of the others where too few rows are like it."""
    names = np.array([" / ".join(map(str, row)) for row in zip(*columns, strict=True)], dtype=object)

    def is_small(rows: npt.NDArray[np.bool_]) -> bool:
        return int(rows.sum()) < FEWEST_ROWS or len(np.unique(y[rows])) < _TWO

    for name in sorted(set(names)):
        if is_small(names == name):
            names[names == name] = OTHERS
    rest = names == OTHERS
    if rest.any() and is_small(rest):  # too few even together: with the largest group, where they change least
        labels, counts = np.unique(names[~rest], return_counts=True)
        names[rest] = labels[counts.argmax()] if len(labels) else OTHERS
    return names
