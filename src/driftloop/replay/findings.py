"""What a replay found, as figures and as JSON: verdicts, delays, false alarms, retrainings and cost. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from driftloop.loop.history import LedgerEntry, Promoted, Quarantined, RolledBack, RunHeld, RunStarted
from driftloop.monitor.detector import LONG
from driftloop.replay.deciding import due
from driftloop.replay.injections import Injection, InjectionKind
from driftloop.spec import ReportKind, Verdict, VerdictKind
from driftloop.spec.boundary import Boundary

K, V = InjectionKind, VerdictKind
AFTERMATH_WINDOWS = LONG
"""Windows after an injection that still count as its own: verdicts look back over so many."""
_FAULT = (V.DATA_FAULT,)
_ERRORS = (V.CONCEPT_DRIFT, V.PERFORMANCE_DROP)
FITTING: Mapping[InjectionKind, tuple[VerdictKind, ...]] = {
    K.MEAN_SHIFT: (V.COVARIATE_DRIFT,),
    K.SCALE_SHIFT: (V.COVARIATE_DRIFT,),
    K.NULL_BURST: _FAULT,
    K.UNIT_CHANGE: _FAULT,
    K.NEW_CATEGORY: _FAULT,
    K.COLUMN_SWAP: _FAULT,
    K.STUCK_SENSOR: _FAULT,
    K.DUPLICATED_FEED: _FAULT,
    K.FEATURE_PERMUTATION: (V.DATA_FAULT, V.COVARIATE_DRIFT, V.UNKNOWN, *_ERRORS),
    K.LABEL_SWAP: (V.DATA_FAULT, *_ERRORS),
    K.CONCEPT: _ERRORS,
    K.CLASS_PRIOR: (V.PRIOR_SHIFT,),
}
"""The verdicts that say rightly what was injected."""


class Alarm(Boundary):
    """A run of alarming windows of one kind and model version: what a person is told once."""

    kind: ReportKind
    model_version: str
    verdict: VerdictKind
    """Of its first window."""
    start: datetime
    """Start of its first window."""
    end: datetime
    """End of its last one."""
    windows: int
    summary: str


class Detection(Boundary):
    """The first alarm after an injection began."""

    verdict: VerdictKind
    kind: ReportKind
    window_start: datetime
    at: datetime
    """When the verdict fell due: with its window's end, or when its labels were mature."""
    delay_seconds: float
    """From the injection's start to then."""
    windows: int
    """Windows judged until then, this one included."""
    summary: str


class InjectionFinding(Boundary):
    """What became of one injection."""

    injection: str
    kind: InjectionKind
    start: datetime
    end: datetime
    already_alarming: bool
    """An alarm was on when it began: what came first may not be its own."""
    first_alarm: Detection | None = None
    """Of any kind."""
    fitting_alarm: Detection | None = None
    """Of a kind that fits it."""
    alarming_windows: int = 0
    """Windows of its period, of either kind of verdict, that alarmed."""
    judged_windows: int = 0


class Retraining(Boundary):
    """A run that would have started, or was held back."""

    at: datetime
    started: bool
    reason: str
    labelled_rows: int | None = None
    """It would have learned from."""


class Quarantine(Boundary):
    """A window whose rows would have been kept out of training."""

    start: datetime
    end: datetime
    reason: str


class Cost(Boundary):
    """What the replay and the loop would cost."""

    rows: int
    refused_rows: int
    """Rows that the model's server would not have answered: text for a number, or a gap where training had none."""
    labelled_rows: int
    seconds: float
    answering_seconds: float
    judging_seconds: float
    deciding_seconds: float
    cpu_seconds: float
    """Of one core; less than `seconds` where the machine has more to do."""
    windows_per_second: float
    """Verdicts of either kind in a second."""
    times_real_time: float
    """Event time over the seconds that the replay took, training of a first model left out."""
    training_seconds: float | None = None
    """One training as measured on this machine; None where nobody knows."""
    retraining_seconds: float | None = None
    """All retrainings at that."""


class ReplayReport(Boundary):
    """Everything a replay found."""

    format_version: int = 1
    loop: str
    source: str
    """What was replayed, in plain words."""
    engine: str
    start: datetime
    end: datetime
    models: dict[str, str]
    """Short name by model version."""
    retraining: str
    """How a retraining was treated."""
    verdict_counts: dict[ReportKind, dict[VerdictKind, int]]
    injections: tuple[InjectionFinding, ...]
    other_alarms: tuple[Alarm, ...]
    """Alarms that belong to no injection: false ones where the traffic does not change by itself."""
    days_without_injection: float
    other_alarms_per_30_days: float | None
    """None where no time is without injection."""
    budget_asked: float
    """False alarms in 30 days."""
    budget_carried: float | None
    """The most that any verdict says it can carry; None where none says it."""
    quarantined: tuple[Quarantine, ...]
    retrainings: tuple[Retraining, ...]
    cost: Cost


