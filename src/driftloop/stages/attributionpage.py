"""The part of the page of `explain` that shows Shapley values: all rows together, then a handful one by one."""

from driftloop.reports.axes import number_axis
from driftloop.reports.bars import Bar, Interval, bar_chart, interval_chart
from driftloop.reports.markup import figure
from driftloop.reports.page import figures, section
from driftloop.stages.records import Attributions, LocalExplanation

_MOST_COLUMNS = 12
"""Drawn of each example; the others are put together."""


def build_attribution_section(found: Attributions) -> str:
    """Return how far columns push answers, and why some rows got theirs."""
    bars = [Bar(column, (size,), figure(size)) for column, size in found.columns]
    overall = bar_chart(
        f"Mean push, in {found.unit}",
        bars,
        [("a", "mean push")],
        alt="; ".join(f"{column} {figure(size)}" for column, size in found.columns[:5]),
        note=f"On {found.rows:,} test rows. Unlike the loss above, it tells how far answers move, right or wrong.",
    )
    examples = [_example(one, found) for one in found.examples]
    return section(
        "How far columns push an answer",
        overall,
        "<h3>Some rows, one by one</h3>" if examples else "",
        figures(*examples),
        note=f"Shapley values of '{found.of}', in {found.unit} ({found.method}). A row's answer is the mean answer, "
        f"{figure(found.mean_answer)}, and all pushes added to it.",
    )


def _example(one: LocalExplanation, found: Attributions) -> str:
    shown, rest = one.contributions[:_MOST_COLUMNS], one.contributions[_MOST_COLUMNS:]
    rows = [
        Interval(
            f"{part.column} = {part.value}",
            part.amount,
            min(part.amount, 0.0),
            max(part.amount, 0.0),
            f"{part.amount:+.3g}",
            "a" if part.amount >= 0 else "b",
        )
        for part in shown
    ]
    if rest:
        left = sum(part.amount for part in rest)
        rows.append(Interval(f"{len(rest)} others", left, min(left, 0.0), max(left, 0.0), f"{left:+.3g}", "ref"))
    truth = f", truly {one.truth}" if one.truth else ""
    return interval_chart(
        f"{one.why[:1].upper()}{one.why[1:]}: {one.prediction[:30]}{truth}",
        rows,
        number_axis("", [row.value for row in rows], include=0.0, room=0.1),
        alt=f"Answer {figure(one.answer)} from the mean {figure(found.mean_answer)}",
        zero=0.0,
        note=f"From {figure(found.mean_answer)} to {figure(one.answer)}.",
    )
