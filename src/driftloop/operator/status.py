"""The status of a loop in the cluster: a projection of ledger, traffic and Deployments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from driftloop.loop.budget import tell_uncarried
from driftloop.loop.decisions import Wait
from driftloop.loop.history import (
    LedgerEntry,
    LoopState,
    Model,
    Promoted,
    Quarantined,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
)
from driftloop.loop.quiet import active_mutes
from driftloop.loop.runner import RunView
from driftloop.loop.status import is_criterion_reached
from driftloop.loop.telling import tell
from driftloop.operator.annotations import handled_requests
from driftloop.operator.conditions import Circumstances, date_conditions, find_conditions
from driftloop.operator.reports import episode_of
from driftloop.spec import ModelLoop, MonitorState, Verdict
from driftloop.spec.driftreport import report_name
from driftloop.spec.loopstatus import (
    HISTORY_SHOWN,
    Addresses,
    CriterionStatus,
    DecisionStatus,
    FeasibilityStatus,
    HistoryLine,
    LabelStatus,
    LogStatus,
    ModelLoopStatus,
    ModelStatus,
    MuteStatus,
    RunStatus,
    VerdictStatus,
)
from driftloop.workload.names import labels_service_name, predictions_service_name


@dataclass(frozen=True)
class Picture:
    """Everything that a status shows."""

    loop: ModelLoop
    loop_uid: str
    state: LoopState
    entries: Sequence[LedgerEntry]
    verdicts: Sequence[Verdict]
    wait: Wait
    """What the loop waits for."""
    traffic: MonitorState | None
    view: RunView | None
    """What the runner says of the open run."""
    reports: frozenset[str]
    """Names of the DriftReports that are there."""
    is_serving: bool
    is_rolling_out: bool
    trouble: str = ""
    trouble_words: str = ""


def build_status(picture: Picture, obj: dict[str, Any], now: datetime, *, silence: timedelta) -> ModelLoopStatus:
    """Return the status.

    Args:
        picture: what it shows.
        obj: the ModelLoop as the API server keeps it, with the status so far.
        now: the wall clock.
        silence: time after which a monitor that was not heard of counts as gone.
    """
    state, traffic = picture.state, picture.traffic
    verdict = newest_verdict(state, picture.verdicts)
    found = find_conditions(circumstances_of(picture, verdict, now, silence))
    before = (obj.get("status") or {}).get("conditions") or ()
    generation = obj["metadata"].get("generation")
    return ModelLoopStatus(
        observed_generation=generation,
        conditions=date_conditions(found, before, generation=generation, at=now),
        uid=picture.loop_uid,
        champion=_model(state.champion, state.promoted_at),
        challenger=_model(state.candidate, None),
        run=_run(state.open_run, picture.view),
        last_verdict=_verdict(verdict, picture),
        last_decision=_last_decision(picture.entries),
        waiting_for=picture.wait.reasons,
        episode=episode_of(state, picture.verdicts, picture.loop_uid, now),
        mutes=tuple(
            MuteStatus(until=mute.until, kind=mute.kind, by=mute.by, reason=mute.reason)
            for mute in active_mutes(state, now)
        ),
        handled_requests=handled_requests(obj, state),
        evaluated_through=traffic.complete_through if traffic else None,
        labelled_rows=traffic.rows_to_train_on(state.quarantined) if traffic else None,
        promotions=sum(isinstance(entry, Promoted) for entry in picture.entries),
        retrained_at=next((e.at for e in reversed(picture.entries) if isinstance(e, RunFinished) and e.result), None),
        log=LogStatus(rows=traffic.rows, labels=traffic.labels, dropped=traffic.dropped, late=traffic.late_rows)
        if traffic
        else None,
        labels=LabelStatus(**traffic.label_knowledge.model_dump()) if traffic and traffic.label_knowledge else None,
        addresses=_addresses(picture.loop) if state.champion else None,
        success_criteria=_criteria(picture),
        feasibility=FeasibilityStatus(
            verdict=str(state.judged.result.verdict), reasons=state.judged.result.reasons, report=state.judged.report
        )
        if state.judged
        else None,
        last_failure=state.last_failure,
        history=tuple(_line(entry) for entry in picture.entries if not isinstance(entry, Started))[-HISTORY_SHOWN:],
    )


def circumstances_of(picture: Picture, verdict: Verdict | None, now: datetime, silence: timedelta) -> Circumstances:
    """Return what the conditions follow from."""
    state, wait = picture.state, picture.wait
    champion = state.champion.label if state.champion else ""
    is_watched, watch_words = _hear(state, picture.traffic, now, silence)
    activity, words = "", ""
    if state.open_run:
        run, stage = state.open_run, picture.view.stage if picture.view else ""
        activity = "RunInProgress"
        words = f"run v{run.number} ({run.run_key}){stage and f', stage {stage}'}: {run.reason}"
    elif picture.is_rolling_out:
        activity, words = "RollingOut", wait.reasons[0]
    elif champion and not picture.is_serving:
        activity, words = "StartingPods", f"{champion}'s pods are not available yet"
    alarm = verdict is not None and verdict.verdict.is_alarm
    return Circumstances(
        champion=champion,
        is_serving=picture.is_serving,
        is_watched=is_watched,
        watch_words=watch_words,
        budget_words=tell_uncarried(picture.state, picture.verdicts),
        alarm=str(verdict.verdict) if verdict and alarm else "",
        alarm_words=verdict.summary if verdict and alarm else "",
        is_judged=verdict is not None,
        activity=activity,
        activity_words=words,
        trouble=picture.trouble,
        trouble_words=picture.trouble_words,
        stalled="PersonNeeded" if wait.stalled and not activity else "",
        stalled_words="; ".join(wait.reasons),
        waiting=wait.reasons,
        last_failure=state.last_failure,
        is_concept=wait.is_over,
    )


def newest_verdict(state: LoopState, verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the newest verdict on the champion: of either kind, and one that alarms before one that doesn't.

    A window's inputs are judged before its performance. Were the later one shown, a drift would come and go all day.
    """
    version = state.champion.version if state.champion else ""
    newest = {verdict.kind: verdict for verdict in verdicts if verdict.model_version == version}
    return max(newest.values(), key=lambda verdict: (verdict.verdict.is_alarm, verdict.window.end), default=None)


