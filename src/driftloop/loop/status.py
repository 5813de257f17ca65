"""The status of a loop, as `driftloop status` and `kubectl get modelloops` show it: a projection, never the truth.

Conditions follow the Kubernetes conventions that kstatus reads (`Ready`, `Reconciling`, `Stalled`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from driftloop.loop.budget import tell_uncarried
from driftloop.loop.decisions import Decision, Facts, Wait
from driftloop.loop.episodes import episode_key, open_episodes
from driftloop.loop.history import LedgerEntry, LoopState, Model, Promoted, Recorded, Started
from driftloop.loop.quiet import active_mutes, tell_mute, why_quiet
from driftloop.spec import ModelLoop, Verdict
from driftloop.spec.boundary import format_duration
from driftloop.spec.driftreport import report_name
from driftloop.spec.problem import SuccessCriterion

HISTORY_SHOWN = 10


def project_status(
    loop: ModelLoop,
    state: LoopState,
    facts: Facts,
    decision: Decision,
    *,
    now: datetime,
    settled_through: datetime | None,
    serving: bool,
    watching: bool,
    recent: Sequence[LedgerEntry],
    log: Mapping[str, Any],
    labels: Mapping[str, Any],
    run_stage: str,
    addresses: Mapping[str, str],
) -> dict[str, Any]:
    """Return the status as plain JSON values.

    Args:
        loop: the object whose status it is.
        state: what follows from the ledger.
        facts: what the decision was based on.
        decision: the newest decision.
        now: the loop's clock.
        settled_through: event time up to which everything is judged, decided and carried out; None while busy.
        serving: whether the champion answers.
        watching: whether the monitor answers.
        recent: the ledger's entries, oldest first; the last ten are shown.
        log: counts of the prediction log.
        labels: how far the truth about the newest complete window is known; empty where it wasn't looked at.
        run_stage: stage of the run in progress, or empty.
        addresses: where predictions and labels are taken.
    """
    waiting = list(decision.reasons) if isinstance(decision, Wait) else []
    stalled = isinstance(decision, Wait) and decision.stalled
    alarm = next((v for v in reversed(facts.verdicts) if _is_of(v.model_version, state.champion)), None)
    drifted = alarm is not None and alarm.verdict.is_alarm
    busy = state.open_run is not None or not isinstance(decision, Wait)
    uncarried = tell_uncarried(state, facts.verdicts)
    conditions = {
        "Ready": serving and watching and state.champion is not None,
        "Trained": state.champion is not None,
        "Available": serving,
        "Monitored": watching,
        "Drifted": drifted,
        "Reconciling": busy,
        "Stalled": stalled,
    }
    return {
        "loop": loop.metadata.name,
        "uid": facts.loop_uid,
        "time": now.isoformat(),
        "settledThrough": settled_through.isoformat() if settled_through else None,
        "addresses": dict(addresses),
        "conditions": [
            {"type": kind, "status": str(value)}
            | ({"reason": "BudgetNotCarried", "message": uncarried} if kind == "Monitored" and uncarried else {})
            for kind, value in conditions.items()
        ],
        "champion": _describe(state.champion),
        "candidate": _describe(state.candidate),
        "run": state.open_run.to_dict() | {"stage": run_stage} if state.open_run else None,
        "lastVerdict": alarm.to_dict() if alarm else None,
        "promotions": sum(isinstance(entry, Promoted) for entry in recent),
        "labelledRows": facts.labelled_rows,
        "minRows": loop.spec.data.min_rows,
        "nextWindowEnd": _next_window_end(now, loop.spec.monitoring.window.duration).isoformat(),
        "expectedLabelDelay": format_duration(loop.spec.monitoring.labels.expected_delay),
        "log": dict(log),
        "labels": dict(labels),
        "waitingFor": waiting,
        "mutes": [tell_mute(mute) for mute in active_mutes(state, now)],
        "episodes": [_describe_episode(episode, state, facts, now) for episode in open_episodes(state, facts.verdicts)],
        "requests": [
            {"id": request.id, "verb": request.action.verb, "by": request.by, "at": request.at.isoformat()}
            for request in facts.requests
            if request.id not in state.handled
        ],
        "successCriteria": [
            _describe_criterion(criterion, state.recorded.get(criterion.name))
            for criterion in loop.spec.problem.success_criteria
        ],
        "feasibility": state.judged.result.to_dict() | {"report": state.judged.report} if state.judged else None,
        "lastFailure": state.last_failure,
        "history": [entry.to_dict() for entry in _worth_showing(recent)[-HISTORY_SHOWN:]],
    }


def _worth_showing(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Leave out all but the last of several starts in a row: a controller that was killed often says nothing new."""
    following = [*entries[1:], None]
    return [
        entry
        for entry, next_entry in zip(entries, following, strict=True)
        if not (isinstance(entry, Started) and isinstance(next_entry, Started))
    ]


def _next_window_end(now: datetime, duration: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // duration + 1) * duration


def _is_of(version: str, model: Model | None) -> bool:
    return model is not None and model.version == version


def _describe_episode(episode: Sequence[Verdict], state: LoopState, facts: Facts, now: datetime) -> dict[str, str]:
    first, newest = episode[0], episode[-1]
    return {
        "report": report_name(facts.loop_uid, first.model_version, first.kind, first.window.start),
        "kind": str(first.kind),
        "since": first.window.start.isoformat(),
        "verdict": str(newest.verdict),
        "quiet": why_quiet(newest, episode_key(facts.loop_uid, first), state, now),
    }


def _describe(model: Model | None) -> dict[str, Any] | None:
    if model is None:
        return None
    result = model.result
    return {
        "label": model.label,
        "version": model.version,
        "digest": result.bento_digest,
        "bento": result.bento_tag,
        "algorithm": result.algorithm,
        "metric": result.metric,
        "score": result.test_score,
        "run": result.run_key,
    }


def _describe_criterion(criterion: SuccessCriterion, measured: Recorded | None) -> dict[str, Any]:
    value = measured.value if measured else None
    return {
        "name": criterion.name,
        "baseline": criterion.baseline,
        "goal": criterion.goal,
        "value": value,
        "measuredAt": measured.measured_at.isoformat() if measured else None,
        "note": measured.note if measured else "",
        "by": measured.by if measured else "",
        "reached": is_criterion_reached(criterion, value),
    }


def is_criterion_reached(criterion: SuccessCriterion, value: float | None) -> bool | None:
    """Whether a value is at the goal or beyond it, seen from the baseline; None where there is nothing to tell by."""
    if value is None or criterion.baseline is None or criterion.baseline == criterion.goal:
        return None
    return value >= criterion.goal if criterion.goal > criterion.baseline else value <= criterion.goal
