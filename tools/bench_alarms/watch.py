"""driftloop's own code over made-up traffic, driven by arrays: the judgement of drift without frames and reports."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from driftloop.monitor.baseline import describe_columns
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.detector import Detector
from driftloop.monitor.drift import DriftWatch
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.scores import Sums
from driftloop.spec import MonitoringSpec
from tools.bench_alarms.peers import Cells
from tools.bench_alarms.traffic import Stream, as_columns

START = datetime(2026, 3, 2, tzinfo=UTC)
"""Midnight at which the live traffic begins."""
WINDOW = timedelta(hours=1)
MONITORING = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1h", "minRows": 30}})


class Watch:
    """A model's detector on one stream."""

    def __init__(self, stream: Stream) -> None:
        seconds = START.timestamp() + stream.seconds[: stream.edges[0]]
        described = describe_columns(as_columns(stream.reference), seconds, WINDOW, related=True)
        detector = Detector(described.columns, described.pairs, described.joint)
        self._watch = DriftWatch(detector, SciPyEngine())
        self._probability = share_of_window(MONITORING.false_alarm_budget, WINDOW, Share.DRIFT)
        self.carried, self.reasons = 1.0, ()

    def summed(self, window: Cells, hour: int) -> Sums:
        """Return a window's sums."""
        start = START + hour * WINDOW
        return self._watch.detector.scorer.sums(as_columns(window), start, start + WINDOW)

    def alarms(self, window: Cells, sums: Sequence[Sums]) -> bool:
        """Judge a window whose sums are the last ones: is anything significant, and as large as it must be?"""
        if not self._watch.detector.find(sums, self._probability).alarms:
            return False
        found = self._watch.compare(
            as_columns(window),
            sums,
            probability=self._probability,
            min_effect_size=MONITORING.min_effect_size,
        )
        return any(drift.drifted for drift in (*found.columns, *found.pairs, *([found.joint] if found.joint else [])))
