"""What a loop says of its false-alarm budget where the reference can't carry it. Pure."""

from collections.abc import Sequence

from driftloop.loop.history import LoopState
from driftloop.spec import Budget, Verdict


def newest_budget(state: LoopState, verdicts: Sequence[Verdict]) -> Budget | None:
    """Return the budget of the newest verdict on the champion that states one."""
    version = state.champion.version if state.champion else ""
    of_champion = [verdict for verdict in verdicts if verdict.model_version == version and verdict.budget]
    return max(of_champion, key=lambda verdict: verdict.window.end).budget if of_champion else None


def tell_uncarried(state: LoopState, verdicts: Sequence[Verdict]) -> str:
    """Return which budget the champion's reference can carry, and why; empty where it carries the one asked for."""
    budget = newest_budget(state, verdicts)
    if budget is None or budget.carried <= budget.asked:
        return ""
    why = f" {' '.join(_sentence(reason) for reason in budget.reasons)}" if budget.reasons else ""
    return (
        f"The reference can't carry the false-alarm budget of {budget.asked:.3g} per 30 days "
        f"(spec.monitoring.falseAlarmBudget): expect up to {budget.carried:.3g}.{why} See: driftloop calibrate"
    )


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
