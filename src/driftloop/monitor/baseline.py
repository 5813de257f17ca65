"""The baseline: what live traffic is compared with. Statistics and sketches of a run's rows, never the rows.

Written by the stage `evaluate`, carried in the Bento as `baseline.json`. Importing it must stay light.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from driftloop.monitor.calibration import ROWS_PER_BLOCK, Blocks, StreamBaseline, calibrate, cut_blocks
from driftloop.monitor.columns import Column, ColumnKind, Numbers, read_features, read_outputs, read_target
from driftloop.monitor.errorstream import ErrorBaseline, build_error_baseline, read_errors
from driftloop.monitor.estimate import EstimationBaseline, build_estimation_baseline
from driftloop.monitor.feed import FeedBaseline, build_feed_baseline
from driftloop.monitor.labelshift import AnswerTable, build_answer_table
from driftloop.monitor.performance import Spread, block_spread, reward_spread
from driftloop.monitor.relations import JointBaseline, PairBaseline, joint_baseline, related_pairs
from driftloop.monitor.scores import (
    LOCATION,
    RARE,
    ColumnScores,
    RankScores,
    Scorer,
    ShareScores,
    pair_name,
    share_scores,
)
from driftloop.monitor.segments import SegmentBaseline, build_segment_baseline, row_errors
from driftloop.spec import DataSchema, Task
from driftloop.spec.boundary import Boundary, RuleError

FORMAT_VERSION = 3

# Enough for a Kolmogorov-Smirnov distance to within 0.001.
QUANTILES = 1000
# With fewer blocks the correlation inside them is hardly known; shorter blocks overstate it, which is the safe side.
MINIMUM_BLOCKS = 8


class ColumnBaseline(Boundary):
    """The distribution of one feature, output or label."""

    name: str
    kind: ColumnKind
    present: int
    """Rows with a value."""
    missing_rate: float
    """Share of rows without a value, 0 to 1."""
    quantiles: tuple[float, ...] = ()
    """Numeric: evenly spaced quantiles, sorted (at most 1,000). Dates: of the age in seconds at the row's time."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Categorical: rows per category."""
    streams: tuple[StreamBaseline, ...] = ()
    """What is usual of its scores; none where it has too few values."""

    @property
    def scores(self) -> ColumnScores | None:
        """How its cells score; None where it has no streams."""
        if not self.streams:
            return None
        if self.kind is ColumnKind.NUMERIC:
            return RankScores(np.array(self.quantiles))
        names = tuple(stream.name for stream in self.streams)
        return ShareScores(names, tuple(name for name in names if name != RARE))


class Baseline(Boundary):
    """Everything a window of live traffic is compared with."""

    format_version: int = FORMAT_VERSION
    rows: int
    features: tuple[ColumnBaseline, ...]
    pairs: tuple[PairBaseline, ...] = ()
    """Numeric features that go together, the most correlated ones."""
    joint: JointBaseline | None = None
    """How the features vary together; None for a single one."""
    feed: FeedBaseline
    """What a healthy feed looks like."""
    outputs: tuple[ColumnBaseline, ...]
    label: ColumnBaseline | None = None
    """Distribution of the labels; absent when none were given."""
    metric: str
    metric_value: float
    metric_standard_error: float
    metric_spread: float = 0.0
    """Standard deviation of the metric from block to block beyond sampling error; good days and bad days."""
    metric_blocks: int = 0
    """Independent blocks of time from which the spread was estimated; 0 without times."""
    errors: ErrorBaseline = ErrorBaseline()
    """Errors on the test rows; empty without labels."""
    answers: AnswerTable | None = None
    """How answers and labels go together on the test rows; for classification with labels."""
    estimation: EstimationBaseline | None = None
    """What tells the metric without labels; None where the test rows taught too little."""
    segments: SegmentBaseline = SegmentBaseline()
    """What is usual in each part of the traffic."""

    @model_validator(mode="before")
    @classmethod
    def _is_of_this_format(cls, content: Any) -> Any:
        """Look before the fields are read: those of another format have others."""
        found = content.get("formatVersion", FORMAT_VERSION) if isinstance(content, Mapping) else FORMAT_VERSION
        if found != FORMAT_VERSION:
            raise RuleError(
                f"must be {FORMAT_VERSION}",
                field="formatVersion",
                remedy="Train the model again: this driftloop compares windows by what that baseline does not have.",
            )
        return content


