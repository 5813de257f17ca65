"""Puts together what `driftloop calibrate` tells of a reference: the budget it carries, thresholds, and what is seen.

The reference is the loop's data, or the baseline of a model that serves. The mathematics is in `monitor`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from driftloop.adapters.datasource import collect_data
from driftloop.errors import InvalidInputError
from driftloop.monitor.baseline import Baseline, build_baseline
from driftloop.monitor.capacity import capacity
from driftloop.monitor.columns import ColumnKind
from driftloop.monitor.reach import (
    detector_of,
    find_in_quiet_window,
    longer_reference,
    reach_by_column,
    reach_of_window,
    with_window,
)
from driftloop.spec import Budget, DataSchema, ModelLoop, MonitoringSpec, Power
from driftloop.spec.boundary import format_duration
from driftloop.stages.snapshot import NoDataError
from driftloop.stages.validate import validate

RATES = (50, 500, 5000)
"""Rows an hour that the what-if table looks at, beside the reference's own."""
LENGTHS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7))
"""Windows that it looks at, beside the loop's own."""
MORE = 4
"""Times as long: the reference that one might collect."""
_HOUR = timedelta(hours=1)


class NoReferenceError(InvalidInputError):
    """There is nothing to calibrate with."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"The data of the ModelLoop must lie on this machine to be calibrated with. Got '{uri}'. Name a loop's "
            "workspace with --workspace, or plan without data: driftloop estimate FILE"
        )


class NoBaselineError(InvalidInputError):
    """A workspace has no baseline to calibrate with."""

    def __init__(self, root: Path, why: str) -> None:
        super().__init__(
            f"The workspace '{root}' must have a champion with a baseline that can be read: {why}. "
            "Calibrate with data instead: driftloop calibrate FILE"
        )


@dataclass(frozen=True)
class Reference:
    """What windows are compared with."""

    name: str
    """In words."""
    rows: int
    span: timedelta | None
    """From its first row to its last; None where nothing says."""
    baseline_for: Callable[[timedelta], Baseline]
    """Window's length → baseline; by and by."""

    @property
    def rate(self) -> float | None:
        """Rows an hour."""
        return self.rows / (self.span / _HOUR) if self.span else None


@dataclass(frozen=True)
class Threshold:
    """When columns of one kind are significant."""

    kind: str
    columns: int
    p_value: float
    """Below it; of each column."""
    design_effect: float
    """Rows that tell as much as one independent row; the median of the columns."""
    seasonal: int
    """Columns with a season."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        facts = {"kind": self.kind, "columns": self.columns, "pValue": self.p_value}
        return facts | {"designEffect": self.design_effect, "seasonal": self.seasonal}


@dataclass(frozen=True)
class Reach:
    """What a window shows."""

    window: timedelta
    rows_per_hour: float
    rows: int
    power: Power | None
    """None: not enough rows for a verdict."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        power = self.power.to_dict() if self.power else None
        facts = {"rowsPerHour": round(self.rows_per_hour, 1), "rows": self.rows, "power": power}
        return {"window": format_duration(self.window)} | facts


@dataclass(frozen=True)
class Calibrated:
    """All that is told."""

    reference: str
    budget: Budget
    budgets: dict[timedelta, Budget]
    """Window's length → the budget that the reference carries then."""
    thresholds: list[Threshold]
    rows: int
    """Rows of a usual window, at least those that a verdict needs."""
    columns: dict[str, Power]
    """Column → the smallest shift of it that a window of the loop shows, the best seen first."""
    reaches: list[Reach]
    least_share: float
    """Share of traffic below which nothing is called drift."""
    conclusions: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "reference": self.reference,
            "budget": self.budget.to_dict(),
            "budgets": {format_duration(length): budget.to_dict() for length, budget in self.budgets.items()},
            "rows": self.rows,
            "columns": {name: power.to_dict() for name, power in self.columns.items()},
            "thresholds": [threshold.to_dict() for threshold in self.thresholds],
            "minEffectSize": self.least_share,
            "whatIf": [reach.to_dict() for reach in self.reaches],
            "conclusions": self.conclusions,
        }


def reference_of_file(loop: ModelLoop) -> Reference:
    """Return the loop's data as a reference: all rows, as the pipeline takes them.

    Raises:
        NoReferenceError: the data lie elsewhere, or nowhere.
        InvalidInputError: they can't be used.
    """
    data, task = loop.spec.data, loop.spec.problem.task
    if not data.is_here:
        raise NoReferenceError(data.uri)
    few = data.model_copy(update={"min_rows": 1})  # too few to train on may be enough to watch with
    try:
        validated = validate(collect_data(data, task), task=task, data=few)
    except NoDataError as error:
        raise NoReferenceError(data.uri) from error
    frame, schema = validated.table.to_pandas(), validated.schema
    times = pd.to_datetime(frame[schema.time_column], utc=True) if schema.time_column else None
    span = None if times is None else (times.max() - times.min()).to_pytimedelta()
    name = f"{len(frame):,} rows of '{data.uri.rpartition('/')[2]}'"
    if times is not None:
        name += f" from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"
    return Reference(name, len(frame), span, cache(lambda window: _describe(frame, schema, window)))


def _describe(frame: pd.DataFrame, schema: DataSchema, window: timedelta) -> Baseline:
    """Return the baseline as far as data tell it: there is no model yet, and the metric is nothing."""
    none = pd.DataFrame({"prediction": []})
    return build_baseline(
        frame, frame.head(0), none, schema, metric="", metric_value=0, metric_standard_error=0, window=window
    )


