"""The conditions of a loop: what each is, why in one word and in words, and since when. Pure.

By the conventions that kstatus reads: Reconciling and Stalled tell Flux and Argo CD whether to wait or to give up,
Ready sums up. Source: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from driftloop.spec.loopstatus import LONGEST_MESSAGE, Condition, ConditionType

INVALID_SPEC = "InvalidSpec"
BUDGET_NOT_CARRIED = "BudgetNotCarried"
Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Finding:
    """What holds of one condition now."""

    status: Status
    reason: str
    message: str = ""


@dataclass(frozen=True)
class Circumstances:
    """What the conditions follow from."""

    champion: str = ""
    """Label of the champion; empty without one."""
    is_serving: bool = False
    is_watched: bool | None = None
    """None: too early to tell."""
    watch_words: str = ""
    """When the monitor was heard of last."""
    budget_words: str = ""
    """Which false-alarm budget the reference can carry, and why; empty where it carries the one asked for."""
    alarm: str = ""
    """Kind of the newest verdict on the champion, where it is an alarm."""
    alarm_words: str = ""
    is_judged: bool = False
    """Whether there is any verdict on the champion."""
    activity: str = ""
    """Reason of what is under way, such as `RunInProgress`; empty: nothing is."""
    activity_words: str = ""
    trouble: str = ""
    """Reason of a failure of the surroundings, such as `StoreUnavailable`; empty: none."""
    trouble_words: str = ""
    stalled: str = ""
    """Reason for which a person is needed, such as `InvalidSpec`; empty: none is."""
    stalled_words: str = ""
    waiting: Sequence[str] = ()
    last_failure: str = ""
    is_concept: bool = False
    """Whether a proof of concept was judged: no model is to come."""


def find_conditions(now: Circumstances) -> dict[ConditionType, Finding]:
    """Return what holds."""
    has_champion = bool(now.champion)
    return {
        ConditionType.READY: _ready(now),
        ConditionType.TRAINED: Finding("True", "ChampionChosen", f"{now.champion} is champion.")
        if has_champion
        else Finding("False", "FirstRunFailed" if now.last_failure else "NoModelYet", now.last_failure),
        ConditionType.AVAILABLE: _available(now),
        ConditionType.MONITORED: _monitored(now),
        ConditionType.DRIFTED: _drifted(now),
        ConditionType.RECONCILING: _reconciling(now),
        ConditionType.STALLED: Finding("True", now.stalled, now.stalled_words)
        if now.stalled
        else Finding("False", "NoPersonNeeded"),
    }


def recall(champion: Mapping[str, Any] | None, conditions: Sequence[Mapping[str, Any]]) -> Circumstances:
    """Return the circumstances that conditions were found from, as far as they still tell: what serves, and how."""
    known = {condition["type"]: condition for condition in conditions}
    status = {kind: condition["status"] for kind, condition in known.items()}
    watch = known.get(ConditionType.MONITORED, {})
    is_over_budget = watch.get("reason") == BUDGET_NOT_CARRIED
    has_alarm = status.get(ConditionType.DRIFTED) == "True"
    return Circumstances(
        champion=(champion or {}).get("label", ""),
        is_serving=status.get(ConditionType.AVAILABLE) == "True",
        is_watched={"True": True, "False": False}.get(status.get(ConditionType.MONITORED, "")),
        watch_words="" if is_over_budget else watch.get("message", ""),
        budget_words=watch.get("message", "") if is_over_budget else "",
        alarm=known[ConditionType.DRIFTED]["reason"] if has_alarm else "",
        alarm_words=known[ConditionType.DRIFTED].get("message", "") if has_alarm else "",
        is_judged=status.get(ConditionType.DRIFTED) in ("True", "False"),
    )


def date_conditions(
    found: Mapping[ConditionType, Finding], before: Sequence[Mapping[str, Any]], *, generation: int | None, at: datetime
) -> tuple[Condition, ...]:
    """Return the conditions with the time of their last change.

    Args:
        found: what holds.
        before: the conditions of the status as it is.
        generation: of the spec that they speak of.
        at: now.
    """
    known = {condition["type"]: condition for condition in before}
    return tuple(
        Condition(
            type=kind,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:LONGEST_MESSAGE],
            last_transition_time=_since(known.get(kind), finding, at),
            observed_generation=generation,
        )
        for kind, finding in found.items()
    )


def _since(known: Mapping[str, Any] | None, finding: Finding, at: datetime) -> datetime:
    if known and known["status"] == finding.status:
        return datetime.fromisoformat(known["lastTransitionTime"])
    return at.replace(microsecond=0)


def _ready(now: Circumstances) -> Finding:  # noqa: PLR0911 (one return per reason)
    if now.stalled == INVALID_SPEC:
        return Finding("False", now.stalled, now.stalled_words)
    if now.champion and now.is_serving and now.is_watched is not False:
        return Finding("True", "Serving", f"{now.champion} serves and is watched.")
    if now.is_concept:
        return Finding("True", "ProofOfConceptJudged", now.waiting[0] if now.waiting else "")
    for reason, words in (
        (now.trouble, now.trouble_words),
        (now.stalled, now.stalled_words),
        (now.activity, now.activity_words),
    ):
        if reason:
            return Finding("False", reason, words)
    if not now.champion:
        return Finding("False", "NoModelYet", now.waiting[0] if now.waiting else "")
    if not now.is_serving:
        return Finding("False", "NotAvailable", f"No pod of {now.champion} is available.")
    return Finding("False", "NotMonitored", now.watch_words)


def _available(now: Circumstances) -> Finding:
    if not now.champion:
        return Finding("False", "NoModelYet")
    if now.is_serving:
        return Finding("True", "PodsAvailable", f"Pods of {now.champion} answer.")
    return Finding("False", "NoPodAvailable", f"No pod of {now.champion} is available. See its Deployment and pods.")


def _monitored(now: Circumstances) -> Finding:
    if not now.champion:
        return Finding("False", "NoModelYet")
    if now.is_watched is None:
        return Finding("Unknown", "NotHeardOfYet", now.watch_words)
    if not now.is_watched:
        return Finding("False", "MonitorSilent", now.watch_words)
    return Finding("True", BUDGET_NOT_CARRIED, now.budget_words) if now.budget_words else Finding("True", "Watching")


def _drifted(now: Circumstances) -> Finding:
    if now.alarm:
        return Finding("True", now.alarm, now.alarm_words)
    return Finding("False", "Stable") if now.is_judged else Finding("Unknown", "NotJudgedYet")


def _reconciling(now: Circumstances) -> Finding:
    if now.trouble:
        return Finding("True", now.trouble, now.trouble_words)
    if now.activity:
        return Finding("True", now.activity, now.activity_words)
    return Finding("False", "Settled")
