"""From a finished replay to its report. Pure."""

from datetime import timedelta

from driftloop.replay.deciding import NOT_RUN
from driftloop.replay.findings import (
    AFTERMATH_WINDOWS,
    Cost,
    Quarantine,
    ReplayReport,
    alarms_of,
    counts_of,
    days_without,
    find_injection,
    labels_of,
    outside,
    quarantines_of,
    retrainings_of,
)
from driftloop.replay.lab import Replayed, ReplayPlan

_MONTH = timedelta(days=30)


def build_report(
    plan: ReplayPlan, replayed: Replayed, *, source: str, training_seconds: float | None = None
) -> ReplayReport:
    """Return what a replay found.

    Args:
        plan: what was replayed.
        replayed: what came of it.
        source: what was replayed, in plain words.
        training_seconds: how long one training takes, where it was measured.
    """
    monitoring = plan.loop.spec.monitoring
    duration, budget = monitoring.window.duration, monitoring.false_alarm_budget
    aftermath = AFTERMATH_WINDOWS * duration
    others = outside(alarms_of(replayed.verdicts), replayed.periods, aftermath)
    quiet = days_without(replayed.start, replayed.end, replayed.periods, aftermath)
    carried = [verdict.budget.carried for verdict in replayed.verdicts if verdict.budget]
    retrainings = retrainings_of(replayed.entries, replayed.labelled_at)
    runs = sum(run.started for run in retrainings)
    seconds = replayed.answering_seconds + replayed.judging_seconds + replayed.deciding_seconds
    return ReplayReport(
        loop=plan.loop.metadata.name,
        source=source,
        engine=monitoring.engine,
        start=replayed.start,
        end=replayed.end,
        models=labels_of(replayed.entries),
        retraining=NOT_RUN,
        verdict_counts=counts_of(replayed.verdicts),
        injections=tuple(
            find_injection(injection, period, replayed.verdicts, delay=monitoring.labels.expected_delay)
            for injection, period in zip(plan.injections, replayed.periods, strict=True)
        ),
        other_alarms=tuple(others),
        days_without_injection=quiet,
        other_alarms_per_30_days=len(others) * (_MONTH / timedelta(days=1)) / quiet if quiet > 0 else None,
        budget_asked=budget.max * (_MONTH / budget.per),
        budget_carried=max(carried, default=None),
        quarantined=tuple(Quarantine(start=s, end=e, reason=r) for s, e, r in quarantines_of(replayed.entries)),
        retrainings=tuple(retrainings),
        cost=Cost(
            rows=replayed.rows,
            refused_rows=replayed.refused,
            labelled_rows=replayed.labelled,
            seconds=seconds,
            answering_seconds=replayed.answering_seconds,
            judging_seconds=replayed.judging_seconds,
            deciding_seconds=replayed.deciding_seconds,
            cpu_seconds=replayed.cpu_seconds,
            windows_per_second=len(replayed.verdicts) / max(replayed.judging_seconds, 1e-9),
            times_real_time=(replayed.end - replayed.start).total_seconds() / max(seconds, 1e-9),
            training_seconds=training_seconds,
            retraining_seconds=None if training_seconds is None else runs * training_seconds,
        ),
    )
