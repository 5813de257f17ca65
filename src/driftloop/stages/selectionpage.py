"""The page of `select`: every candidate with score, trials, seconds and why; what was left out, and why."""

from collections.abc import Sequence
from typing import Any

from driftloop.reports.axes import number_axis
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.markup import figure, name, plain
from driftloop.reports.page import Card, Header, cards, paragraph, render_page, section, table
from driftloop.stages.judgements import OVER_FITTING
from driftloop.stages.records import CandidateRecord, Plan
from driftloop.stages.select import Selection

_REASON_LETTERS = 400
_PARAM_LETTERS = 300


def build_selection_page(plan: Plan, candidates: Sequence[CandidateRecord], chosen: Selection, metric: str) -> str:
    """Return one self-contained HTML page."""
    record = chosen.record
    header = Header(
        "Selection of the model",
        "Which models were tried, how well did each do, and why is this one taken?",
        {"Effort": plan.effort, "Metric": metric},
    )
    blended = [note for note in record.notes if note.startswith("A blend")]
    lede = blended[0] if blended else f"{record.algorithm} did best on the rows that trials were judged on."
    return render_page(
        header,
        paragraph(lede, lede=True),
        cards(
            Card("Selected", record.algorithm, "", "good"),
            Card(metric, figure(record.score or 0.0), f"on {record.judged_by}"),
            Card(
                "Trials",
                f"{sum(c.trials for c in candidates)}",
                f"{sum(c.pruned for c in candidates)} given up half-way",
            ),
            Card("Time", f"{sum(c.fit_seconds for c in candidates):.1f} s", "of all candidates, one thread each"),
        ),
        section("Why this search", paragraph(plan.reason), paragraph(_leaning(plan)) if plan.leaning else ""),
        section("Candidates", _picture(candidates, metric), _candidates(plan, candidates)),
        section("Left out", _left_out(plan), note="Name an algorithm in 'training.algorithms' to have it tried."),
        section("Hyperparameters", _params(candidates, chosen)),
    )


def _leaning(plan: Plan) -> str:
    what = "simpler" if plan.leaning == OVER_FITTING else "richer"
    return f"The model that serves was found {plan.leaning}, so that a {what} model is tried early."


def _ranked(candidates: Sequence[CandidateRecord]) -> list[CandidateRecord]:
    return sorted(candidates, key=lambda candidate: -(candidate.score or 0.0))


def _picture(candidates: Sequence[CandidateRecord], metric: str) -> str:
    rows = []
    for candidate in _ranked(candidates):
        value = candidate.score or 0.0
        reached = [trial.score for trial in candidate.history] or [value]
        rows.append(Interval(candidate.algorithm, value, min(reached), max(*reached, value), figure(value)))
    axis = number_axis(metric, [bound for row in rows for bound in (row.low, row.high)])
    return interval_chart(
        f"{metric} of the candidates: best trial, and the range of its kept trials",
        rows,
        axis,
        alt="; ".join(f"{row.name} {row.text}" for row in rows),
    )


def _candidates(plan: Plan, candidates: Sequence[CandidateRecord]) -> str:
    rows = [
        (
            name(candidate.algorithm),
            figure(candidate.score or 0.0),
            figure(candidate.train_score or 0.0),
            f"{candidate.trials}" + (f" ({candidate.pruned} given up)" if candidate.pruned else ""),
            f"{candidate.fit_seconds:.1f} of {planned.seconds:.0f}",
            f"{candidate.rows:,}",
            plain(planned.reason, _REASON_LETTERS),
        )
        for candidate in _ranked(candidates)
        for planned in [plan.candidate(candidate.algorithm)]
    ]
    columns = ("Algorithm", "Score", "On training rows", "Trials", "Seconds", "Rows fitted on", "Why it was tried")
    return table(columns, rows, numbers=(1, 2, 4, 5))


def _left_out(plan: Plan) -> str:
    if not plan.left_out:
        return ""
    rows = [(name(left.algorithm), plain(left.reason, _REASON_LETTERS)) for left in plan.left_out]
    return table(("Algorithm", "Why not"), rows)


def _params(candidates: Sequence[CandidateRecord], chosen: Selection) -> str:
    rows = [
        (name(candidate.algorithm), f"{weight:.2f}" if weight else "", plain(_tell(candidate.params), _PARAM_LETTERS))
        for index, candidate in enumerate(candidates)
        for weight in [dict(zip(chosen.parts, chosen.weights, strict=True)).get(index, 0.0)]
    ]
    return table(("Algorithm", "Weight in the model", "Best hyperparameters"), rows, numbers=(1,))


def _tell(params: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {figure(value) if isinstance(value, float) else value}" for key, value in sorted(params.items())
    )
