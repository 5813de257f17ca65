"""What a decision leaves in the ledger: the same entries for every controller."""

from datetime import datetime

from driftloop.loop.answer import parse_until
from driftloop.loop.decisions import (
    Acknowledgement,
    Hold,
    Note,
    Promote,
    Quarantine,
    Refuse,
    Reject,
    RollBack,
    StartRun,
)
from driftloop.loop.history import (
    Acknowledged,
    Approved,
    LedgerEntry,
    LoopState,
    Muted,
    Promoted,
    Quarantined,
    Recorded,
    Rejected,
    RequestRefused,
    RolledBack,
    RunHeld,
    RunStarted,
    Unmuted,
)
from driftloop.loop.requests import Approve, Mute, Record, Request, Unmute
from driftloop.spec import VerdictKind

Deed = StartRun | Promote | Reject | Quarantine | Hold | RollBack | Note | Acknowledgement | Refuse
"""A decision that acts."""


def entry_of(  # noqa: PLR0911 (one return per kind of decision)
    decision: Deed, state: LoopState, at: datetime, *, data_uri: str = ""
) -> LedgerEntry:
    """Return the entry that a decision leaves.

    Args:
        decision: what was decided.
        state: what it was decided from.
        at: the loop's clock; a run on logged traffic learns from everything up to then.
        data_uri: the table of a run.
    """
    match decision:
        case StartRun(request=request):
            return RunStarted(
                at=at,
                request_id=request.id if request else "",
                by=request.by if request else "",
                run_key=decision.run_key,
                number=state.next_number,
                reason=decision.reason,
                data_uri=data_uri,
                data_through=at if decision.from_log else None,
                basis=decision.basis,
                champion=state.champion.version if state.champion else "",
                report=decision.report,
                pipeline=decision.pipeline,
                effort=decision.effort,
                effort_reason=decision.effort_reason,
            )
        case Promote():
            return Promoted(at=at, model=decision.model, reason=decision.reason)
        case Reject():
            return Rejected(at=at, run_key=decision.model.result.run_key, reason=decision.reason)
        case Quarantine():
            window = decision.verdict.window
            return Quarantined(at=at, window_start=window.start, window_end=window.end, reason=decision.reason)
        case Hold():
            return RunHeld(at=at, run_key=decision.run_key, reason=decision.reason)
        case RollBack(request=request):
            return RolledBack(at=at, request_id=request.id, by=request.by, model=decision.model, reason=decision.reason)
        case Note():
            return _note(decision.request, at)
        case Acknowledgement(request=request):
            return Acknowledged(
                at=at,
                request_id=request.id,
                by=request.by,
                run_key=decision.run_key,
                report=decision.report,
                reason=decision.reason,
            )
        case Refuse(request=request):
            return RequestRefused(
                at=at, request_id=request.id, by=request.by, verb=request.action.verb, reason=decision.reason
            )


def _note(request: Request, at: datetime) -> LedgerEntry:
    match request.action:
        case Approve(run_key=run_key):
            return Approved(at=at, request_id=request.id, by=request.by, run_key=run_key)
        case Record() as asked:
            return Recorded(
                at=at,
                request_id=request.id,
                by=request.by,
                name=asked.name,
                value=asked.value,
                measured_at=asked.measured_at,
                note=asked.note,
            )
        case Mute() as asked:
            kind = VerdictKind(asked.kind) if asked.kind else None
            return Muted(
                at=at,
                request_id=request.id,
                by=request.by,
                until=parse_until(asked.until),
                kind=kind,
                reason=asked.reason,
            )
        case Unmute() as asked:
            kind = VerdictKind(asked.kind) if asked.kind else None
            return Unmuted(at=at, request_id=request.id, by=request.by, kind=kind, reason=asked.reason)
        case other:
            raise AssertionError(f"{other.verb} takes more than a note")
