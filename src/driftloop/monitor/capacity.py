"""Which false-alarm budget a reference can carry, and why it is not the one asked for. Pure.

A threshold as rare as one alarm in thousands of windows is an extrapolation from the reference's blocks. Where they are
too few, too alike or themselves on the move, an honest monitor says what it can promise instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.calibration import StreamBaseline
from driftloop.monitor.season import CYCLES, DAY
from driftloop.spec import Budget, FalseAlarmBudget, MonitoringSpec

MONTH = timedelta(days=30)
RARER_THAN_BLOCKS = 100
"""A stable window's chance of an alarm is extrapolated to once in so many times the independent blocks, no further."""
SIGNIFICANT_TREND = 0.01
"""p-value of a trend in the reference, for all its streams together."""
LAGS_OF_A_WAVE = 2
"""A part of a daily wave makes blocks alike over hours; by chance, some of many columns are like their neighbours."""
ALARMS_A_DAY_UNKNOWN_SEASON = 2
"""Episodes of alarms that an unknown daily season brings: on its rise and on its fall."""
ALARMS_A_DAY_TREND = 1


@dataclass(frozen=True)
class Capacity:
    """What a reference can carry."""

    budget: Budget
    """As it is told."""
    kept: FalseAlarmBudget
    """What the thresholds are made from: the budget asked for, or the strictest that the number of blocks allows."""


def capacity(baseline: Baseline, monitoring: MonitoringSpec) -> Budget:
    """Return the budget that a model's reference can carry, in alarms per 30 days, with the reasons."""
    return assess_capacity(baseline, monitoring).budget


def assess_capacity(baseline: Baseline, monitoring: MonitoringSpec) -> Capacity:
    """Return the budget that a model's reference can carry, and the one its thresholds are made from."""
    asked = monitoring.false_alarm_budget
    asked_monthly = asked.max * (MONTH / asked.per)
    length = monitoring.window.duration
    streams = [stream for column in baseline.features for stream in column.streams]
    timed = [stream for stream in streams if stream.blocks > 0]
    if not timed:
        reason = "the reference has no times: the budget holds only if rows are independent of each other"
        return Capacity(Budget(asked=asked_monthly, carried=asked_monthly, reasons=(reason,) if streams else ()), asked)
    reasons: list[str] = []
    independent = float(np.median([_independent_blocks(stream) for stream in timed]))
    kept, carried = asked, asked_monthly
    factor = 1 / (RARER_THAN_BLOCKS * independent) / share_of_window(asked, length, Share.DRIFT)
    if factor > 1:
        kept = FalseAlarmBudget(max=1, per=asked.per / (asked.max * factor))
        carried = asked_monthly * factor
        reasons.append(
            f"the reference has {independent:.0f} independent blocks of {_duration(timed[0].block_seconds)}, too few "
            f"for thresholds that rare; {independent * factor:.0f} would do"
        )
    most = MONTH / length
    if _season_unknown(timed, length):
        span = _duration(timed[0].blocks * timed[0].block_seconds)
        if _moving(timed) or any(len(stream.autocorrelation) >= LAGS_OF_A_WAVE for stream in timed):
            carried = max(carried, min(ALARMS_A_DAY_UNKNOWN_SEASON * 30, most))
            reasons.append(
                f"the reference covers {span}, less than two days, and changes within it: a daily season can't be told "
                "from drift"
            )
        else:
            reasons.append(f"the reference covers only {span}: a daily season that it does not show would be drift")
    elif moving := _moving(timed):
        carried = max(carried, min(ALARMS_A_DAY_TREND * 30, most))
        names = [c.name for c in baseline.features if any(stream in moving for stream in c.streams)]
        reasons.append(f"the reference itself drifts: {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}")  # noqa: PLR2004
    return Capacity(Budget(asked=asked_monthly, carried=carried, reasons=tuple(reasons)), kept)


def _independent_blocks(stream: StreamBaseline) -> float:
    """Return the number of blocks that tell as much when they resemble their neighbours."""
    return stream.blocks / (1 + 2 * sum(stream.autocorrelation))


def _season_unknown(streams: Sequence[StreamBaseline], length: timedelta) -> bool:
    span = max(stream.blocks * stream.block_seconds for stream in streams)
    return length.total_seconds() < DAY / 2 and span < CYCLES * DAY


def _moving(streams: Sequence[StreamBaseline]) -> list[StreamBaseline]:
    """Return the streams whose trend over the reference is significant."""
    return [stream for stream in streams if stream.trend < SIGNIFICANT_TREND / len(streams)]


def _duration(seconds: float) -> str:
    for unit, size in (("days", DAY), ("hours", 3600.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 60:.3g} minutes"
