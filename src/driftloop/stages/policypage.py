"""Pictures of a decision for the page of the stage `evaluate`: what policies earn, and which actions they take."""

import numpy as np

from driftloop.algorithms.offpolicy import Logged, bernstein_interval
from driftloop.reports.axes import number_axis
from driftloop.reports.bars import Bar, Interval, bar_chart, interval_chart
from driftloop.reports.markup import figure, name, percent
from driftloop.reports.page import figures, paragraph, section, table
from driftloop.spec import DataSchema
from driftloop.stages.evaluate import Judged
from driftloop.stages.policies import caution
from driftloop.stages.records import PolicyValue


def policy_section(judged: Judged, schema: DataSchema) -> str:
    """Return the section of the page that only decisions have; nothing for other tasks."""
    policies = judged.evaluation.policies
    if not policies or judged.answers.probabilities is None:
        return ""
    told = caution(judged.evaluation)
    low, high = bernstein_interval(Logged.of(judged.truth), judged.answers.probabilities)
    return section(
        "What the policy earns",
        paragraph(told, lede=True) if told else "",
        figures(_values(policies), _shares(judged, schema)),
        table(
            ("Policy", "Reward a decision", "95 % interval", "Effective rows"),
            [
                (name(p.name), figure(p.value), f"{figure(p.lower)} to {figure(p.upper)}", f"{p.effective_rows:,.0f}")
                for p in policies
            ],
            numbers=(1, 2, 3),
        ),
        note="Doubly robust: what a reward model, fitted on the training rows, expects of a policy, corrected by the "
        "rewards that were logged. The best constant action is chosen in hindsight, which favours it. Effective rows: "
        "how many decisions of its own the logged ones are worth. Without any model or normal approximation the value "
        f"of the policy as it serves lies between {figure(low)} and {figure(high)} (empirical Bernstein).",
    )


def _values(policies: tuple[PolicyValue, ...]) -> str:
    rows = [
        Interval(p.name, p.value, p.lower, p.upper, figure(p.value), "ref" if index else "a")
        for index, p in enumerate(policies)
    ]
    axis = number_axis("reward a decision", [bound for row in rows for bound in (row.low, row.high)], room=0.08)
    alt = f"Reward a decision of {len(rows)} policies with 95 % intervals"
    return interval_chart("Reward a decision", rows, axis, alt=alt, note="Whiskers: 95 % intervals by the bootstrap.")


def _shares(judged: Judged, schema: DataSchema) -> str:
    logged = Logged.of(judged.truth)
    actions = schema.target.classes
    policy = (
        np.zeros(len(actions)) if judged.answers.probabilities is None else judged.answers.probabilities.mean(axis=0)
    )
    before = np.bincount(logged.actions, minlength=len(actions)) / max(len(logged.actions), 1)
    bars = [
        Bar(str(action), (float(was), float(will)), f"{percent(was)}, {percent(will)}")
        for action, was, will in zip(actions, before, policy, strict=True)
    ]
    alt = f"Shares of {len(bars)} actions, as logged and as it serves"
    return bar_chart("Share of each action", bars, (("ref", "as logged"), ("a", "as it serves")), alt=alt)
