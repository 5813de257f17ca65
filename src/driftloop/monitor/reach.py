"""What windows of other lengths and sizes would show: the judge's own tests, asked of a quiet window that never was.

For planning: nothing here judges traffic.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from driftloop.monitor.baseline import Baseline, ColumnBaseline
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.calibration import StreamBaseline
from driftloop.monitor.capacity import assess_capacity
from driftloop.monitor.detector import Detector, Findings
from driftloop.monitor.power import power_of_window
from driftloop.monitor.scores import Sums
from driftloop.spec import MonitoringSpec, Power

_NOON = datetime(2001, 1, 1, 12, tzinfo=UTC)


def detector_of(baseline: Baseline) -> Detector:
    """Return what a judge with this baseline compares windows with."""
    return Detector([*baseline.features, *baseline.outputs], baseline.pairs, baseline.joint)


def find_in_quiet_window(baseline: Baseline, detector: Detector, monitoring: MonitoringSpec, rows: int) -> Findings:
    """Return the findings in a window of the loop's length in which nothing moved."""
    length = monitoring.window.duration
    calibration = detector.calibration
    expected, _, _ = calibration.expect(_NOON.timestamp(), (_NOON + length).timestamp())
    present = np.array([stream.rows / max(baseline.rows, 1) for stream in calibration.streams])
    counts = float(rows) * np.minimum(present, 1.0)
    sums = Sums(_NOON, _NOON + length, rows, counts, counts * expected)
    kept = assess_capacity(baseline, monitoring).kept
    return detector.find([sums], share_of_window(kept, length, Share.DRIFT))


def reach_of_window(baseline: Baseline, monitoring: MonitoringSpec, rows: int) -> Power | None:
    """Return the smallest shift of a typical column that a window of so many rows shows by itself.

    None where it has too few rows for a verdict, or nothing to compare.
    """
    if rows < monitoring.window.min_rows:
        return None
    detector = detector_of(baseline)
    if not detector.units:
        return None
    findings = find_in_quiet_window(baseline, detector, monitoring, rows)
    return power_of_window(detector, findings, rows, monitoring.min_effect_size)


def reach_by_column(baseline: Baseline, monitoring: MonitoringSpec, rows: int) -> dict[str, Power]:
    """Return the smallest shift of each column that a window of so many rows shows by itself."""
    detector = detector_of(baseline)
    if not detector.units:
        return {}
    findings = find_in_quiet_window(baseline, detector, monitoring, rows)
    alone = {unit.name: replace(findings, units=(unit,)) for unit in findings.units if detector.is_column(unit.name)}
    powers = {name: power_of_window(detector, found, rows, monitoring.min_effect_size) for name, found in alone.items()}
    return {name: power for name, power in powers.items() if power}


def longer_reference(baseline: Baseline, times: int) -> Baseline:
    """Return the baseline that a reference so many times as long would give, were everything else as it is."""

    def streams(known: Sequence[StreamBaseline]) -> tuple[StreamBaseline, ...]:
        return tuple(
            stream.model_copy(
                update={"rows": stream.rows * times, "blocks": stream.blocks * times, "degrees": stream.degrees * times}
            )
            for stream in known
        )

    def columns(known: Sequence[ColumnBaseline]) -> tuple[ColumnBaseline, ...]:
        return tuple(column.model_copy(update={"streams": streams(column.streams)}) for column in known)

    pairs = tuple(pair.model_copy(update={"stream": streams([pair.stream])[0]}) for pair in baseline.pairs)
    return baseline.model_copy(
        update={
            "rows": baseline.rows * times,
            "features": columns(baseline.features),
            "outputs": columns(baseline.outputs),
            "pairs": pairs,
        }
    )


def with_window(monitoring: MonitoringSpec, duration: timedelta) -> MonitoringSpec:
    """Return the same watch with windows of another length."""
    window = monitoring.window.model_copy(update={"duration": duration})
    return monitoring.model_copy(update={"window": window})
