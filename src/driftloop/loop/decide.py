"""The one place where a loop decides: (spec, state, facts, now) in, one decision out.

Pure. It is called again and again; every decision that acts leaves a ledger entry, after which the same facts lead to
the next decision. Repeating a call changes nothing: run keys are derived from the facts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from driftloop.loop.history import LoopState, Model
from driftloop.spec import Maturity, ModelLoopSpec, ReportKind, RunVerdict, Trigger, Verdict, VerdictKind
from driftloop.spec.boundary import format_duration


@dataclass(frozen=True)
class Facts:
    """What is known of the outside world at one moment."""

    loop_uid: str
    verdicts: tuple[Verdict, ...] = ()
    """All verdicts so far, oldest first."""
    labelled_rows: int = 0
    """Logged predictions with a label, outside quarantined windows."""
    approved: frozenset[str] = frozenset()
    """Run keys whose model a person approved."""


@dataclass(frozen=True)
class StartRun:
    """Order a pipeline run."""

    run_key: str
    reason: str


@dataclass(frozen=True)
class Promote:
    """Let the candidate serve."""

    model: Model
    reason: str


@dataclass(frozen=True)
class Reject:
    """Turn the candidate down; the champion stays."""

    model: Model
    reason: str


@dataclass(frozen=True)
class Quarantine:
    """Keep a window's data out of training and tell a person."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Hold:
    """Record that a run is called for and can't start yet; said once, then waited for."""

    run_key: str
    reason: str


@dataclass(frozen=True)
class Wait:
    """Do nothing now, for these reasons; the first is the one to show."""

    reasons: tuple[str, ...]
    stalled: bool = False
    """Nothing will happen without a person."""


Decision = StartRun | Promote | Reject | Quarantine | Hold | Wait


