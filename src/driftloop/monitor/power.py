"""What a window's tests see within the false-alarm budget: of a window that was judged, and of one that is planned.

Planning assumes independent rows; the power of a judged window counts what its own calibration knows. Sources stand
with the formulas.
"""

import math
from datetime import timedelta

from driftloop.algorithms.samplesize import fewest, standard_error
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.detector import SINGLE_SHARE, Detector, Findings
from driftloop.monitor.scores import FARTHEST, LOCATION, VALUE
from driftloop.spec import FalseAlarmBudget, Power

_FEWEST = 5
_LONGEST = 24 * 366
_PROBABILITY = 0.9
_BLIND_SD, _BLIND_SHARE = 3.0, 0.9
_RANKS_END = 0.499
"""Mean rank above a half beyond which nothing is left to rise."""
_LARGEST_SHIFT = 99.0


def power_of_window(detector: Detector, findings: Findings, rows: int, min_effect_size: float) -> Power | None:
    """Return the smallest shift of one column that the window, by itself, would have shown with probability 0.9.

    Of a typical column, the median one, among the numeric ones where there are any; it must be material, too. None
    where nothing was judged.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    numbers, shares = reach_of_columns(detector, findings)
    if numbers:
        material = 2 * float(ndtri(0.5 + min_effect_size / 2))
        shift = max(float(np.median([*numbers.values()])), material)
        return Power(rows=rows, probability=_PROBABILITY, shift_sd=shift, shift_share=2 * float(ndtr(shift / 2)) - 1)
    if shares:
        share = min(max(float(np.median([*shares.values()])), min_effect_size), 1.0)
        return Power(rows=rows, probability=_PROBABILITY, shift_share=share)
    return None


def blind_columns(detector: Detector, findings: Findings) -> list[str]:
    """Return the columns of which the window would have shown hardly any shift: nothing can be said of them."""
    numbers, shares = reach_of_columns(detector, findings)
    blind = {name for name, shift in numbers.items() if shift > _BLIND_SD}
    blind |= {name for name, share in shares.items() if share > _BLIND_SHARE}
    return [unit.name for unit in findings.units if unit.name in blind and not unit.significant]


def reach_of_columns(detector: Detector, findings: Findings) -> tuple[dict[str, float], dict[str, float]]:
    """Return the smallest shift of each column that is seen with probability 0.9, in standard deviations or as a share.

    A normal column that moves by d standard deviations has a mean location score of sqrt(3) (2 Phi(d / sqrt 2) - 1),
    and a mean value score of d. Of a category, its share of rows moves.
    """
    from scipy.special import ndtri, stdtrit

    found, degrees = findings.assessment, detector.calibration.degrees
    needed = findings.threshold * findings.newest_share * detector.weights / 2
    seen = (stdtrit(degrees, _PROBABILITY) - stdtrit(degrees, needed)) * found.errors
    numbers, shares = {}, {}
    for unit in findings.units:
        if not detector.is_column(unit.name):
            continue
        places = detector.units[unit.name]
        names = [stream.name for stream in detector.calibration.streams[places]]
        if VALUE not in names:
            shares[unit.name] = float(seen[places].min())
            continue
        location, value = (float(seen[places.start + names.index(name)]) for name in (LOCATION, VALUE))
        half = location / math.sqrt(3) / 2
        by_rank = math.sqrt(2) * float(ndtri(0.5 + half)) if half < _RANKS_END else math.inf
        numbers[unit.name] = min(by_rank, value if value < FARTHEST else math.inf, _LARGEST_SHIFT)
    return numbers, shares


def ks_power(effect: float, rows: int, reference_rows: int, significance: float) -> float:
    """Return the chance that the Kolmogorov-Smirnov test sees a shift, at least.

    A shift of size `effect` moves the distribution functions that far apart at one place. There the observed distance
    is nearly normal, with the variance of two proportions of one half; the test's statistic is no smaller than it.
    Critical value: Smirnov's asymptotic one.

    Args:
        effect: largest distance of the two distribution functions, 0 to 1.
        rows: independent rows of the window.
        reference_rows: independent rows of the baseline.
        significance: p-value below which the test alarms.
    """
    from scipy.stats import norm

    spread = math.sqrt(1 / rows + 1 / reference_rows)
    critical = math.sqrt(-math.log(significance / 2) / 2) * spread
    return float(norm.cdf((effect - critical) / (spread / 2)))


def chi_square_power(effect: float, rows: int, reference_rows: int, significance: float, categories: int) -> float:
    """Return the chance that the chi-square test sees a share of traffic move from one category to another.

    All categories are equally frequent before. Noncentral chi-square: Cohen, "Statistical Power Analysis", 1988, ch. 7,
    with the two samples' harmonic size.

    Args:
        effect: share of all rows that moved (total variation distance), at most 1 / categories.
        rows: independent rows of the window.
        reference_rows: independent rows of the baseline.
        significance: p-value below which the test alarms.
        categories: how many there are.
    """
    from scipy.stats import chi2, ncx2

    total = rows + reference_rows
    share = rows / total
    before = 1 / categories
    moved = min(effect, before)
    # Both samples differ from their pooled distribution; the window's rows pull it towards themselves.
    pooled = (before + share * moved, before - share * moved)
    noncentrality = rows * (1 - share) * sum(moved**2 / max(cell, 1e-12) for cell in pooled)
    return float(ncx2.sf(chi2.isf(significance, categories - 1), categories - 1, noncentrality))


def significance_of_test(budget: FalseAlarmBudget, length: timedelta, tests: int) -> float:
    """Return the p-value below which one column of so many is significant in a window of this length."""
    return share_of_window(budget, length, Share.DRIFT) * SINGLE_SHARE / tests


def rows_to_see_drift(effect: float, reference_rows: int, significance: float, power: float) -> int | None:
    """Return the window's rows at which a shift of a number is seen with `power`; None: never, with this reference."""
    if ks_power(effect, 10**9, reference_rows, significance) < power:
        return None
    return fewest(lambda rows: ks_power(effect, rows, reference_rows, significance) >= power, _FEWEST)


def rows_to_see_drop(
    metric: str, value: float, drop: float, significance: float, power: float, *, rate: float
) -> int | None:
    """Return the labelled rows at which a drop of the metric is seen with `power`; None without a closed form.

    One-sided, against a reference taken as known.
    """
    from scipy.stats import norm

    needed = float(norm.isf(significance) + norm.ppf(power))
    if standard_error(metric, value, 1000, rate) is None:
        return None
    after = value - drop if not metric.startswith("neg_") else value
    return fewest(lambda rows: drop / (standard_error(metric, after, rows, rate) or math.inf) >= needed, _FEWEST)


def shortest_window(
    effect: float, reference_rows: int, budget: FalseAlarmBudget, *, tests: int, rows_per_day: float, power: float
) -> timedelta | None:
    """Return the shortest window, in whole hours, in which the traffic suffices; None within a year.

    A longer window has more rows, and a larger share of the budget.
    """

    def is_enough(hours: int) -> bool:
        length = timedelta(hours=hours)
        rows = int(rows_per_day * hours / 24)
        significance = significance_of_test(budget, length, tests)
        return rows >= _FEWEST and ks_power(effect, rows, reference_rows, significance) >= power

    hours = fewest(lambda hours: hours > _LONGEST or is_enough(hours), 1)
    return timedelta(hours=hours) if hours <= _LONGEST else None
