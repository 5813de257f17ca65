"""The demo's picture: the champion's AUC week by week beside the first model's, with verdicts and promotions."""

import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.demo.timeline import COLUMNS, FinalComparison, TimelineRow
from driftloop.reports.page import render_page
from driftloop.spec import VerdictKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPION_COLOUR = "#0b6e99"
FIRST_COLOUR = "#9a9a9a"
VERDICT_COLOURS = {
    "": "#ffffff",
    VerdictKind.STABLE: "#d5e8d4",
    VerdictKind.NOT_ENOUGH_DATA: "#eeeeee",
    VerdictKind.COVARIATE_DRIFT: "#ffd27f",
    VerdictKind.PRIOR_SHIFT: "#f7b267",
    VerdictKind.PERFORMANCE_DROP: "#f4845f",
    VerdictKind.CONCEPT_DRIFT: "#f25c54",
    VerdictKind.DATA_FAULT: "#9d4edd",
}


def draw_timeline(rows: Sequence[TimelineRow], final: FinalComparison | None) -> "Figure":
    """Draw the timeline; time runs to the right, one step a window."""
    from matplotlib.dates import DateFormatter, MonthLocator
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.2), layout="constrained")
    scores, verdicts = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    middles = [row.start + (row.end - row.start) / 2 for row in rows]
    judged = [(middle, row) for middle, row in zip(middles, rows, strict=True) if row.score is not None]
    scores.plot(
        [middle for middle, _ in judged],
        [row.first_score for _, row in judged],
        color=FIRST_COLOUR,
        marker=".",
        label="the first model, never retrained",
    )
    scores.plot(
        [middle for middle, _ in judged],
        [row.score for _, row in judged],
        color=CHAMPION_COLOUR,
        marker="o",
        label="the champion",
    )
    for before, row in pairwise(rows):
        if row.champion != before.champion:
            scores.axvline(row.start, color=CHAMPION_COLOUR, linewidth=1, linestyle=":")
            scores.annotate(
                f"{row.champion} promoted",
                (row.start, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -10),
                textcoords="offset points",
                color=CHAMPION_COLOUR,
            )
    scores.set_ylabel("ROC AUC, week by week")
    scores.margins(y=0.15)  # room for the promotions' names
    scores.legend(loc="upper left", frameon=False, ncols=2)
    scores.spines[["top", "right"]].set_visible(False)
    if final:
        scores.set_title(
            f"All flights of {final.month}: champion {final.champion} {final.champion_auc:.3f}, "
            f"first model {final.first_auc:.3f} ({final.difference:+.3f}, "
            f"95 % interval {final.lower:+.3f} to {final.upper:+.3f})",
            loc="left",
            fontsize=10,
        )
    seen = []
    for row in rows:
        for level, verdict in ((1, row.inputs), (0, row.performance)):
            colour = VERDICT_COLOURS[verdict]
            verdicts.barh(level, row.end - row.start, left=row.start, height=0.9, color=colour, edgecolor="white")
            if verdict and verdict not in seen:
                seen.append(verdict)
    verdicts.set_yticks([1, 0], ["inputs", "performance"])
    verdicts.spines[["top", "right", "left"]].set_visible(False)
    verdicts.tick_params(left=False)
    verdicts.xaxis.set_major_locator(MonthLocator())
    verdicts.xaxis.set_major_formatter(DateFormatter("%b %Y"))
    handles = [_patch(VERDICT_COLOURS[verdict], verdict) for verdict in seen]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(handles)), frameon=False)
    return figure


def write_page(rows: Sequence[TimelineRow], final: FinalComparison, path: Path) -> Path:
    """Write picture and table as one self-contained HTML file; return its absolute path."""
    svg = io.StringIO()
    draw_timeline(rows, final).savefig(svg, format="svg")
    picture = svg.getvalue()[svg.getvalue().index("<svg") :]
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row.cells())}</tr>" for row in rows)
    path.write_text(render_page("Flight delays: the loop's timeline", picture, f"<table><tr>{head}</tr>{body}</table>"))
    return path.resolve()


def _patch(colour: str, label: str) -> object:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label)