def build_baseline(
    rows: pd.DataFrame,
    test: pd.DataFrame,
    outputs: pd.DataFrame,
    schema: DataSchema,
    *,
    metric: str,
    metric_value: float,
    metric_standard_error: float,
    window: timedelta | None = None,
) -> Baseline:
    """Describe what a model knows: features and labels of all rows of its run, its answers on the test rows.

    All rows, because what is usual shows over as long a time as there is; answers on test rows alone, because a model
    is surer of rows it was fitted on. Target and time column are used where the schema names them and the frames have
    them; without times, rows are taken to be independent of each other.

    Args:
        rows: columns of the schema; raw or as the model's frame.
        test: the rows among them that nothing was fitted on, n of them.
        outputs: `prediction`, and for classification `probability` (as the tap sends them), n rows in the order of
            `test`.
        schema: types, classes and ranges.
        metric: the loop's metric.
        metric_value: its value on the test rows.
        metric_standard_error: standard error of that value.
        window: length of the live windows; with times it sets the length of the blocks.
    """
    times, labels = _column(rows, schema.time_column), _labels(rows, schema)
    test_times, test_labels = _column(test, schema.time_column), _labels(test, schema)
    test_blocks = _blocks(test_times, window)
    inputs = read_features(rows, schema, times)
    features = describe_columns(inputs, _seconds(times), window, related=True)
    answers = describe_columns(read_outputs(outputs, schema), _seconds(test_times), window)
    truth = {} if labels is None else {schema.target.name: read_target(labels, schema)}
    spread, estimation = Spread(0.0, 0), None
    if test_blocks is not None and schema.task is Task.DECISION:
        spread = reward_spread(test, outputs, schema, test_blocks)
    elif test_blocks is not None and test_labels is not None:
        spread = block_spread(metric, test_labels, outputs, schema, test_blocks)
    errors = ErrorBaseline()
    if test_labels is not None:
        found = read_errors(test_labels, outputs, schema)
        errors = build_error_baseline(found, _seconds(test_times), schema.task, window)
        tested = read_features(test, schema, test_times)
        estimation = build_estimation_baseline(tested, test_labels, outputs, schema, metric=metric, blocks=test_blocks)
    return Baseline(
        rows=len(rows),
        features=features.columns,
        pairs=features.pairs,
        joint=features.joint,
        feed=build_feed_baseline(inputs, schema, times, _blocks(times, window)),
        outputs=answers.columns,
        label=describe_columns(truth, _seconds(times), window).columns[0] if truth else None,
        metric=metric,
        metric_value=metric_value,
        metric_standard_error=metric_standard_error,
        metric_spread=spread.deviation,
        metric_blocks=spread.blocks,
        errors=errors,
        answers=build_answer_table(test_labels, outputs, schema),
        estimation=estimation,
        segments=build_segment_baseline(
            inputs,
            features.columns,
            read_features(test, schema, test_times),
            None if test_labels is None else row_errors(test_labels, outputs, schema),
        ),
    )


def _labels(frame: pd.DataFrame, schema: DataSchema) -> "pd.Series[Any] | None":
    """Return the target; None where there is none to compare with.

    Known groups are no truth of clusters: their names differ. Nor are rewards of logged decisions: the model's own will
    be others.
    """
    has_labels = schema.task not in (Task.CLUSTERING, Task.DECISION)
    labels = _column(frame, schema.target.name) if has_labels else None
    return None if labels is None or labels.isna().all() else labels


def _column(frame: pd.DataFrame, name: str | None) -> "pd.Series[Any] | None":
    return frame[name] if name is not None and name in frame else None


