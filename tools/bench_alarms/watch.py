"""driftloop's own code over made-up traffic: a model that was trained on the reference, and its monitor.

`Watch` drives the judgement of drift by arrays, which is fast; `judged` takes the whole way of production, with frames
as the prediction log gives them, checks and report. Both must alarm in the same windows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from driftloop.monitor.baseline import Baseline, build_baseline
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.capacity import assess_capacity
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.detector import Detector
from driftloop.monitor.drift import DriftWatch
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.monitor.scores import Sums
from driftloop.predictionlog.columns import FEATURE_PREFIX, OUTPUT_PREFIX, TIME
from driftloop.spec import DataSchema, Feature, FeatureType, MonitoringSpec, Target, Task, Verdict, Window
from tools.bench_alarms.peers import Cells
from tools.bench_alarms.traffic import Numbers, Stream, as_columns

START = datetime(2026, 3, 2, tzinfo=UTC)
"""Midnight at which the live traffic begins."""
WINDOW = timedelta(hours=1)
MONITORING = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1h", "minRows": 30}})
PREDICTION = "prediction"


class Watch:
    """The monitor of a model whose reference is a stream's; the model always answers 1."""

    def __init__(self, stream: Stream) -> None:
        """Train: build the baseline."""
        self._stream = stream
        schema = _schema(stream.reference)
        self._judge = Judge("v1", schema, _baseline(stream, schema), MONITORING, SciPyEngine())
        baseline = self._judge.baseline
        detector = Detector([*baseline.features, *baseline.outputs], baseline.pairs, baseline.joint)
        self._watch = DriftWatch(detector, SciPyEngine())
        carried = assess_capacity(baseline, MONITORING)
        self._probability = share_of_window(carried.kept, WINDOW, Share.DRIFT)
        self.carried, self.reasons = carried.budget.carried, carried.budget.reasons

    def summed(self, window: Cells, hour: int) -> Sums:
        """Return a window's sums."""
        start = START + hour * WINDOW
        return self._watch.detector.scorer.sums(_columns(window), start, start + WINDOW)

    def alarms(self, window: Cells, sums: Sequence[Sums]) -> bool:
        """Judge a window whose sums are the last ones: is anything significant, and as large as it must be?"""
        if not self._watch.detector.find(sums, self._probability).alarms:
            return False
        found = self._watch.compare(
            _columns(window), sums, probability=self._probability, min_effect_size=MONITORING.min_effect_size
        )
        return any(drift.drifted for drift in (*found.columns, *found.pairs, *([found.joint] if found.joint else [])))

    def judged(self, hour: int, past: Sequence[Sums]) -> Verdict:
        """Judge a window as production does; `past` are the sums of those before it."""
        start = START + hour * WINDOW
        frame = pd.DataFrame(self._stream.window(hour)).add_prefix(FEATURE_PREFIX)
        rows = slice(self._stream.edges[hour], self._stream.edges[hour + 1])
        frame = frame.assign(**{TIME: _times(self._stream.seconds[rows]), OUTPUT_PREFIX + PREDICTION: 1.0})
        return self._judge.judge_inputs(frame, Window(start=start, end=start + WINDOW, rows=len(frame)), past)


def _columns(window: Cells) -> dict[str, Column]:
    columns = as_columns(window)
    rows = len(next(iter(columns.values())).cells)
    return columns | {PREDICTION: Column(ColumnKind.NUMERIC, np.ones(rows))}


def _schema(cells: Cells) -> DataSchema:
    types = {"number": FeatureType.NUMERIC, "category": FeatureType.CATEGORICAL, "flag": FeatureType.BOOLEAN}
    features = (Feature(name=name, type=types[name.partition("_")[0]], nullable=True) for name in cells)
    target = Target(name="target", classes=())
    return DataSchema(task=Task.REGRESSION, target=target, features=tuple(features), time_column="time")


def _baseline(stream: Stream, schema: DataSchema) -> Baseline:
    times = _times(stream.seconds[: stream.edges[0]])
    table = pd.DataFrame(stream.reference).assign(time=times, target=1.0, prediction=1.0)
    return build_baseline(
        table,
        table,
        table[[PREDICTION]],
        schema,
        metric="neg_mean_absolute_error",
        metric_value=0.0,
        metric_standard_error=0.1,
        window=WINDOW,
    )


def _times(seconds: Numbers) -> pd.DatetimeIndex:
    return pd.to_datetime(START.timestamp() + seconds, unit="s", utc=True)