def reference_of_baseline(baseline: Baseline, name: str) -> Reference:
    """Return a model's baseline as a reference: what it learned of blocks of one length stands for all lengths."""
    streams = [stream for column in baseline.features for stream in column.streams if stream.blocks]
    seconds = max((stream.blocks * stream.block_seconds for stream in streams), default=0.0)
    span = timedelta(seconds=seconds) if seconds else None
    return Reference(f"{baseline.rows:,} rows behind {name}", baseline.rows, span, lambda _: baseline)


def calibrate(reference: Reference, monitoring: MonitoringSpec, rates: Sequence[float] = ()) -> Calibrated:
    """Return what the reference carries and shows.

    Args:
        reference: what windows are compared with.
        monitoring: how traffic is watched.
        rates: rows an hour that the table looks at; empty for the usual ones.
    """
    own = monitoring.window.duration
    longest = reference.span / 10 if reference.span else own
    lengths = sorted({own, *(length for length in LENGTHS if length <= longest)})
    asked = sorted({*(rates or RATES), *([reference.rate] if reference.rate and not rates else [])})
    watches = {length: with_window(monitoring, length) for length in lengths}
    baselines = {length: reference.baseline_for(length) for length in lengths}
    reaches = [_reach(baselines[length], watches[length], rate) for rate in asked for length in lengths]
    rate = rates[0] if rates else reference.rate or RATES[1]
    rows = max(int(rate * (own / _HOUR)), monitoring.window.min_rows)
    budgets = {length: capacity(baselines[length], watches[length]) for length in lengths}
    return Calibrated(
        reference=reference.name,
        budget=budgets[own],
        budgets=budgets,
        thresholds=_thresholds(baselines[own], monitoring, rows),
        rows=rows,
        columns=_by_column(baselines[own], monitoring, rows),
        reaches=reaches,
        least_share=monitoring.min_effect_size,
        conclusions=_conclude(baselines, watches, budgets, own, rate),
    )


def _reach(baseline: Baseline, monitoring: MonitoringSpec, rate: float) -> Reach:
    length = monitoring.window.duration
    rows = int(rate * (length / _HOUR))
    return Reach(length, rate, rows, reach_of_window(baseline, monitoring, rows))


def _by_column(baseline: Baseline, monitoring: MonitoringSpec, rows: int) -> dict[str, Power]:
    found = reach_by_column(baseline, monitoring, rows)
    return dict(sorted(found.items(), key=lambda known: (known[1].shift_share, known[0])))


def _thresholds(baseline: Baseline, monitoring: MonitoringSpec, rows: int) -> list[Threshold]:
    detector = detector_of(baseline)
    if not detector.units:
        return []
    findings = find_in_quiet_window(baseline, detector, monitoring, rows)
    columns = [*baseline.features, *baseline.outputs]
    groups = {str(kind): [c.streams for c in columns if c.kind is kind and c.streams] for kind in ColumnKind}
    groups["pair"] = [(pair.stream,) for pair in baseline.pairs]
    found = [
        Threshold(
            kind=kind,
            columns=len(members),
            p_value=findings.threshold,
            design_effect=median(max(stream.design_effect for stream in streams) for streams in members),
            seasonal=sum(any(stream.periods for stream in streams) for streams in members),
        )
        for kind, members in groups.items()
        if members
    ]
    if findings.joint is not None:
        found.append(Threshold("all together", 1, findings.joint_threshold, 1.0, 0))
    return found


def _conclude(
    baselines: dict[timedelta, Baseline],
    watches: dict[timedelta, MonitoringSpec],
    budgets: dict[timedelta, Budget],
    own: timedelta,
    rate: float,
) -> list[str]:
    """Say in words what the loop's own window shows, and what a longer one or more reference would buy."""
    now = _reach(baselines[own], watches[own], rate)
    told = [
        f"At {number_words(rate)} rows an hour, a window of {format_duration(own)} ({now.rows:,} rows) {_shows(now)}."
    ]
    longer = next((length for length in baselines if length > own), None)
    if longer:
        then = _reach(baselines[longer], watches[longer], rate)
        told.append(
            f"A window of {format_duration(longer)} {_shows(then)}; the budget carried is "
            f"{number_words(budgets[longer].carried)} per 30 days."
        )
    more = longer_reference(baselines[own], MORE)
    carried = capacity(more, watches[own]).carried
    told.append(
        f"With {MORE} times the reference, all else being as it is, a window of {format_duration(own)} "
        f"{_shows(_reach(more, watches[own], rate))}; the budget carried is {number_words(carried)} per 30 days."
    )
    return told


def _shows(reach: Reach) -> str:
    if reach.power is None:
        return "has too few rows for a verdict"
    if is_blind(reach.power):
        return "shows no shift of a typical column for certain"
    return f"shows a shift of {shift_words(reach.power)} with probability {reach.power.probability:g}"


def is_blind(power: Power) -> bool:
    """Return whether even a column whose values are all others would not surely be seen."""
    return power.shift_share > 0.99  # noqa: PLR2004


def shift_words(power: Power) -> str:
    """Return a shift as people say it: standard deviations of a number, and the share of traffic that moves."""
    share = f"{power.shift_share:.0%}"
    return f"{share} of traffic" if power.shift_sd is None else f"{power.shift_sd:.2g} sd ({share} of traffic)"


def number_words(value: float) -> str:
    """Return a number with three figures, without exponents.

    >>> number_words(5000), number_words(35.42), number_words(1)
    ('5,000', '35.4', '1')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 (three figures)
