"""The one place where a loop decides: (spec, state, facts, now) in, one decision out.

Pure. It is called again and again; every decision that acts leaves a ledger entry, after which the same facts lead to
the next decision. Repeating a call changes nothing: run keys are derived from the facts.
"""

from collections.abc import Sequence
from datetime import datetime

from driftloop.loop.answer import answer_request
from driftloop.loop.basis import tell_change
from driftloop.loop.brakes import braked, switched_off, too_few_labels
from driftloop.loop.candidate import judge_candidate
from driftloop.loop.decisions import Decision, Facts, Hold, Quarantine, StartRun, Wait, run_key
from driftloop.loop.episodes import episode_key, open_episodes, verdicts_of_champion
from driftloop.loop.history import LoopState, PipelineName
from driftloop.loop.ladder import with_effort
from driftloop.loop.quiet import why_quiet
from driftloop.spec import Harm, Maturity, ModelLoopSpec, Verdict, VerdictKind
from driftloop.spec.driftreport import report_name


def decide(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> Decision:
    """Return what to do now.

    Order: what people ask, what is under way, a first model, faulty data, a changed file or changed data, drift.
    """
    decision = _decide(spec, state, facts, now)
    return with_effort(spec, state, decision, facts.basis) if isinstance(decision, StartRun) else decision


def _decide(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> Decision:
    pending = next((request for request in facts.requests if request.id not in state.handled), None)
    answer = answer_request(spec, state, facts, pending, now) if pending else None
    if answer:
        return answer
    if state.open_run:
        return Wait((f"run {state.open_run.run_key} is in progress: {state.open_run.reason}",))
    if state.candidate:
        return judge_candidate(spec, state, state.candidate)
    return _mind_champion(spec, state, facts, now) if state.champion else _first_run(spec, state, facts)


def _mind_champion(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> Decision:
    verdicts = verdicts_of_champion(state, facts.verdicts)
    fault = next((v for v in verdicts if _is_new_fault(v, state)), None)
    if fault:
        return Quarantine(fault, f"data fault, so these rows train nothing and a person should look: {fault.summary}")
    change = _answer_change(spec, state, facts, now)
    if isinstance(change, StartRun | Hold):
        return change
    drift = _answer_drift(spec, state, facts, now)
    if change and isinstance(drift, Wait):
        return Wait((*change.reasons, *drift.reasons), stalled=change.stalled or drift.stalled)
    return drift


def _first_run(spec: ModelLoopSpec, state: LoopState, facts: Facts) -> Decision:
    if spec.suspend:
        return Wait(("the loop is suspended (spec.suspend) and has no model yet",), stalled=True)
    pipeline = first_pipeline(spec)
    want = "no model yet"
    if pipeline == "feasibility":
        want = "a proof of concept is wanted (spec.maturity)"
    elif spec.model:
        want = f"no model yet, and there is one at {spec.model.uri}"
    judged = state.judged if pipeline == "feasibility" else None
    if not judged and not state.last_failure:
        key = run_key(facts.loop_uid, f"first/{state.next_number}")
        return StartRun(key, want, basis=facts.basis, pipeline=pipeline)
    if facts.basis is None or facts.basis.key in state.learned:
        if judged and not state.last_failure:
            return Wait((f"the proof of concept is judged {judged.result.verdict}: {judged.report}",), is_over=True)
        return Wait((f"no first model: {state.last_failure}",), stalled=True)
    news = tell_change(state.basis, facts.basis, spec.data.uri) if state.basis else "the data can be read now"
    key = run_key(facts.loop_uid, f"basis/{facts.basis.key}")
    return StartRun(key, f"{want}; {news}", basis=facts.basis, pipeline=pipeline)


def first_pipeline(spec: ModelLoopSpec) -> PipelineName:
    """Return what a loop without a model runs."""
    if spec.maturity is Maturity.PROOF_OF_CONCEPT:
        return "feasibility"
    return "adoption" if spec.model else "training"


def _answer_change(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> StartRun | Hold | Wait | None:
    """Answer a change of the file or of the user's data; None when there is none, or nothing to compare with."""
    basis, known = facts.basis, state.basis
    if basis is None or known is None or basis == known:
        return None
    cause = tell_change(known, basis, spec.data.uri)
    if basis.key in state.learned:
        return Wait((f"{cause}, and the loop has learned from just that before; to learn again: driftloop retrain",))
    key = run_key(facts.loop_uid, f"basis/{basis.key}")
    # A person who edits the file wants its effect now; data may change by themselves, as often as they like.
    blocks = switched_off(spec) + (braked(spec, state, now) if basis.groups == known.groups else [])
    if not blocks:
        return StartRun(key, cause, basis=basis)
    if key not in state.held:
        return Hold(key, f"{blocks[0]}; {cause}")
    return Wait((*blocks, f"held back: {cause}"), stalled=bool(switched_off(spec)))


def _is_new_fault(verdict: Verdict, state: LoopState) -> bool:
    return verdict.verdict is VerdictKind.DATA_FAULT and verdict.window.start not in state.quarantined


def _answer_drift(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> Decision:
    """Answer the newest episode that calls for a run; where none does, say of each why not."""
    episodes = open_episodes(state, facts.verdicts)
    silences = [_why_no_run(spec, state, facts.loop_uid, episode, now) for episode in episodes]
    calling = [episode for episode, silence in zip(episodes, silences, strict=True) if not silence]
    if not calling:
        return Wait(tuple(dict.fromkeys(silences)) or ("nothing calls for a retraining",))
    episode = max(calling, key=lambda e: e[-1].window.end)
    newest = episode[-1]
    cause = f"{newest.verdict} in the window of {newest.window.start:%Y-%m-%d}: {newest.summary}"
    first = episode[0]
    key = episode_key(facts.loop_uid, first)
    if key in state.run_keys:
        return Wait((f"run {key} has already answered this episode ({newest.verdict})",))
    blocks = switched_off(spec) + too_few_labels(spec, facts.labelled_rows) + braked(spec, state, now)
    if not blocks:
        report = report_name(facts.loop_uid, first.model_version, first.kind, first.window.start)
        return StartRun(key, cause, from_log=True, report=report)
    if key not in state.held:
        return Hold(key, f"{blocks[0]}; {cause}")
    return Wait((*blocks, f"held back: {cause}"), stalled=spec.suspend)


def _why_no_run(spec: ModelLoopSpec, state: LoopState, loop_uid: str, episode: Sequence[Verdict], now: datetime) -> str:
    """Say why an episode calls for no run, by its newest window; empty where it calls for one."""
    newest = episode[-1]
    quiet = why_quiet(newest, episode_key(loop_uid, episode[0]), state, now)
    if quiet:
        return quiet
    if newest.verdict is VerdictKind.UNKNOWN:
        return f"what moved fits no known cause, so nothing is retrained and a person should look: {newest.summary}"
    triggers = spec.retraining.triggers
    if newest.verdict not in {VerdictKind(trigger.value) for trigger in triggers}:
        return f"{newest.verdict} is seen, and is not among spec.retraining.triggers ({', '.join(triggers)})"
    if newest.harm is Harm.HARMLESS:
        return f"{newest.verdict} is harmless: the inputs moved and the model answers as well as before"
    return ""
