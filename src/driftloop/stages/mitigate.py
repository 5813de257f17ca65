"""A decision that treats groups more alike: fairlearn's exponentiated gradient, fitted on the training rows.

For `adjust`. The sensitive column is known while fitting and never asked for afterwards; what serves is a vote of
scikit-learn's own classifiers (`decisionlinks.FairDecision`), without fairlearn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, FairnessSpec
from driftloop.stages.decisionlinks import FairDecision, weigh_votes
from driftloop.stages.records import EQUALIZED_ODDS

MOST_ROWS = 10_000
"""Rows to fit on; the classifier is fitted once an iteration."""
MOST_ITERATIONS = 15
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
    build: Callable[[], Any],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    groups: Sequence[npt.NDArray[np.object_]],
    fairness: FairnessSpec,
    seed: int,
) -> Mitigated | str:
    """Fit voters under the constraint of the loop's fairness metric; or return why that can't be done.

    Args:
        estimator: the fitted last link; its probabilities stay.
        build: makes another one of its kind, not fitted.
        x: training rows, shape (n_rows, n_columns).
        y: their classes as 0 and 1.
        groups: of the same rows, one array for each sensitive column.
        fairness: metric and limit.
        seed: of the choice of rows.
    """
    from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.validation import has_fit_parameter
    from threadpoolctl import threadpool_limits

    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:MOST_ROWS])
    x, labels = x[chosen], y[chosen].astype(np.int64)
    group = _intersections([column[chosen] for column in groups], labels)
    if len(set(group)) < _TWO:
        return f"fewer than two groups have {FEWEST_ROWS} training rows with both classes"
    voter, kind = build(), "its own kind"
    if not hasattr(voter, "get_params") or not has_fit_parameter(voter, "sample_weight"):  # the first: to be copied
        voter, kind = LogisticRegression(max_iter=500), "logistic regression, for its own kind can't be fitted so"
    constraint = EqualizedOdds if fairness.metric == EQUALIZED_ODDS else DemographicParity
    reduction = ExponentiatedGradient(
        voter, constraint(difference_bound=fairness.max / 2), max_iter=MOST_ITERATIONS, eps=fairness.max / 2
    )
    with threadpool_limits(limits=1):
        reduction.fit(x, labels, sensitive_features=group)
    link, difference = _best_vote(estimator, reduction, x, labels, group=group, fairness=fairness)
    told = (
        f"by {len(link.voters)} classifier(s) of {kind}, fitted on {len(y):,} training rows for a {fairness.metric} of "
        f"at most {fairness.max:g} (exponentiated gradient; {difference:.3f} on these rows)"
    )
    return Mitigated(link, told)


def difference_of(
    codes: npt.NDArray[np.int64], y: npt.NDArray[np.int64], group: npt.NDArray[np.object_], metric: str
) -> float:
    """Return the greatest difference between groups in the share of rows answered with 1; by class for the odds."""
    names = sorted(set(group))
    slices = [y == 0, y == 1] if metric == EQUALIZED_ODDS else [np.ones(len(y), dtype=bool)]
    shares = [[codes[rows & (group == name)].mean() for name in names] for rows in slices]
    return float(max(max(of_groups) - min(of_groups) for of_groups in shares))


def _best_vote(
    estimator: Any,
    reduction: Any,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.int64],
    *,
    group: npt.NDArray[np.object_],
    fairness: FairnessSpec,
) -> tuple[FairDecision, float]:
    """Return the most accurate of all votes that keep the limit on the training rows, else the fairest.

    Tried are each classifier by itself, and the weighted vote of all with every threshold that makes a difference.
    """
    weights = np.asarray(reduction.weights_, dtype=np.float64)
    kept = np.flatnonzero(weights > _SMALLEST_WEIGHT)
    jury = [reduction.predictors_.iloc[place] for place in kept]
    shares = weights[kept] / weights[kept].sum()
    votes = weigh_votes(jury, shares, x)
    levels = np.unique(votes.round(9))
    middles = (levels[1:] + levels[:-1]) / 2
    links = [FairDecision(estimator, jury, shares, float(threshold)) for threshold in middles]
    links += [FairDecision(estimator, [voter], np.ones(1), 0.5) for voter in reduction.predictors_]

    def rank(link: FairDecision) -> tuple[float, float]:
        codes = link.decide(votes, x)
        difference = difference_of(codes, y, group, fairness.metric)
        return max(difference - fairness.max, 0.0), -float((codes == y).mean())

    best = min(links, key=rank)
    return best, difference_of(best.decide(votes, x), y, group, fairness.metric)


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
