"""What becomes of drift reports: which decision answered each, and which are old enough to go. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from driftloop.loop.episodes import episode_key, open_episode, open_episodes
from driftloop.loop.history import Acknowledged, LedgerEntry, LoopState, Quarantined, RunHeld, RunStarted
from driftloop.loop.quiet import why_quiet
from driftloop.loop.telling import tell
from driftloop.operator.traffic import identity
from driftloop.spec import Verdict, VerdictKind
from driftloop.spec.loopstatus import DecisionStatus, Episode

OPEN_ACTIONS = ("Hold", "Wait")
"""Decisions that another may follow."""


def decide_on(
    verdict: Verdict,
    *,
    loop_uid: str,
    verdicts: Sequence[Verdict],
    state: LoopState,
    entries: Sequence[LedgerEntry],
    waiting: Sequence[str],
    now: datetime,
) -> DecisionStatus:
    """Return the decision that answered a report's verdict.

    Args:
        verdict: of the report.
        loop_uid: identity of the loop.
        verdicts: all verdicts, oldest first.
        state: what follows from the ledger.
        entries: the ledger.
        waiting: what the loop waits for.
        now: the wall clock, where nothing was written down.
    """
    nothing = ""
    if verdict.expected:
        nothing = f"expected: '{verdict.expected}' (spec.monitoring.expectedChanges)"
    elif not verdict.verdict.is_alarm:
        nothing = "the traffic is as in training again"
    if nothing:
        return DecisionStatus(action="None", reason=nothing, at=now)
    key = _answering_key(verdict, loop_uid, verdicts)
    answers = [found for entry in entries if (found := _answer_to(verdict, key, entry))]
    final = next((found for found in answers if found.action not in OPEN_ACTIONS), None)
    if final:
        return final
    if state.champion and verdict.model_version != state.champion.version:
        reason = f"{verdict.model_version} serves no more; {state.champion.label} does"
        return DecisionStatus(action="None", reason=reason, at=now)
    return answers[0] if answers else DecisionStatus(action="Wait", reason=waiting[0] if waiting else "", at=now)


def _answer_to(verdict: Verdict, key: str, entry: LedgerEntry) -> DecisionStatus | None:
    """Return the decision that an entry of the ledger is, where it answers an alarm."""
    match entry:
        case Quarantined() if verdict.verdict is VerdictKind.DATA_FAULT and entry.window_start == verdict.window.start:
            return DecisionStatus(action="Quarantine", reason=entry.reason, at=entry.at)
        case RunStarted() if key and entry.run_key == key:
            return DecisionStatus(action="StartRun", reason=entry.reason, run_key=key, at=entry.at)
        case Acknowledged() if key and entry.run_key == key:
            return DecisionStatus(action="Acknowledgement", reason=tell(entry), at=entry.at)
        case RunHeld() if key and entry.run_key == key:
            return DecisionStatus(action="Hold", reason=entry.reason, run_key=key, at=entry.at)
    return None


def is_settled(status: Mapping[str, Any] | None, decision: DecisionStatus) -> bool:
    """Whether a report's status needs no new decision."""
    known = (status or {}).get("decision")
    if not known:
        return False
    return known["action"] not in OPEN_ACTIONS or known["action"] == decision.action


def episode_of(state: LoopState, verdicts: Sequence[Verdict], loop_uid: str, now: datetime) -> Episode | None:
    """Return the open drift episode of the champion, the newest where there are two."""
    if state.champion is None:
        return None
    of_champion = [v for v in verdicts if v.model_version == state.champion.version]
    kinds = dict.fromkeys(v.kind for v in of_champion)
    episodes = [e for kind in kinds if (e := open_episode([v for v in of_champion if v.kind is kind]))]
    if not episodes:
        return None
    episode = max(episodes, key=lambda episode: episode[-1].window.end)
    first, quiet = episode[0], why_unpaged(episode[-1], loop_uid, verdicts, state, now)
    return Episode(run_key=episode_key(loop_uid, first), kind=first.kind, since=first.window.start, quiet=quiet)


def why_unpaged(verdict: Verdict, loop_uid: str, verdicts: Sequence[Verdict], state: LoopState, now: datetime) -> str:
    """Return why an alarm pages nobody; empty where it pages."""
    episodes = (episode for episode in open_episodes(state, verdicts) if verdict in episode)
    key = next((episode_key(loop_uid, episode[0]) for episode in episodes), "")
    return why_quiet(verdict, key, state, now)


def outdated(
    reports: Sequence[tuple[Mapping[str, Any], Verdict]], limit: int, verdicts: Sequence[Verdict], state: LoopState
) -> list[str]:
    """Return the names of the reports beyond the limit, oldest first; none that is undecided or of an open episode.

    Args:
        reports: DriftReports as the API server keeps them, each with its verdict.
        limit: most reports kept.
        verdicts: all verdicts, oldest first.
        state: who is champion.
    """
    kept = set()
    if state.champion:
        of_champion = [v for v in verdicts if v.model_version == state.champion.version]
        for kind in {v.kind for v in of_champion}:
            kept |= {identity(v) for v in open_episode([v for v in of_champion if v.kind is kind])}
    by_age = sorted(reports, key=lambda known: _age(known[0]))
    surplus = max(len(by_age) - limit, 0)
    return [
        report["metadata"]["name"]
        for report, verdict in by_age[:surplus]
        if (report.get("status") or {}).get("decision") and identity(verdict) not in kept
    ]


def _age(report: Mapping[str, Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(report["spec"]["createdAt"]).astimezone(UTC), report["metadata"]["name"]


def _answering_key(verdict: Verdict, loop_uid: str, verdicts: Sequence[Verdict]) -> str:
    """Return the key of the run that answers the episode which a verdict belongs to; empty where it is none."""
    until = [
        v
        for v in verdicts
        if (v.kind, v.model_version) == (verdict.kind, verdict.model_version) and v.window.end <= verdict.window.end
    ]
    episode = open_episode(until)
    return episode_key(loop_uid, episode[0]) if episode else ""
