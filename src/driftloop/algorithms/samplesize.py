"""How many rows a model needs to be useful, and how many test rows to tell its score, or two models apart.

Rules of thumb and large-sample approximations, each with its source; made for planning, before there are data. Nothing
here looks at rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

_Z95 = 1.959963984540054
SHRINKAGE = 0.9
"""Overfitting that is put up with: predictions a tenth too extreme."""
MARGIN = 0.05
"""Margin of error of the overall rate, and of the apparent explained variance."""
UNKNOWN_SHARE_OF_R2 = 0.15
"""Share of the largest possible R² that a model is assumed to reach where nothing is known (Riley et al. 2020)."""
FLEXIBLE_ROWS_PER_PARAMETER = 200
"""Rows of the rarer class per parameter until forests are stable (van der Ploeg, Austin, Steyerberg 2014)."""
_MOST_PARAMETERS_OF_MAPE = 30
_MOST_ROWS = 10**9
_ROWS_PER_COLUMN_OF_CLUSTERS = 70


@dataclass(frozen=True)
class Requirement:
    """So many rows for one purpose."""

    purpose: str
    rows: int


def rows_to_learn_classes(parameters: int, rate: float) -> list[Requirement]:
    """Return the rows that a linear model of one class against the rest needs.

    Source: Riley et al., "Calculating the sample size required for developing a clinical prediction model", BMJ 2020,
    steps 1 to 4; step 2 by van Smeden et al., "Sample size for binary logistic prediction models", 2019.

    Args:
        parameters: columns of the prepared matrix.
        rate: share of rows of the class, 0 to 1.

    >>> [requirement.rows for requirement in rows_to_learn_classes(30, 0.05)]
    [73, 544, 5342, 1771]
    """
    largest_r2 = 1 - (rate**rate * (1 - rate) ** (1 - rate)) ** 2
    r2 = UNKNOWN_SHARE_OF_R2 * largest_r2
    optimism = r2 / (r2 + MARGIN * largest_r2)
    counted = min(parameters, _MOST_PARAMETERS_OF_MAPE)
    log_mape = (-0.508 + 0.259 * math.log(rate) + 0.504 * math.log(counted) - math.log(MARGIN)) / 0.544
    return [
        Requirement("the overall rate to within 0.05", math.ceil((_Z95 / MARGIN) ** 2 * rate * (1 - rate))),
        Requirement("probabilities wrong by 0.05 on average", math.ceil(math.exp(log_mape))),
        Requirement("little overfitting (shrinkage 0.9)", _rows_for_shrinkage(parameters, r2, SHRINKAGE)),
        Requirement("explained variance overstated by at most 0.05", _rows_for_shrinkage(parameters, r2, optimism)),
    ]


def rows_to_learn_numbers(parameters: int, r2: float) -> list[Requirement]:
    """Return the rows that a linear model of a number needs.

    Source: Riley et al., "Minimum sample size for developing a multivariable prediction model: Part I - Continuous
    outcomes", Statistics in Medicine 2019: small overfitting, small optimism, a precise residual deviation.

    Args:
        parameters: columns of the prepared matrix.
        r2: explained variance that is expected, 0 to 1.

    >>> [requirement.rows for requirement in rows_to_learn_numbers(25, 0.2)]
    [918, 401, 259]
    """

    def shrinkage(rows: int) -> float:
        apparent = (r2 * (rows - parameters - 1) + parameters) / (rows - 1)
        return 1 + (parameters - 2) / (rows * math.log(1 - apparent))

    return [
        Requirement(
            "little overfitting (shrinkage 0.9)", fewest(lambda rows: shrinkage(rows) >= SHRINKAGE, parameters + 2)
        ),
        Requirement("explained variance overstated by at most 0.05", math.ceil(1 + parameters * (1 - r2) / MARGIN)),
        Requirement("a precise residual deviation", 234 + parameters),
    ]


def rows_to_cluster(parameters: int) -> int:
    """Return the rows at which clusters of other rows of the same kind are the same.

    Source: Dolnicar, Grün, Leisch, Schmidt, "Required sample sizes for data-driven market segmentation analyses in
    tourism", 2014: 70 rows a column, by simulation.
    """
    return _ROWS_PER_COLUMN_OF_CLUSTERS * parameters


def rows_to_set_threshold(share: float) -> int:
    """Return the rows at which the share above a threshold is known to within half of itself (95 %, binomial).

    >>> rows_to_set_threshold(0.01)
    1522
    """
    return math.ceil((_Z95 / 0.5) ** 2 * (1 - share) / share)


def has_closed_form(metric: str) -> bool:
    """Return whether the sampling error of a metric is known beforehand."""
    return metric in _VARIANCES


def rows_for_flexible_models(parameters: int, rate: float) -> int:
    """Return the rows until random forests and boosting are as stable as linear models are on far fewer.

    Source: van der Ploeg, Austin, Steyerberg, "Modern modelling techniques are data hungry", 2014: more than 200 events
    per variable, against 20 to 50 of logistic regression.
    """
    return math.ceil(parameters * FLEXIBLE_ROWS_PER_PARAMETER / min(rate, 1 - rate))


def standard_error(metric: str, value: float, rows: int, rate: float) -> float | None:
    """Return the standard error of a metric on test rows; None where there is no closed form.

    Errors of `neg_...` metrics are relative to the metric itself, for normal residuals.

    Args:
        metric: a name of `METRICS_BY_TASK`.
        value: the metric that is expected; of no matter for relative errors.
        rows: test rows.
        rate: share of the class (one of two, or against the rest); of no matter for regression.
    """
    formula = _VARIANCES.get(metric)
    return None if formula is None else math.sqrt(formula(value, rows, rate))


def rows_for_width(metric: str, value: float, half_width: float, rate: float) -> int | None:
    """Return the test rows at which the 95 % interval of a metric is `value ± half_width`."""
    if metric not in _VARIANCES:
        return None
    return fewest(lambda rows: _Z95 * (standard_error(metric, value, rows, rate) or 0) <= half_width, 4)


def comparison_power(metric: str, value: float, effect: float, rows: int, *, rate: float, correlation: float) -> float:
    """Return the chance that a challenger better by `effect` is seen to be: its 95 % interval lies above 0.

    Both models answer the same rows, so that their scores rise and fall together: Hanley and McNeil, "A method of
    comparing the areas under ROC curves derived from the same cases", 1983; DeLong et al. 1988.

    Args:
        metric: a name of `METRICS_BY_TASK` that has a closed form.
        value: the champion's metric.
        effect: the true difference; relative for `neg_...`.
        rows: test rows.
        rate: share of the class.
        correlation: of the two models' scores over samples of rows.
    """
    from scipy.stats import norm

    before = standard_error(metric, value, rows, rate) or 0.0
    after = standard_error(metric, min(value + effect, 1 - 1e-9), rows, rate) or 0.0
    variance = before**2 + after**2 - 2 * correlation * before * after
    return float(norm.cdf(effect / math.sqrt(variance) - _Z95)) if variance > 0 else 1.0


def rows_for_power(
    metric: str, value: float, effect: float, power: float, *, rate: float, correlation: float
) -> int | None:
    """Return the test rows at which `comparison_power` reaches `power`; None without a closed form."""
    if metric not in _VARIANCES:
        return None
    return fewest(
        lambda rows: comparison_power(metric, value, effect, rows, rate=rate, correlation=correlation) >= power, 4
    )


def fewest(is_enough: Callable[[int], bool], at_least: int) -> int:
    """Return the smallest whole number from `at_least` on that is enough; enough must stay enough further on.

    >>> fewest(lambda rows: rows >= 1000, 4)
    1000
    """
    low, high = at_least - 1, at_least
    while not is_enough(high):
        low, high = high, high * 2
        if high > _MOST_ROWS:
            return _MOST_ROWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _rows_for_shrinkage(parameters: int, r2: float, shrinkage: float) -> int:
    return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage)))


def _variance_of_auc(auc: float, rows: int, rate: float) -> float:
    """Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982: negative exponential scores."""
    positive, negative = max(rows * rate, 1.0), max(rows * (1 - rate), 1.0)
    both_positive, both_negative = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (positive - 1) * (both_positive - auc**2) + (negative - 1) * (both_negative - auc**2)
    return (auc * (1 - auc) + spread) / (positive * negative)


def _variance_of_accuracy(accuracy: float, rows: int, _rate: float) -> float:
    return accuracy * (1 - accuracy) / rows


def _variance_of_average_precision(precision: float, rows: int, rate: float) -> float:
    """Boyd, Eng, Page, "Area under the precision-recall curve", 2013: binomial over the rows of the class."""
    return precision * (1 - precision) / max(rows * rate, 1.0)


def _variance_of_f1(f1: float, rows: int, rate: float) -> float:
    """F1 is a function of hits / (hits + misses + false alarms), which is binomial; precision and recall alike."""
    jaccard = f1 / (2 - f1)
    counted = max((2 - f1) * rows * rate, 1.0)
    slope = 2 / (1 + jaccard) ** 2
    return slope**2 * jaccard * (1 - jaccard) / counted


def _variance_of_r2(r2: float, rows: int, _rate: float) -> float:
    """Olkin and Finn, "Correlations redux", 1995: normal variables, large samples."""
    return 4 * r2 * (1 - r2) ** 2 / rows


def _relative_variance_of_mean_error(_value: float, rows: int, _rate: float) -> float:
    """The size of a normal error has mean s * sqrt(2 / pi) and variance s**2 * (1 - 2 / pi)."""
    return (math.pi / 2 - 1) / rows


def _relative_variance_of_squared_error(_value: float, rows: int, _rate: float) -> float:
    return 1 / (2 * rows)


_VARIANCES: dict[str, Callable[[float, int, float], float]] = {
    "roc_auc": _variance_of_auc,
    "accuracy": _variance_of_accuracy,
    "average_precision": _variance_of_average_precision,
    "f1": _variance_of_f1,
    "r2": _variance_of_r2,
    "neg_mean_absolute_error": _relative_variance_of_mean_error,
    "neg_root_mean_squared_error": _relative_variance_of_squared_error,
}
