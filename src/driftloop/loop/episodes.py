"""Drift episodes: unbroken runs of alarming windows, each with one cause and at most one run. Pure."""

from collections.abc import Sequence

from driftloop.loop.decisions import run_key
from driftloop.loop.history import LoopState
from driftloop.spec import ReportKind, Verdict, VerdictKind


def verdicts_of_champion(state: LoopState, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The champion's verdicts on windows that no run has seen and that ended after it took over.

    A model that serves again after a rollback starts afresh: what was seen of it before calls for nothing.
    """
    version = state.champion.version if state.champion else ""
    answered = [time for time in (state.data_through, state.promoted_at) if time]
    return [v for v in verdicts if v.model_version == version and all(v.window.end > time for time in answered)]


def open_episodes(state: LoopState, verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Return the champion's open episodes, at most one for each kind of report."""
    of_champion = verdicts_of_champion(state, verdicts)
    return [e for kind in ReportKind if (e := open_episode([v for v in of_champion if v.kind is kind]))]


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


def episode_key(loop_uid: str, first: Verdict) -> str:
    """Return the key of the run that answers the episode which begins with a verdict."""
    return run_key(loop_uid, f"{first.model_version}/{first.kind}/{first.window.start.isoformat()}")
