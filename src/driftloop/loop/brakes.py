"""What keeps a run that is called for from starting: switches, brakes and too few labels, each in words."""

from datetime import datetime

from driftloop.loop.history import LoopState
from driftloop.spec import ModelLoopSpec
from driftloop.spec.boundary import format_duration
from driftloop.spec.problem import NEEDS_TARGET


def switched_off(spec: ModelLoopSpec) -> list[str]:
    """Why nothing runs at all, whoever asks."""
    off = []
    if spec.suspend:
        off.append("the loop is suspended (spec.suspend)")
    if spec.retraining.mode == "DryRun":
        off.append("nothing is started in mode DryRun (spec.retraining.mode)")
    return off


def too_few_labels(spec: ModelLoopSpec, labelled_rows: int) -> list[str]:
    """Why logged traffic does not suffice to learn from."""
    if labelled_rows >= spec.data.min_rows:
        return []
    what = "labelled rows" if spec.problem.task in NEEDS_TARGET else "logged rows"
    return [f"{labelled_rows:,} {what} of the {spec.data.min_rows:,} needed (spec.data.minRows)"]


def braked(spec: ModelLoopSpec, state: LoopState, now: datetime) -> list[str]:
    """Why the next run has to wait for its time."""
    retraining = spec.retraining
    brakes = []
    retrainings = [run for run in state.runs if run.number > 1]
    if retrainings and now < retrainings[-1].at + retraining.cooldown:
        until = retrainings[-1].at + retraining.cooldown
        length = format_duration(retraining.cooldown)
        brakes.append(f"cooldown of {length} until {until:%Y-%m-%d %H:%M} (spec.retraining.cooldown)")
    recent = [run for run in retrainings if run.at > now - retraining.limit.per]
    if len(recent) >= retraining.limit.max:
        per = format_duration(retraining.limit.per)
        brakes.append(f"{len(recent)} runs within {per}, the most allowed (spec.retraining.limit)")
    return brakes
