"""How a person's request is decided: met, refused with the reason, or put off until the loop's own step is done."""

from datetime import UTC, datetime

from driftloop.loop.brakes import switched_off, too_few_labels
from driftloop.loop.candidate import judge_candidate
from driftloop.loop.decisions import (
    Acknowledgement,
    Decision,
    Facts,
    Note,
    Refuse,
    Reject,
    RollBack,
    StartRun,
    Wait,
    run_key,
)
from driftloop.loop.episodes import episode_key, open_episodes
from driftloop.loop.history import LoopState, Model
from driftloop.loop.quiet import MUTABLE, active_mutes, tell_mute
from driftloop.loop.requests import NEWEST, Acknowledge, Approve, Mute, Record, Request, Retrain, Rollback, Unmute
from driftloop.spec import ModelLoopSpec, Verdict
from driftloop.spec.driftreport import report_name
from driftloop.spec.problem import NEEDS_TARGET
from driftloop.spec.problems import did_you_mean


def answer_request(  # noqa: PLR0911 (one return per verb)
    spec: ModelLoopSpec, state: LoopState, facts: Facts, request: Request, now: datetime
) -> Decision | None:
    """Return the decision on a request; None while a candidate is to be decided upon first."""
    match request.action:
        case Mute():
            return _mute(request, request.action, now)
        case Unmute():
            return _unmute(state, request, request.action, now)
        case Acknowledge():
            return _acknowledge(state, facts, request, request.action)
        case Record():
            return _record(spec, request, request.action)
        case Rollback():
            return _roll_back(state, request, request.action)
        case Approve():
            return _approve(spec, state, request, request.action)
        case Retrain():
            return _retrain(spec, state, facts, request)


def _mute(request: Request, action: Mute, now: datetime) -> Decision:
    try:
        until = parse_until(action.until)
    except ValueError as error:
        return Refuse(request, f"The end of the mute {error}. Got '{action.until}'.")
    if until <= now:
        return Refuse(request, f"The end of the mute must lie ahead; it is {now:%Y-%m-%d %H:%M}. Got '{action.until}'.")
    wrong = _unknown_kind(action.kind)
    if wrong or not action.reason:
        return Refuse(request, wrong or "A mute must have a reason: whoever misses the alarm will ask. Got none.")
    return Note(request)


def _unmute(state: LoopState, request: Request, action: Unmute, now: datetime) -> Decision:
    wrong = _unknown_kind(action.kind)
    if wrong:
        return Refuse(request, wrong)
    mutes = active_mutes(state, now)
    if any(not action.kind or mute.kind == action.kind for mute in mutes):
        return Note(request)
    there = "; ".join(map(tell_mute, mutes)) or "nothing is muted"
    return Refuse(request, f"{action.kind} has no mute of its own: {there}" if action.kind and mutes else there)


def _unknown_kind(name: str) -> str:
    if not name or name in MUTABLE:
        return ""
    known = ", ".join(MUTABLE)
    hint = did_you_mean(name, MUTABLE)
    return f"What is muted must be one of {known}; data faults can't be. Got '{name}'.{hint and f' {hint}'}"