def find_injection(
    injection: Injection, period: tuple[datetime, datetime], verdicts: Sequence[Verdict], *, delay: timedelta
) -> InjectionFinding:
    """Return what the verdicts, in the order in which they fell due, say of an injection.

    Args:
        injection: what was done.
        period: when.
        verdicts: all of the replay.
        delay: time after a window's end at which its labels are mature.
    """
    start, end = period
    length = max((v.window.end - v.window.start for v in verdicts), default=timedelta(0))
    after = end + AFTERMATH_WINDOWS * length
    within = [v for v in verdicts if v.window.end > start and v.window.start < after]
    before = [v for v in verdicts if v.window.end <= start]
    standing = {
        kind: [v for v in before if v.kind is kind and v.verdict is not V.NOT_ENOUGH_DATA] for kind in ReportKind
    }

    def first(kinds: Sequence[VerdictKind] | None) -> Detection | None:
        for verdict in within:
            if verdict.verdict.is_alarm and (kinds is None or verdict.verdict in kinds):
                at = due(verdict, delay)
                count = sum(v.kind is verdict.kind and v.window.start <= verdict.window.start for v in within)
                return Detection(
                    verdict=verdict.verdict,
                    kind=verdict.kind,
                    window_start=verdict.window.start,
                    at=at,
                    delay_seconds=(at - start).total_seconds(),
                    windows=count,
                    summary=verdict.summary,
                )
        return None

    inside = [v for v in within if v.window.start < end and v.verdict is not V.NOT_ENOUGH_DATA]
    return InjectionFinding(
        injection=str(injection),
        kind=injection.kind,
        start=start,
        end=end,
        already_alarming=any(known and known[-1].verdict.is_alarm for known in standing.values()),
        first_alarm=first(None),
        fitting_alarm=first(FITTING[injection.kind]),
        alarming_windows=sum(v.verdict.is_alarm for v in inside),
        judged_windows=len(inside),
    )


def alarms_of(verdicts: Sequence[Verdict]) -> list[Alarm]:
    """Return the episodes: runs of alarming windows; windows without enough data neither end nor extend one."""
    found = []

    def stream(verdict: Verdict) -> tuple[ReportKind, str]:
        return verdict.kind, verdict.model_version

    for _, own in groupby(sorted(verdicts, key=lambda v: (*stream(v), v.window.start)), stream):
        judged = [v for v in own if v.verdict is not V.NOT_ENOUGH_DATA]
        for is_alarm, run in groupby(judged, lambda v: v.verdict.is_alarm):
            if is_alarm:
                windows = list(run)
                first = windows[0]
                found.append(
                    Alarm(
                        kind=first.kind,
                        model_version=first.model_version,
                        verdict=first.verdict,
                        start=first.window.start,
                        end=windows[-1].window.end,
                        windows=len(windows),
                        summary=first.summary,
                    )
                )
    return sorted(found, key=lambda alarm: alarm.start)


def outside(alarms: Sequence[Alarm], periods: Sequence[tuple[datetime, datetime]], aftermath: timedelta) -> list[Alarm]:
    """Return the alarms whose first window lies in no injection's period nor its aftermath."""
    return [
        alarm
        for alarm in alarms
        if not any(start < alarm.end and alarm.start < end + aftermath for start, end in periods)
    ]


def days_without(
    start: datetime, end: datetime, periods: Sequence[tuple[datetime, datetime]], aftermath: timedelta
) -> float:
    """Return the days of a stretch that lie in no period nor its aftermath."""
    covered, reached = timedelta(0), start
    for low, high in sorted((max(low, start), min(high + aftermath, end)) for low, high in periods):
        covered += max(high - max(low, reached), timedelta(0))
        reached = max(reached, high)
    return (end - start - covered) / timedelta(days=1)


def retrainings_of(entries: Sequence[LedgerEntry], labelled_at: Mapping[str, int]) -> list[Retraining]:
    """Return the runs that the replay's decisions started or held back; runs for a first model are none."""
    return [
        Retraining(
            at=entry.at,
            started=isinstance(entry, RunStarted),
            reason=entry.reason,
            labelled_rows=labelled_at.get(entry.run_key),
        )
        for entry in entries
        if isinstance(entry, RunStarted | RunHeld) and (isinstance(entry, RunHeld) or entry.run_key in labelled_at)
    ]


def quarantines_of(entries: Sequence[LedgerEntry]) -> list[tuple[datetime, datetime, str]]:
    """Return the windows that were quarantined, with the reason."""
    return [(e.window_start, e.window_end, e.reason) for e in entries if isinstance(e, Quarantined)]


def labels_of(entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Return the short name of each version that served."""
    return {entry.model.version: entry.model.label for entry in entries if isinstance(entry, Promoted | RolledBack)}


def counts_of(verdicts: Sequence[Verdict]) -> dict[ReportKind, dict[VerdictKind, int]]:
    """Return how often each verdict came, by what it looked at."""
    counts = Counter((verdict.kind, verdict.verdict) for verdict in verdicts)
    return {kind: {v: counts[kind, v] for v in V if counts[kind, v]} for kind in ReportKind}
