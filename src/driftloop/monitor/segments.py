"""The segment: the part of the traffic where a change is worst, among categories and quarters of the numbers.

The baseline keeps, for each part, where each column usually lies in it and how large the model's errors are: means, no
rows. A part is named only where it is worse than the rest by more than looking at so many parts explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.monitor.columns import Column, ColumnKind, Numbers
from driftloop.monitor.performance import read_answers, read_truth
from driftloop.spec import CheckResult, DataSchema, FeatureDrift, Segment, Task
from driftloop.spec.boundary import Boundary

if TYPE_CHECKING:  # the baseline holds what this module defines
    from driftloop.monitor.baseline import ColumnBaseline

MOST_COLUMNS = 40
"""Columns that split the traffic, and columns followed in each part; the schema's first. More make a baseline large."""
_MOST_CATEGORIES = 8
_PARTS = 4
_FEWEST_ROWS = 20
_SIGNIFICANCE = 0.05
"""Chance of naming a part where none is worse, whatever the number of parts."""
_MOST_MOVED = 3


class Part(Boundary):
    """A part of the traffic, and what is usual in it."""

    feature: str
    """Column that splits."""
    category: str | None = None
    """Its rows have this category, ..."""
    low: float | None = None
    high: float | None = None
    """... or a number with `low < x <= high`; None: without end."""
    rows: int = 0
    places: tuple[float, ...] = ()
    """Mean place of each column's values in its own distribution, 0 to 1; in the order of `SegmentBaseline.columns`."""
    error_rows: int = 0
    error: float = 0.0
    """Mean error of the model's answers on test rows."""

    @property
    def clause(self) -> str:
        """The part in plain words."""
        if self.category is not None:
            return f"{self.feature} is {self.category}"
        if self.low is None:
            return f"{self.feature} is {self.high:.4g} or below"
        return f"{self.feature} is above {self.low:.4g}" + ("" if self.high is None else f", up to {self.high:.4g}")


class SegmentBaseline(Boundary):
    """What is usual in every part of the traffic."""

    columns: tuple[str, ...] = ()
    """Columns whose places the parts hold."""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class _Usual:
    """What is usual in the parts that are looked at."""

    parts: Sequence[Part]
    means: Numbers
    rows: Numbers


@dataclass(frozen=True)
class _Worst:
    """The part that is worse than the rest."""

    part: Part
    rows: int
    share: float
    here: float
    elsewhere: float
    effect: float
    """What is worse there, drawn towards the whole for small parts."""


def build_segment_baseline(
    columns: Mapping[str, Column],
    references: Sequence["ColumnBaseline"],
    test_columns: Mapping[str, Column],
    errors: Numbers | None,
) -> SegmentBaseline:
    """Describe the parts of a run's rows.

    Args:
        columns: features of all rows of the run.
        references: their baselines.
        test_columns: features of the n test rows.
        errors: of the model's answers on them, shape (n,), NaN where unknown; None without labels.
    """
    references = [reference for reference in references if reference.kind is not ColumnKind.PRESENCE][:MOST_COLUMNS]
    parts = [part for reference in references for part in _parts(reference)]
    names = tuple(reference.name for reference in references)
    if not parts:
        return SegmentBaseline()
    places = np.column_stack([_places(columns[reference.name], reference) for reference in references])
    rows, means = _means(_members(parts, columns), places)
    error_rows, error_means = np.zeros(len(parts)), np.zeros(len(parts))
    if errors is not None:
        counts, found = _means(_members(parts, test_columns), errors[:, np.newaxis])
        error_rows, error_means = counts[:, 0], found[:, 0]
    return SegmentBaseline(
        columns=names,
        parts=tuple(
            part.model_copy(
                update={
                    "rows": int(rows[index].max(initial=0)),
                    "places": tuple(round(float(mean), 4) for mean in means[index]),
                    "error_rows": int(error_rows[index]),
                    "error": float(error_means[index]),
                }
            )
            for index, part in enumerate(parts)
        ),
    )


def row_errors(labels: "pd.Series[Any]", outputs: pd.DataFrame, schema: DataSchema) -> Numbers:
    """Return how wrong each answer is, shape (n,): the probability not given to the truth, or the absolute error.

    NaN where label or answer can't be read, and of decisions, which have rewards in the place of errors.
    """
    truth = read_truth(labels, schema)
    if schema.task is Task.DECISION:
        return np.full(len(truth), np.nan)
    answers, usable = read_answers(outputs, schema)
    usable &= ~np.isnan(truth)
    errors = np.full(len(truth), np.nan)
    if answers.probabilities is None:
        errors[usable] = np.abs(truth - answers.predictions)[usable]
    else:
        errors[usable] = 1 - answers.probabilities[usable, truth[usable].astype(np.int64)]
    return errors