def parse_until(text: str) -> datetime:
    """Read an ISO 8601 date or time; UTC where no zone is given, midnight where no time is.

    Raises:
        ValueError: it is neither; the words begin with 'must'.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("must be an ISO 8601 date or time, such as '2026-12-01' or '2026-12-01T08:00Z'") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _acknowledge(state: LoopState, facts: Facts, request: Request, action: Acknowledge) -> Decision:
    if not action.reason:
        return Refuse(request, "An acknowledgement must have a reason: whoever comes next will ask. Got none.")
    episodes = sorted(open_episodes(state, facts.verdicts), key=lambda episode: episode[-1].window.end, reverse=True)
    if not episodes:
        return Refuse(request, "no drift episode of the champion is open")
    reports = [[_report_on(verdict, facts.loop_uid) for verdict in episode] for episode in episodes]
    found = next((i for i, names in enumerate(reports) if action.report in (NEWEST, *names)), None)
    if found is None:
        told = ", ".join(names[0] for names in reports)
        return Refuse(request, f"no open episode has the drift report '{action.report}'; these begin one: {told}")
    key = episode_key(facts.loop_uid, episodes[found][0])
    known = state.acknowledged.get(key)
    if known:
        return Refuse(request, f"the episode is known already, to {known.by}: {known.reason}")
    return Acknowledgement(request, action.reason, run_key=key, report=reports[found][0])


def _report_on(verdict: Verdict, loop_uid: str) -> str:
    return report_name(loop_uid, verdict.model_version, verdict.kind, verdict.window.start)


def unknown_criterion(spec: ModelLoopSpec, name: str) -> str:
    """Say what is wrong with the name of a success criterion; empty when it is one."""
    names = [criterion.name for criterion in spec.problem.success_criteria]
    if name in names:
        return ""
    known = ", ".join(f"'{known}'" for known in names) or "none"
    hint = did_you_mean(name, names)
    return f"The name must be one of spec.problem.successCriteria ({known}). Got '{name}'.{hint and f' {hint}'}"


def _record(spec: ModelLoopSpec, request: Request, action: Record) -> Decision:
    wrong = unknown_criterion(spec, action.name)
    return Refuse(request, wrong) if wrong else Note(request)


def _roll_back(state: LoopState, request: Request, action: Rollback) -> Decision:
    champion = state.champion
    if champion is None:
        return Refuse(request, "no model serves yet")
    if not action.model:
        if state.previous is None:
            return Refuse(request, f"no model served before {champion.label} that was not itself rolled back from")
        return RollBack(state.previous, _reason(request, f"back from {champion.label}"), request)
    named = {m.version: m for m in state.served if _is_named(m, action.model)}
    if len(named) != 1:
        labels = ", ".join(dict.fromkeys(f"{model.label} ({model.version})" for model in state.served))
        problem = "names several models" if named else "never served"
        return Refuse(request, f"'{action.model}' {problem}; these did: {labels}")
    (model,) = named.values()
    if model.version == champion.version:
        return Refuse(request, f"{champion.label} serves already")
    return RollBack(model, _reason(request, f"from {champion.label} to {model.label}"), request)


def _is_named(model: Model, name: str) -> bool:
    return name == model.label or model.version.startswith(name) or model.result.bento_digest.startswith(name)


def _approve(spec: ModelLoopSpec, state: LoopState, request: Request, action: Approve) -> Decision | None:
    approvers = spec.governance.approvers
    if approvers and request.by not in approvers:
        names = ", ".join(approvers)
        return Refuse(
            request, f"'{request.by}' is not among those who may approve (spec.governance.approvers): {names}"
        )
    candidate = state.candidate
    if candidate is None or candidate.result.run_key != action.run_key:
        waiting = candidate.result.run_key if candidate else "none"
        return Refuse(
            request,
            f"The run key must be that of the challenger that waits. Got '{action.run_key}'; waiting: {waiting}.",
        )
    approval = state.approved.get(action.run_key)
    if approval:
        return Refuse(request, f"{candidate.label} is approved already, by {approval.by}")
    if not isinstance(judge_candidate(spec, state, candidate), Wait):
        return None
    if spec.promotion.approval != "Manual":
        return Refuse(request, f"{candidate.label} waits for no approval (spec.promotion.approval is Automatic)")
    return Note(request)


def _retrain(spec: ModelLoopSpec, state: LoopState, facts: Facts, request: Request) -> Decision | None:
    if state.open_run:
        return Refuse(request, f"run {state.open_run.run_key} is in progress: {state.open_run.reason}")
    if state.candidate and not isinstance(judge_candidate(spec, state, state.candidate), Wait):
        return None
    from_log = state.champion is not None and facts.labelled_rows > 0
    off = switched_off(spec)
    if from_log:
        off += too_few_labels(spec, facts.labelled_rows)
    if off:
        return Refuse(request, "; ".join(off))
    if state.candidate:  # it waits for a person, and a person wants another
        return Reject(state.candidate, f"set aside: {request.by} asked for a retraining")
    kind = "labelled" if spec.problem.task in NEEDS_TARGET else "logged"
    return StartRun(
        run_key(facts.loop_uid, f"request/{request.id}"),
        _reason(request, f"on {kind} traffic" if from_log else "on the data of the file"),
        from_log=from_log,
        basis=None if from_log else facts.basis,
        request=request,
    )


def _reason(request: Request, what: str) -> str:
    reason = request.action.reason if isinstance(request.action, Retrain) else ""
    return f"{request.by} asked for it ({what}){reason and f': {reason}'}"
