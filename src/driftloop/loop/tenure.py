"""What served at a moment: each champion's time in office, with everything an auditor asks about it."""

from collections.abc import Iterable
from datetime import datetime

from driftloop.loop.history import Answer, Approved, LedgerEntry, LoopState, Promoted, RolledBack, apply
from driftloop.spec.boundary import Boundary


class Tenure(Boundary):
    """A champion's time in office. The server may have been down in it: the ledger knows decisions, not outages."""

    model: str
    """The short name: `v2`."""
    version: str
    since: datetime
    until: datetime | None = None
    """When the next champion took over; None while in office."""
    why: str
    """Why it was promoted, or rolled back to."""
    asked_by: str = ""
    """Who asked for the rollback."""
    approved_by: str = ""
    """Who approved the model; empty where nobody was asked."""
    algorithm: str
    metric: str
    test_score: float
    bento_tag: str
    bento_uri: str
    bento_digest: str
    runtime_image: str
    run_key: str
    """Key of the run that made it."""
    run_reason: str
    """What called for that run."""
    data_uri: str
    data_digest: str
    rows: int
    trained_through: datetime | None = None
    """Newest time in the rows it was fitted on; None without a time column."""


def tenures(entries: Iterable[LedgerEntry]) -> list[Tenure]:
    """Return every champion's time in office, oldest first."""
    state, found = LoopState(), list[Tenure]()
    for entry in entries:
        state = apply(state, entry)
        if isinstance(entry, Promoted | RolledBack):
            if found:
                found[-1] = found[-1].model_copy(update={"until": entry.at})
            found.append(_tenure(state, entry))
    return found


def served_at(entries: Iterable[LedgerEntry], time: datetime) -> Tenure | None:
    """Return who was champion at a moment; None before the first promotion.

    At the very moment of a succession it is the new one.
    """
    before = [tenure for tenure in tenures(entries) if tenure.since <= time]
    return before[-1] if before else None


def _tenure(state: LoopState, entry: Promoted | RolledBack) -> Tenure:
    result = entry.model.result
    run = next((run for run in state.runs if run.run_key == result.run_key), None)
    approval: Approved | None = state.approved.get(result.run_key)
    return Tenure(
        model=entry.model.label,
        version=entry.model.version,
        since=entry.at,
        why=entry.reason,
        asked_by=entry.by if isinstance(entry, Answer) else "",
        approved_by=approval.by if approval else "",
        algorithm=result.algorithm,
        metric=result.metric,
        test_score=result.test_score,
        bento_tag=result.bento_tag,
        bento_uri=result.bento_uri,
        bento_digest=result.bento_digest,
        runtime_image=result.runtime_image,
        run_key=result.run_key,
        run_reason=run.reason if run else "",
        data_uri=run.data_uri if run else "",
        data_digest=result.data_digest,
        rows=result.rows,
        trained_through=result.trained_through,
    )
