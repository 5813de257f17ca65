"""The history in plain words: one sentence for each entry of the ledger, one for each verdict."""

from datetime import time

from driftloop.loop.history import (
    Acknowledged,
    Approved,
    FeasibilityJudged,
    LedgerEntry,
    Muted,
    Promoted,
    Quarantined,
    Recorded,
    Rejected,
    RequestRefused,
    RolledBack,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
    Unmuted,
)
from driftloop.loop.quiet import tell_moment
from driftloop.spec import Verdict


def tell(entry: LedgerEntry) -> str:  # noqa: C901, PLR0911, PLR0912 (one return per kind of entry)
    """Return what happened, why, and who asked."""
    match entry:
        case Started():
            return f"driftloop {entry.driftloop_version} took over"
        case RunStarted(pipeline="feasibility"):
            return f"proof of concept (run {entry.run_key}): {entry.reason}"
        case RunStarted():
            doing = "adopting" if entry.pipeline == "adoption" else "training"
            effort = f" [{entry.effort}: {entry.effort_reason}]" if entry.effort else ""
            return f"{doing} v{entry.number} (run {entry.run_key}): {entry.reason}{effort}"
        case RunFinished(result=None):
            return f"run {entry.run_key} failed: {' '.join(entry.error.split())}"
        case RunFinished(result=result) if result:
            score = f"{result.metric} {result.test_score:.3f} over {result.rows:,} rows"
            return f"run {entry.run_key} finished, {result.verdict}: {result.algorithm}, {score}"
        case FeasibilityJudged(result=judged):
            return f"proof of concept (run {entry.run_key}) judged {judged.verdict}: {' '.join(judged.reasons)}"
        case Promoted():
            return f"{entry.model.label} ({entry.model.version}) promoted: {entry.reason}"
        case Rejected():
            return f"the model of run {entry.run_key} was rejected: {entry.reason}"
        case RolledBack():
            return f"rolled back to {entry.model.label} ({entry.model.version}): {entry.reason}"
        case Quarantined():
            return (
                f"quarantined {entry.window_start:%Y-%m-%d %H:%M} to {entry.window_end:%Y-%m-%d %H:%M}: {entry.reason}"
            )
        case RunHeld():
            return f"retraining held back: {entry.reason}"
        case Approved():
            return f"{entry.by} approved the model of run {entry.run_key}"
        case Recorded():
            note = f" ({entry.note})" if entry.note else ""
            when = f"{entry.measured_at:%Y-%m-%d %H:%M}"
            return f"{entry.by} recorded '{entry.name}': {entry.value:g}, measured {when}{note}"
        case Muted():
            what = entry.kind or "all drift alarms"
            return f"{entry.by} muted {what} until {tell_moment(entry.until)}: {entry.reason}"
        case Unmuted():
            reason = f": {entry.reason}" if entry.reason else ""
            return f"{entry.by} ended {f'the mute of {entry.kind}' if entry.kind else 'every mute'}{reason}"
        case Acknowledged():
            return f"{entry.by} acknowledged the drift episode of report {entry.report}: {entry.reason}"
        case RequestRefused():
            return f"{entry.verb} asked by {entry.by} was refused: {entry.reason}"
    raise AssertionError(entry)


def links(entry: LedgerEntry) -> dict[str, str]:
    """Return what an entry points at, by name: run, model version, Bento, data, report, request."""
    found: dict[str, str] = {}
    match entry:
        case RunStarted():
            found = {"run": entry.run_key, "data": entry.data_uri, "driftReport": entry.report}
        case Acknowledged():
            found = {"driftReport": entry.report}
        case FeasibilityJudged():
            found = {"run": entry.run_key, "report": entry.report}
        case RunFinished(result=result):
            found = {"run": entry.run_key, "bento": result.bento_uri if result else ""}
        case Promoted() | RolledBack():
            found = {"run": entry.model.result.run_key, "bento": entry.model.result.bento_uri}
    return {name: link for name, link in found.items() if link}


def tell_verdict(verdict: Verdict) -> str:
    """Return one line about a verdict; of a quiet one the first sentence only."""
    window = verdict.window
    summary = verdict.summary if verdict.verdict.is_alarm else verdict.summary.split(". ")[0].rstrip(".") + "."
    is_whole_days = window.start.time() == window.end.time() == time.min
    span = (
        f"{window.start:%Y-%m-%d} to {window.end:%m-%d}"
        if is_whole_days
        else f"{window.start:%Y-%m-%d %H:%M} to {window.end:%H:%M}"
    )
    expected = f" (expected: {verdict.expected})" if verdict.expected else ""
    return f"{span} {verdict.kind}: {verdict.verdict}{expected}. {summary}"