def worst_of_window(
    reference: SegmentBaseline,
    columns: Mapping[str, Column],
    references: Sequence["ColumnBaseline"],
    inputs: Sequence[FeatureDrift],
    checks: Sequence[CheckResult],
) -> Segment | None:
    """Return where values are missing most or, on a whole feed, where the inputs moved most; None if nowhere."""
    failed = [check for check in checks if not check.passed]
    if failed:
        missing = {check.feature for check in failed if check.check == "missing"}
        baseline = next((found for found in references if found.name in missing), None)
        return None if baseline is None else worst_of_missing(reference, columns, baseline)
    return worst_of_inputs(reference, columns, references, [drift for drift in inputs if drift.drifted])


def worst_of_inputs(
    reference: SegmentBaseline,
    columns: Mapping[str, Column],
    references: Sequence["ColumnBaseline"],
    moved: Sequence[FeatureDrift],
) -> Segment | None:
    """Return the part in which one of the columns that moved most moved further than elsewhere; None without one."""
    known = {found.name: found for found in references}
    followed = [drift.feature for drift in moved if drift.feature in reference.columns][:_MOST_MOVED]
    found = []
    for name in followed:
        index = reference.columns.index(name)
        parts = [part for part in reference.parts if part.feature != name]
        usual = _usual(parts, [part.places[index] for part in parts], [part.rows for part in parts])
        worst = _worst(usual, columns, _places(columns[name], known[name]), looks=len(followed))
        if worst is not None:
            found.append((worst, name))
    if not found:
        return None
    worst, name = max(found, key=lambda pair: pair[0].effect)
    there = f"at least {worst.here:.0%} of the traffic moved in {name} there, {worst.elsewhere:.0%} elsewhere"
    return _segment(worst, there)


def worst_of_missing(
    reference: SegmentBaseline, columns: Mapping[str, Column], baseline: "ColumnBaseline"
) -> Segment | None:
    """Return the part in which a column lacks more values than elsewhere; None without one."""
    missing = (~columns[baseline.name].present).astype(np.float64)
    parts = [part for part in reference.parts if part.feature != baseline.name]
    usual = _usual(parts, [baseline.missing_rate] * len(parts), [part.rows for part in parts])
    worst = _worst(usual, columns, missing)
    if worst is None:
        return None
    here, elsewhere = worst.here + baseline.missing_rate, worst.elsewhere + baseline.missing_rate
    return _segment(worst, f"{here:.0%} of the rows there have no value of {baseline.name}, {elsewhere:.0%} elsewhere")


def worst_of_errors(reference: SegmentBaseline, columns: Mapping[str, Column], errors: Numbers) -> Segment | None:
    """Return the part in which answers got worse by more than elsewhere; None without one.

    `errors` are those of the window's rows as `row_errors` returns them, NaN where unknown.
    """
    parts = reference.parts
    usual = _usual(parts, [part.error for part in parts], [part.error_rows for part in parts])
    worst = _worst(usual, columns, errors)
    if worst is None or worst.here <= 0:
        return None
    return _segment(worst, f"the mean error rose by {worst.here:.3g} there, by {worst.elsewhere:.3g} elsewhere")


def _segment(worst: _Worst, there: str) -> Segment:
    part = worst.part
    return Segment(
        feature=part.feature,
        values=part.clause,
        rows=worst.rows,
        share=worst.share,
        effect=round(worst.effect, 9),  # sums differ in the last digits with the order of rows
        message=f"It is worst where {part.clause} ({worst.share:.0%} of the rows): {there}.",
    )


def _usual(parts: Sequence[Part], means: Sequence[float], rows: Sequence[int]) -> _Usual:
    enough = [index for index, count in enumerate(rows) if count >= _FEWEST_ROWS]
    return _Usual(
        [parts[index] for index in enough],
        np.array([means[index] for index in enough], dtype=np.float64),
        np.array([rows[index] for index in enough], dtype=np.float64),
    )