def _hear(state: LoopState, traffic: MonitorState | None, now: datetime, silence: timedelta) -> tuple[bool | None, str]:
    """Return whether the champion is watched, and when its monitor was heard of."""
    if traffic and now < traffic.time + silence:
        return True, ""
    words = (
        f"a monitor committed its log last at {traffic.time:%Y-%m-%d %H:%M:%S}"
        if traffic
        else "no monitor has committed its log"
    )
    is_new = state.promoted_at is not None and now < state.promoted_at + silence
    return (None if is_new else False), f"{words}; it should within {silence.total_seconds():g} s"


def _model(model: Model | None, promoted_at: datetime | None) -> ModelStatus | None:
    if model is None:
        return None
    result = model.result
    return ModelStatus(
        label=model.label,
        version=model.version,
        digest=result.bento_digest,
        bento=result.bento_tag,
        bento_uri=result.bento_uri,
        algorithm=result.algorithm,
        metric=result.metric,
        score=result.test_score,
        run=result.run_key,
        promoted_at=promoted_at,
    )


def _run(run: RunStarted | None, view: RunView | None) -> RunStatus | None:
    if run is None:
        return None
    return RunStatus(
        run_key=run.run_key,
        reason=run.reason,
        pipeline=run.pipeline,
        stage=view.stage if view else "",
        started_at=run.at,
        report=run.report,
        url=view.url if view else "",
    )


def _verdict(verdict: Verdict | None, picture: Picture) -> VerdictStatus | None:
    if verdict is None:
        return None
    name = report_name(picture.loop_uid, verdict.model_version, verdict.kind, verdict.window.start)
    return VerdictStatus(
        kind=verdict.kind,
        model_version=verdict.model_version,
        window=verdict.window,
        verdict=verdict.verdict,
        summary=verdict.summary,
        performance=verdict.performance,
        report=name if name in picture.reports else "",
        harm=verdict.harm,
        expected=verdict.expected,
        budget=verdict.budget,
    )


_ACTIONS = {
    "RunStarted": "StartRun",
    "Promoted": "Promote",
    "Rejected": "Reject",
    "Quarantined": "Quarantine",
    "RunHeld": "Hold",
    "RolledBack": "RollBack",
    "Approved": "Note",
    "Recorded": "Note",
    "Muted": "Note",
    "Unmuted": "Note",
    "Acknowledged": "Acknowledgement",
    "RequestRefused": "Refuse",
}


def _last_decision(entries: Sequence[LedgerEntry]) -> DecisionStatus | None:
    entry = next((entry for entry in reversed(entries) if entry.entry in _ACTIONS), None)
    if entry is None:
        return None
    return DecisionStatus(action=_ACTIONS[entry.entry], reason=tell(entry), run_key=_key_of(entry), at=entry.at)


def _key_of(entry: LedgerEntry) -> str:
    if isinstance(entry, Quarantined | RunHeld):
        return entry.run_key if isinstance(entry, RunHeld) else ""
    model = getattr(entry, "model", None)
    return str(model.result.run_key if model else getattr(entry, "run_key", ""))


def _line(entry: LedgerEntry) -> HistoryLine:
    return HistoryLine(
        at=entry.at, entry=entry.entry, message=tell(entry), by=getattr(entry, "by", ""), run_key=_key_of(entry)
    )


def _addresses(loop: ModelLoop) -> Addresses:
    name, namespace = loop.metadata.name, loop.metadata.namespace
    return Addresses(
        predictions=f"http://{predictions_service_name(name)}.{namespace}.svc/predict",
        labels=f"http://{labels_service_name(name)}.{namespace}.svc/labels",
    )


def _criteria(picture: Picture) -> tuple[CriterionStatus, ...]:
    found = []
    for criterion in picture.loop.spec.problem.success_criteria:
        measured = picture.state.recorded.get(criterion.name)
        value = measured.value if measured else None
        found.append(
            CriterionStatus(
                name=criterion.name,
                value=value,
                measured_at=measured.measured_at if measured else None,
                by=measured.by if measured else "",
                reached=is_criterion_reached(criterion, value),
            )
        )
    return tuple(found)
