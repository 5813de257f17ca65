"""driftloop's own code over made-up traffic, driven by arrays: the judgement of drift without frames and reports."""

from datetime import timedelta
from typing import Any

import numpy as np

from driftloop.monitor.baseline import _describe
from driftloop.monitor.budget import window_significance
from driftloop.monitor.drift import Sensitivity, compare_columns
from driftloop.monitor.engines import SciPyEngine
from driftloop.spec import MonitoringSpec
from tools.bench_alarms.traffic import HOUR_SECONDS, Cell, Stream, as_columns

MONITORING = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1h", "minRows": 30}})


class Watch:
    carried = 1.0
    reasons = ()

    def __init__(self, stream: Stream, cell: Cell) -> None:
        seconds = stream.seconds[: stream.edges[0]]
        elapsed = seconds - seconds.min()
        length = min(HOUR_SECONDS, elapsed.max() / 8)
        blocks = (elapsed // length).astype(np.int64)
        self.baselines = [_describe(n, c, blocks) for n, c in as_columns(stream.reference).items()]
        sig = window_significance(MONITORING.false_alarm_budget, timedelta(hours=1)) / (2 * len(self.baselines) + 1)
        self.sensitivity = Sensitivity(sig, MONITORING.min_effect_size, 1)

    def summed(self, window: Any, hour: int) -> Any:
        drifts, _ = compare_columns(as_columns(window), self.baselines, sensitivity=self.sensitivity, engine=SciPyEngine())
        return any(d.result.drifted for d in drifts)

    def alarms(self, sums: list[Any], hour: int) -> bool:
        return sums[hour]
