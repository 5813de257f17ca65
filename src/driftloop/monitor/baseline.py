"""The baseline: what live traffic is compared with. Statistics and sketches of a run's rows, never the rows.

Written by the stage `evaluate`, carried in the Bento as `baseline.json`. Importing it must stay light.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from driftloop.monitor.columns import Column, ColumnKind, read_features, read_outputs, read_target
from driftloop.monitor.effective import intraclass_correlation
from driftloop.monitor.performance import Spread, block_spread
from driftloop.spec import DataSchema
from driftloop.spec.boundary import Boundary

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
    correlation: float = 0.0
    """Correlation of rows in the same block of time, 0 to 1; what makes their number overstate what they tell."""
    missing_correlation: float = 0.0
    """The same for being missing."""
    blocks: int = 0
    """Blocks of time from which the correlations were estimated; 0 without times."""


class Baseline(Boundary):
    """Everything a window of live traffic is compared with."""

    format_version: int = 1
    rows: int
    features: tuple[ColumnBaseline, ...]
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
    times, labels = _column(rows, schema.time_column), _column(rows, schema.target.name)
    blocks = _blocks(times, window)
    test_blocks, test_labels = _blocks(_column(test, schema.time_column), window), _column(test, schema.target.name)
    spread = Spread(0.0, 0)
    if test_blocks is not None and test_labels is not None:
        spread = block_spread(metric, test_labels, outputs, schema, test_blocks)
    return Baseline(
        rows=len(rows),
        features=tuple(_describe(name, c, blocks) for name, c in read_features(rows, schema, times).items()),
        outputs=tuple(_describe(name, c, test_blocks) for name, c in read_outputs(outputs, schema).items()),
        label=None if labels is None else _describe(schema.target.name, read_target(labels, schema), blocks),
        metric=metric,
        metric_value=metric_value,
        metric_standard_error=metric_standard_error,
        metric_spread=spread.deviation,
        metric_blocks=spread.blocks,
    )


def _column(frame: pd.DataFrame, name: str | None) -> "pd.Series[Any] | None":
    return frame[name] if name is not None and name in frame else None


def _count(blocks: npt.NDArray[np.int64] | None) -> int:
    return 0 if blocks is None else len(np.unique(blocks))


def _blocks(times: "pd.Series[Any] | None", window: timedelta | None) -> npt.NDArray[np.int64] | None:
    if times is None or window is None or len(times) == 0:
        return None
    seconds = pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64").to_numpy() / 1e6
    elapsed = seconds - seconds.min()
    length = min(window.total_seconds(), elapsed.max() / MINIMUM_BLOCKS)
    return (elapsed // length).astype(np.int64) if length > 0 else None


def _describe(name: str, column: Column, blocks: npt.NDArray[np.int64] | None) -> ColumnBaseline:
    present = column.present
    values = column.known
    correlation = missing_correlation = 0.0
    if blocks is not None:
        missing_correlation = intraclass_correlation((~present).astype(np.float64), blocks)
        correlation = max(intraclass_correlation(s, blocks[present]) for s in _scores(column.kind, values))
    return ColumnBaseline(
        name=name,
        kind=column.kind,
        present=len(values),
        missing_rate=1 - len(values) / max(len(present), 1),
        quantiles=tuple(_quantiles(values)) if column.kind is ColumnKind.NUMERIC else (),
        counts=dict(Counter(values.tolist()).most_common()) if column.kind is ColumnKind.CATEGORICAL else {},
        correlation=correlation,
        missing_correlation=missing_correlation,
        blocks=_count(blocks),
    )


def _quantiles(values: npt.NDArray[np.float64]) -> list[float]:
    if len(values) == 0:
        return []
    count = min(QUANTILES, len(values))
    # Values that occurred, not values in between: repeated ones must stay repeated.
    quantiles = np.quantile(values, (np.arange(count) + 0.5) / count, method="inverted_cdf")
    return [float(value) for value in quantiles]


def _scores(kind: ColumnKind, values: npt.NDArray[Any]) -> list[npt.NDArray[np.float64]]:
    """Bounded scores whose block means show what a test would see move: location and spread, or the shares."""
    if kind is ColumnKind.CATEGORICAL:
        return [pd.get_dummies(pd.Series(values, dtype=object)).to_numpy(dtype=np.float64)]
    ranks = pd.Series(values, dtype=np.float64).rank(pct=True).to_numpy() - 0.5
    return [ranks, np.abs(ranks)]