def decide(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> Decision:
    """Return what to do now.

    Order: finish what is under way, then get a first model, then keep faulty data out, then answer drift.
    """
    if state.open_run:
        return Wait((f"run {state.open_run.run_key} is in progress: {state.open_run.reason}",))
    if state.candidate:
        return _judge_candidate(spec, state, state.candidate, facts)
    if state.champion is None:
        return _first_run(state, facts, suspended=spec.suspend)
    verdicts = _verdicts_of_champion(state, facts.verdicts)
    fault = next((v for v in verdicts if _is_new_fault(v, state)), None)
    if fault:
        return Quarantine(fault, f"data fault, so these rows train nothing and a person should look: {fault.summary}")
    return _answer_drift(spec, state, facts, verdicts, now)


def _first_run(state: LoopState, facts: Facts, *, suspended: bool) -> Decision:
    if suspended:
        return Wait(("the loop is suspended (spec.suspend) and has no model yet",), stalled=True)
    if state.last_failure:
        return Wait((f"no first model: {state.last_failure}",), stalled=True)
    return StartRun(_run_key(facts.loop_uid, f"first/{state.next_number}"), "no model yet")


def _judge_candidate(spec: ModelLoopSpec, state: LoopState, candidate: Model, facts: Facts) -> Decision:
    result = candidate.result
    reasons = " ".join(result.reasons)
    if result.verdict is RunVerdict.REJECTED:
        return Reject(candidate, reasons)
    if state.champion and state.champion.version == candidate.version:
        return Reject(candidate, "it is the same model as the champion")
    if state.champion and spec.maturity is Maturity.PROOF_OF_CONCEPT:
        return Reject(candidate, "a proof of concept promotes nothing after its first model")
    if state.champion and spec.suspend:
        return Wait((f"{candidate.label} is accepted; the loop is suspended (spec.suspend)",), stalled=True)
    if state.champion and spec.promotion.approval == "Manual" and result.run_key not in facts.approved:
        remedy = f"approve it with: driftloop approve {result.run_key}"
        return Wait((f"{candidate.label} is accepted and waits for a person; {remedy}",), stalled=True)
    return Promote(candidate, reasons)


def _verdicts_of_champion(state: LoopState, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The champion's verdicts on windows that the newest run has not seen."""
    version = state.champion.version if state.champion else ""
    through = state.runs[-1].data_through if state.runs else None
    return [v for v in verdicts if v.model_version == version and (through is None or v.window.end > through)]


def _is_new_fault(verdict: Verdict, state: LoopState) -> bool:
    return verdict.verdict is VerdictKind.DATA_FAULT and verdict.window.start not in state.quarantined


def _answer_drift(
    spec: ModelLoopSpec, state: LoopState, facts: Facts, verdicts: Sequence[Verdict], now: datetime
) -> Decision:
    triggers = {VerdictKind(trigger.value) for trigger in spec.retraining.triggers}
    episodes = [e for kind in ReportKind if (e := open_episode([v for v in verdicts if v.kind is kind]))]
    calling = [episode for episode in episodes if episode[-1].verdict in triggers]
    if not calling:
        return Wait((_why_quiet(episodes, spec.retraining.triggers),))
    episode = max(calling, key=lambda e: e[-1].window.end)
    newest = episode[-1]
    cause = f"{newest.verdict} in the window of {newest.window.start:%Y-%m-%d}: {newest.summary}"
    first = episode[0]
    key = _run_key(facts.loop_uid, f"{first.model_version}/{first.kind}/{first.window.start.isoformat()}")
    if key in state.run_keys:
        return Wait((f"run {key} has already answered this episode ({newest.verdict})",))
    blocks = _blocks(spec, state, facts, now)
    if not blocks:
        return StartRun(key, cause)
    if key not in state.held:
        return Hold(key, f"{blocks[0]}; {cause}")
    return Wait((*blocks, f"held back: {cause}"), stalled=spec.suspend)


def open_episode(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the newest unbroken run of alarming windows, oldest first; empty when the newest verdict is no alarm.

    Windows with too little data neither break nor extend an episode; a data fault is no drift and ends it.
    """
    episode: list[Verdict] = []
    for verdict in reversed(verdicts):
        if verdict.verdict is VerdictKind.NOT_ENOUGH_DATA:
            continue
        if not verdict.verdict.is_alarm or verdict.verdict is VerdictKind.DATA_FAULT:
            break
        episode.append(verdict)
    return episode[::-1]


def _blocks(spec: ModelLoopSpec, state: LoopState, facts: Facts, now: datetime) -> tuple[str, ...]:
    """Why a retraining that is called for can't start now; empty when it can."""
    retraining = spec.retraining
    blocks = []
    if spec.suspend:
        blocks.append("the loop is suspended (spec.suspend)")
    if retraining.mode == "DryRun":
        blocks.append("nothing is started in mode DryRun (spec.retraining.mode)")
    if facts.labelled_rows < spec.data.min_rows:
        blocks.append(f"{facts.labelled_rows:,} labelled rows of the {spec.data.min_rows:,} needed (spec.data.minRows)")
    retrainings = [run for run in state.runs if run.number > 1]
    if retrainings and now < retrainings[-1].at + retraining.cooldown:
        until = retrainings[-1].at + retraining.cooldown
        length = format_duration(retraining.cooldown)
        blocks.append(f"cooldown of {length} until {until:%Y-%m-%d %H:%M} (spec.retraining.cooldown)")
    recent = [run for run in retrainings if run.at > now - retraining.limit.per]
    if len(recent) >= retraining.limit.max:
        per = format_duration(retraining.limit.per)
        blocks.append(f"{len(recent)} runs within {per}, the most allowed (spec.retraining.limit)")
    return tuple(blocks)


def _why_quiet(episodes: Sequence[Sequence[Verdict]], triggers: Sequence[Trigger]) -> str:
    if not episodes:
        return "nothing calls for a retraining"
    kinds = ", ".join(sorted({str(episode[-1].verdict) for episode in episodes}))
    return f"{kinds} is seen, and is not among spec.retraining.triggers ({', '.join(triggers)})"


def _run_key(loop_uid: str, cause: str) -> str:
    """Name a run by what caused it: the same cause never starts two runs."""
    return hashlib.sha256(f"{loop_uid}/{cause}".encode()).hexdigest()[:12]