def _blocks(times: "pd.Series[Any] | None", window: timedelta | None) -> npt.NDArray[np.int64] | None:
    if times is None or window is None or len(times) == 0:
        return None
    seconds = pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64").to_numpy() / 1e6
    elapsed = seconds - seconds.min()
    length = min(window.total_seconds(), elapsed.max() / MINIMUM_BLOCKS)
    return (elapsed // length).astype(np.int64) if length > 0 else None


@dataclass(frozen=True)
class Description:
    """What columns look like over the reference."""

    columns: tuple[ColumnBaseline, ...]
    pairs: tuple[PairBaseline, ...] = ()
    joint: JointBaseline | None = None


def describe_columns(
    columns: Mapping[str, Column], seconds: Numbers | None, window: timedelta | None, *, related: bool = False
) -> Description:
    """Describe columns of n rows.

    Args:
        columns: name to cells.
        seconds: event times since the Unix epoch, shape (n,), in any order; None: rows are taken to be independent.
        window: length of the live windows.
        related: describe pairs and the joint variation of the columns, too.
    """
    blocks, dated = None, None
    if seconds is not None:
        dated = ~np.isnan(seconds)
        blocks = cut_blocks(seconds[dated], window)
    per_window = _rows_per_window(blocks, window)
    tables = {name: _score_table(column, per_window) for name, column in columns.items()}
    scorer = Scorer({name: table for name, table in tables.items() if table is not None})
    scores = scorer.rows(columns)
    if related:
        numeric = [name for name in scorer.columns if columns[name].kind is ColumnKind.NUMERIC]
        places = [scorer.streams.index((name, LOCATION)) for name in numeric]
        scorer = Scorer(scorer.columns, related_pairs(numeric, scores[:, places]))
        scores = scorer.rows(columns)
    if blocks is not None and dated is not None:
        scores = scores[dated]
    owners = [column for column, _ in scorer.streams]
    streams, residuals = calibrate(scores, [name for _, name in scorer.streams], owners, blocks)
    own: dict[str, list[StreamBaseline]] = {}
    for owner, stream in zip(owners, streams, strict=True):
        own.setdefault(owner, []).append(stream)
    firsts = [owners.index(name) for name in scorer.columns]
    return Description(
        tuple(_describe(name, c, tuple(own.get(name, ()))) for name, c in columns.items()),
        tuple(PairBaseline(first=a, second=b, stream=own[pair_name((a, b))][0]) for a, b in scorer.pairs),
        joint_baseline(tuple(scorer.columns), scores[:, firsts], residuals[:, firsts]) if related else None,
    )


def _seconds(times: "pd.Series[Any] | None") -> Numbers | None:
    if times is None:
        return None
    utc = pd.to_datetime(times, utc=True, errors="coerce")
    return np.where(utc.isna(), np.nan, utc.dt.as_unit("us").astype("int64").to_numpy() / 1e6)


def _rows_per_window(blocks: Blocks | None, window: timedelta | None) -> float:
    if blocks is None or window is None:
        return float("inf")
    return len(blocks.of_row) / len(blocks.number) * max(window.total_seconds() / blocks.seconds, 1.0)


def _score_table(column: Column, rows_per_window: float) -> ColumnScores | None:
    known = column.known
    if len(known) < ROWS_PER_BLOCK or column.kind is ColumnKind.PRESENCE:
        return None
    if column.kind is ColumnKind.NUMERIC:
        return RankScores(np.array(_quantiles(known)))
    present = len(known) / len(column.cells)
    return share_scores(dict(Counter(known.tolist()).most_common()), rows_per_window * present)


def _describe(name: str, column: Column, streams: tuple[StreamBaseline, ...]) -> ColumnBaseline:
    values = column.known
    return ColumnBaseline(
        name=name,
        kind=column.kind,
        present=len(values),
        missing_rate=1 - len(values) / max(len(column.cells), 1),
        quantiles=tuple(_quantiles(values)) if column.kind is ColumnKind.NUMERIC else (),
        counts=dict(Counter(values.tolist()).most_common()) if column.kind is ColumnKind.CATEGORICAL else {},
        streams=streams,
    )


def _quantiles(values: npt.NDArray[np.float64]) -> list[float]:
    if len(values) == 0:
        return []
    count = min(QUANTILES, len(values))
    # Values that occurred, not values in between: repeated ones must stay repeated.
    quantiles = np.quantile(values, (np.arange(count) + 0.5) / count, method="inverted_cdf")
    return [float(value) for value in quantiles]
