"""The ladder of improvement: how much a rerun tries. Refit, then tune, then widen the search.

One step further only when the step before did not pass acceptance. Pure: it looks at what became of the runs since the
champion took over.
"""

from dataclasses import replace
from datetime import datetime
from typing import get_args

from driftloop.loop.basis import Basis
from driftloop.loop.decisions import StartRun
from driftloop.loop.history import LoopState
from driftloop.spec import ModelLoopSpec
from driftloop.spec.training import Effort

RUNGS: tuple[Effort, ...] = get_args(Effort)
_DOING = {
    "Refit": "the champion's hyperparameters are fitted to the new rows",
    "Tune": "hyperparameters are tuned",
    "Widen": "more algorithms and larger spaces are searched",
}


def with_effort(spec: ModelLoopSpec, state: LoopState, run: StartRun, now: Basis | None) -> StartRun:
    """Return an ordered run with its rung and why; a first model, an adoption and a proof of concept have none.

    Args:
        spec: may fix the rung (`training.effort`).
        state: what became of earlier runs.
        run: what is ordered.
        now: what the user gives to learn from now.
    """
    if state.champion is None or run.pipeline != "training":
        return run
    effort, why = _rung(spec, state, run.basis or now, is_on_file=not run.from_log)
    return replace(run, effort=effort, effort_reason=f"{why}: {_DOING[effort]}")


def _rung(spec: ModelLoopSpec, state: LoopState, basis: Basis | None, *, is_on_file: bool) -> tuple[Effort, str]:
    asked = spec.training.effort
    if asked != "Auto":
        return asked, "the file asks for it (spec.training.effort)"
    failed = [run for run in state.runs if run.run_key in state.unaccepted and _is_since(state.promoted_at, run.at)]
    last = max(failed, key=lambda run: _place(run.effort), default=None)
    if last is not None:
        place = min(_place(last.effort) + 1, len(RUNGS) - 1)
        return RUNGS[place], f"v{last.number} ({last.effort or 'Tune'}) was not accepted"
    if basis and state.basis and basis.groups != state.basis.groups:
        return "Tune", "the file changed"
    if basis and is_on_file and state.basis == basis:
        return "Tune", "nothing is new in the data, and a refit would be the champion again"
    return "Refit", "the least that may do"


def _is_since(promoted_at: datetime | None, at: datetime) -> bool:
    return promoted_at is None or at >= promoted_at


def _place(effort: Effort | None) -> int:
    """Return where a rung is; runs from before there were rungs were tuned."""
    return RUNGS.index(effort or "Tune")
