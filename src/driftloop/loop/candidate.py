"""What becomes of a candidate: promoted, rejected, or kept for a person."""

from driftloop.loop.decisions import Promote, Reject, Wait
from driftloop.loop.history import LoopState, Model
from driftloop.spec import Maturity, ModelLoopSpec, RunVerdict


def judge_candidate(spec: ModelLoopSpec, state: LoopState, candidate: Model) -> Promote | Reject | Wait:
    """Return what to do with a finished run's model."""
    result, champion = candidate.result, state.champion
    flaw = _flaw(spec, state, candidate)
    if flaw:
        return Reject(candidate, flaw)
    reasons = " ".join(result.reasons)
    if champion and spec.suspend:
        return Wait((f"{candidate.label} is accepted; the loop is suspended (spec.suspend)",), stalled=True)
    if champion and spec.promotion.approval == "Manual":
        approval = state.approved.get(result.run_key)
        if approval is None:
            remedy = f"approve it with: driftloop approve {result.run_key}"
            return Wait((f"{candidate.label} is accepted and waits for a person; {remedy}",), stalled=True)
        reasons = f"{reasons} Approved by {approval.by}."
    return Promote(candidate, reasons)


def _flaw(spec: ModelLoopSpec, state: LoopState, candidate: Model) -> str:
    """Why the candidate must not serve; empty where nothing speaks against it."""
    result = candidate.result
    if result.verdict is RunVerdict.REJECTED:
        return " ".join(result.reasons)
    return _flaw_beside(state.champion, spec, state, candidate) if state.champion else ""


def _flaw_beside(champion: Model, spec: ModelLoopSpec, state: LoopState, candidate: Model) -> str:
    if champion.version == candidate.version:
        return "it is the same model as the champion"
    if candidate.version in state.withdrawn:
        return "it is the same model as one that was rolled back from; the same data do not bring it back"
    compared_with = state.run(candidate.result.run_key).champion
    if compared_with and compared_with != champion.version:
        return f"it was compared with {compared_with}, and {champion.label} ({champion.version}) serves now"
    if spec.maturity is Maturity.PROOF_OF_CONCEPT:
        return "a proof of concept promotes nothing after its first model"
    return ""
