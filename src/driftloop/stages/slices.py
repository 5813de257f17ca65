"""Where a model is worst: the test rows of which one column says the same, by the loop's metric; for `evaluate`.

Slices of one literal, after Chung et al. 2019, Slice Finder. So many groups are looked at that some look bad by
chance alone: intervals are widened by Bonferroni's rule for all of them.
"""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.algorithms.metrics import Answers, score, standard_error
from driftloop.stages.assess import group_rows
from driftloop.stages.judgements import Slice, Slices

FEWEST_ROWS = 50
MOST_ROWS = 20_000
MOST_COLUMNS = 60
_SHOWN = 8
_LEVEL = 0.05
_OWN_SCALE = {"r2": "neg_root_mean_squared_error"}
"""A metric that is relative to the rows' own spread says nothing when rows of one kind are compared with all."""


def find_slices(
    test: pa.Table, columns: list[str], truth: npt.NDArray[np.float64], answers: Answers, *, metric: str, seed: int
) -> Slices | None:
    """Return the groups in which the model is worst, the most telling first; None where no group is large enough.

    Args:
        test: the test rows.
        columns: to group them by; numbers and dates in quartiles.
        truth: of these rows, encoded.
        answers: the model's.
        metric: the loop's metric; `r2` is replaced by the root mean squared error.
        seed: of the bootstrap, and of the choice of rows where there are more than 20,000.
    """
    metric = _OWN_SCALE.get(metric, metric)
    if len(truth) > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(truth))[:MOST_ROWS])
        test, truth, answers = test.take(pa.array(chosen)), truth[chosen], answers.take(chosen)
    whole = score(metric, truth, answers)
    spread = standard_error(metric, truth, answers, seed=seed) * len(truth) ** 0.5
    found = []
    for column, group, rows in _groups(test, columns[:MOST_COLUMNS]):
        value = score(metric, truth[rows], answers.take(rows))
        if np.isfinite(value):
            found.append(((value - whole) * rows.sum() ** 0.5, column, group, rows, value))
    if not found or not np.isfinite(whole) or not spread:
        return None
    reach = NormalDist().inv_cdf(1 - _LEVEL / 2 / len(found))
    found.sort(key=lambda one: one[0])
    worst = []
    for _, column, group, rows, value in found[:_SHOWN]:
        half = reach * standard_error(metric, truth[rows], answers.take(rows), seed=seed)
        worst.append(
            Slice(
                column=column,
                group=group,
                rows=int(rows.sum()),
                score=value,
                lower=value - half,
                upper=value + half,
                is_worse=value + half < whole,
            )
        )
    return Slices(metric=metric, looked_at=len(found), score=whole, worst=tuple(worst))


def _groups(test: pa.Table, columns: list[str]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for column in columns:
        groups, order = group_rows(test.column(column))
        if len(order) < 2:  # noqa: PLR2004 - one group is the whole
            continue
        for group in order:
            rows = groups == group
            if FEWEST_ROWS <= rows.sum() < len(groups):
                yield column, group, rows