def _worst(usual: _Usual, columns: Mapping[str, Column], values: Numbers, *, looks: int = 1) -> _Worst | None:
    """Return the part whose mean value rose most beyond the rest's or, where the whole fell, fell most.

    Differences from the rest are drawn towards none by how unsure they are (empirical Bayes by the method of moments:
    Efron and Morris, "Data analysis using Stein's estimator", 1975), and must pass a one-sided test at 5 % divided by
    all the parts looked at, in `looks` columns.
    """
    known = ~np.isnan(values)
    if not usual.parts or not known.any():
        return None
    from scipy.stats import norm

    members = _members(usual.parts, columns) & known[:, np.newaxis]
    rows = members.sum(axis=0).astype(np.float64)
    others = known.sum() - rows
    enough = (rows >= _FEWEST_ROWS) & (others >= _FEWEST_ROWS)
    if not enough.any():
        return None
    filled = np.where(known, values - values[known].mean(), 0.0)  # centred: the spread of large numbers stays exact
    sums, squares = filled @ members, filled**2 @ members
    rows_, others_ = np.maximum(rows, 1), np.maximum(others, 1)
    mean, rest = sums / rows_, -sums / others_
    variance = (squares / rows_ - mean**2) / rows_ + ((filled**2).sum() - squares) / others_**2 - rest**2 / others_
    variance += (filled**2).sum() / known.sum() / usual.rows  # of what is usual, too
    change = mean + values[known].mean() - usual.means
    rest_change = rest + values[known].mean() - _rest_usual(usual, rows)
    enough &= np.isfinite(rest_change) & (variance > 0)
    sign = 1.0 if (rows * change).sum() >= 0 else -1.0
    excess = np.where(enough, sign * (change - rest_change), 0.0)
    error = np.sqrt(np.where(enough, variance, 1.0))
    between = max(float((excess**2 - error**2)[enough].mean()), 0.0) if enough.any() else 0.0
    shrunk = excess * between / (between + error**2)
    limit = float(norm.isf(_SIGNIFICANCE / (max(int(enough.sum()), 1) * looks)))
    best = int(np.argmax(np.where(enough & (excess > limit * error), shrunk, -np.inf)))
    if not enough[best] or excess[best] <= limit * error[best]:
        return None
    here, elsewhere = sign * float(change[best]), sign * float(rest_change[best])
    return _Worst(
        usual.parts[best],
        rows=int(rows[best]),
        share=float(rows[best] / known.sum()),
        here=here,
        elsewhere=elsewhere,
        effect=elsewhere + float(shrunk[best]),
    )


def _rest_usual(usual: _Usual, rows: Numbers) -> Numbers:
    """Return what is usual outside each part: in the others of the same column, as often as they are in the window."""
    names = pd.factorize(np.array([part.feature for part in usual.parts], dtype=object))[0]
    sums, weights = np.bincount(names, usual.means * rows), np.bincount(names, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[names] - usual.means * rows) / (weights[names] - rows))


def _parts(reference: "ColumnBaseline") -> list[Part]:
    if reference.kind is ColumnKind.CATEGORICAL:
        common = list(reference.counts)[:_MOST_CATEGORIES]
        return [Part(feature=reference.name, category=name) for name in common] if len(common) > 1 else []
    if not reference.quantiles:
        return []
    edges = np.quantile(reference.quantiles, np.arange(1, _PARTS) / _PARTS, method="inverted_cdf")
    inner = [float(edge) for edge in np.unique(edges) if edge < reference.quantiles[-1]]
    if not inner:
        return []
    return [
        Part(feature=reference.name, low=low, high=high)
        for low, high in zip([None, *inner], [*inner, None], strict=True)
    ]


def _members(parts: Sequence[Part], columns: Mapping[str, Column]) -> npt.NDArray[np.bool_]:
    """Return which rows are in which part, shape (n, number of parts)."""
    found = []
    for part in parts:
        cells = columns[part.feature].cells
        if part.category is not None:
            found.append(cells == part.category)
        else:
            with np.errstate(invalid="ignore"):
                above = ~np.isnan(cells) if part.low is None else cells > part.low
                found.append(above if part.high is None else above & (cells <= part.high))
    return np.column_stack(found).astype(np.bool_)


def _means(members: npt.NDArray[np.bool_], values: Numbers) -> tuple[Numbers, Numbers]:
    """Return rows with a value and their mean, both of shape (number of parts, number of columns)."""
    present = ~np.isnan(values)
    weights = members.T.astype(np.float64)
    rows = weights @ present
    return rows, (weights @ np.nan_to_num(values)) / np.maximum(rows, 1)


def _places(column: Column, reference: "ColumnBaseline") -> Numbers:
    """Return where each value lies in the reference's distribution, 0 to 1, shape (n,); NaN where missing.

    The mean of two such places differs by no more than the share of traffic that moved. Categories lie in order of
    their frequency, new ones at the end.
    """
    if reference.kind is ColumnKind.NUMERIC:
        quantiles = np.array(reference.quantiles)
        sides = [np.searchsorted(quantiles, column.cells, side=side) for side in ("left", "right")]
        places = (sides[0] + sides[1]) / 2 / max(len(quantiles), 1)
        return np.where(np.isnan(column.cells), np.nan, places)
    shares = np.array(list(reference.counts.values()), dtype=np.float64) / max(reference.present, 1)
    middles = np.cumsum(shares) - shares / 2
    places_of: dict[Any, float] = dict(zip(reference.counts, middles.tolist(), strict=True))
    return np.array([np.nan if name is None else places_of.get(name, 1.0) for name in column.cells], dtype=np.float64)
