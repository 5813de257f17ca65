"""The charter of a loop: one page that a team would print and sign, with what is still open named as a question.

Made from the ModelLoop and what was recorded; it judges nothing. Equal inputs give an equal page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from driftloop.reports.page import fact_table, render_page
from driftloop.spec import Maturity, ModelLoop
from driftloop.spec.boundary import format_duration

_OPEN = "open"
_ROLES = ("Owner", "Business", "Data", "Privacy or law", "Operations")
_STYLE = (
    "<style>td.space{min-width:11rem}.open{font-style:italic}"
    "@media print{body{margin:0;font-size:12px}h2{margin-top:1rem;break-after:avoid}tr{break-inside:avoid}}</style>"
)


@dataclass(frozen=True)
class Progress:
    """What a loop has recorded so far."""

    measured: Mapping[str, tuple[float, datetime]] = field(default_factory=dict)
    """Newest value of each success criterion, and when it was measured."""
    champion: str = ""
    """The model that serves, in a few words; empty: none."""
    feasibility: str = ""
    """Outcome of the proof of concept; empty: there was none."""


def build_charter(loop: ModelLoop, progress: Progress) -> str:
    """Return the charter as one self-contained page."""
    spec = loop.spec
    problem, data, governance = spec.problem, spec.data, spec.governance
    provenance = data.provenance
    threshold = problem.metric.threshold
    questions = list(open_questions(loop))
    first = "a model that exists: " + spec.model.uri if spec.model else "trained from the data"
    return render_page(
        f"Charter: {loop.metadata.name}",
        _STYLE,
        "<h2>Why</h2>",
        fact_table({"Objective": problem.objective or _OPEN, "Challenge": problem.challenge or _OPEN}),
        "<h2>Success</h2>",
        _criteria(loop, progress),
        fact_table(
            {
                "Measure of the model": f"{problem.metric_name} of a {problem.task}",
                "Smallest useful value": _OPEN if threshold is None else f"{threshold:g}",
            }
        ),
        "<h2>Data</h2>",
        fact_table(
            {
                "Table": data.uri,
                "To predict": data.target_column,
                "When a row happened": data.time_column or _OPEN,
                "Sensitive columns": ", ".join(data.sensitive_columns) or _OPEN,
                "Source": provenance.source or _OPEN,
                "Licence": provenance.licence or _OPEN,
                "Collected for": provenance.purpose or _OPEN,
                "Consent": provenance.consent or _OPEN,
            }
        ),
        "<h2>How it runs</h2>",
        fact_table(
            {
                "Maturity": str(spec.maturity),
                "First model": first,
                "Proof of concept": progress.feasibility or "not judged yet",
                "Serves now": progress.champion or "nothing yet",
                "Watched in windows of": format_duration(spec.monitoring.window.duration),
                "False alarms": f"at most {spec.monitoring.false_alarm_budget.max} in "
                f"{format_duration(spec.monitoring.false_alarm_budget.per)}",
                "A better model serves": "after a person approved it"
                if spec.promotion.approval == "Manual"
                else "by itself, once it is proven",
            }
        ),
        "<h2>Who answers for it</h2>",
        fact_table(
            {
                "Owner": governance.owner or _OPEN,
                "Intended use": governance.intended_use or _OPEN,
                "May approve": ", ".join(governance.approvers) or "anyone who may change the loop",
            }
        ),
        _questions(questions),
        _signatures(),
    )


def open_questions(loop: ModelLoop) -> Iterator[str]:
    """Yield what the file leaves open, as questions that name the field."""
    spec = loop.spec
    problem, data, provenance, governance = spec.problem, spec.data, spec.data.provenance, spec.governance
    asked = (
        (problem.objective, "Which decision will be better because of the predictions?", "problem.objective"),
        (problem.challenge, "Why is it hard?", "problem.challenge"),
        (problem.success_criteria, "Which number outside the model shows success?", "problem.successCriteria"),
        (problem.metric.threshold is not None, "Below which value is the model useless?", "problem.metric.threshold"),
        (data.time_column, "When did each row happen? Without it, age can't be told.", "data.timeColumn"),
        (data.sensitive_columns, "Which groups of people must not be treated worse?", "data.sensitiveColumns"),
        (provenance.source, "Where do the data come from?", "data.provenance.source"),
        (provenance.licence, "Under which licence or contract?", "data.provenance.licence"),
        (provenance.purpose, "What were they collected for?", "data.provenance.purpose"),
        (provenance.consent, "What did the people in them agree to?", "data.provenance.consent"),
        (governance.owner, "Who answers for the model?", "governance.owner"),
        (governance.intended_use, "What may it be used for, and what not?", "governance.intendedUse"),
    )
    yield from (f"{question} ({path})" for answered, question, path in asked if not answered)
    for criterion in problem.success_criteria:
        if criterion.baseline is None:
            yield f"What is '{criterion.name}' today, without the model? (problem.successCriteria[].baseline)"
    if spec.maturity is Maturity.PRODUCTION and spec.promotion.approval == "Automatic" and governance.approvers:
        yield "Approvers are named, and models are promoted without them. Is that meant? (promotion.approval)"


def _criteria(loop: ModelLoop, progress: Progress) -> str:
    criteria = loop.spec.problem.success_criteria
    if not criteria:
        return f"<p>Success criteria: <span class=open>{_OPEN}</span></p>"
    rows = []
    for criterion in criteria:
        measured = progress.measured.get(criterion.name)
        value = f"{measured[0]:g} ({measured[1]:%Y-%m-%d})" if measured else "not measured yet"
        baseline = _OPEN if criterion.baseline is None else f"{criterion.baseline:g}"
        cells = (criterion.name, baseline, f"{criterion.goal:g}", value)
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>Criterion</th><th>before</th><th>goal</th><th>newest value</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _questions(questions: list[str]) -> str:
    if not questions:
        return "<h2>Open questions</h2><p>None.</p>"
    items = "".join(f"<li>{escape(question)}</li>" for question in questions)
    return f"<h2>Open questions</h2><ol>{items}</ol>"


def _signatures() -> str:
    rows = "".join(f"<tr><th>{role}</th>{'<td class=space>&nbsp;</td>' * 3}</tr>" for role in _ROLES)
    return f"<h2>Agreed by</h2><table><tr><th></th><th>Name</th><th>Date</th><th>Signature</th></tr>{rows}</table>"
