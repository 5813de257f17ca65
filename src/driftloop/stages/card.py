"""The model card that a Bento carries, in Markdown: what the model is for, how good it is for whom, and its limits.

Used by `package`. Equal inputs give an equal card: no times, no run ids. Sections follow Mitchell et al. 2019, Model
Cards for Model Reporting.
"""

from collections.abc import Iterable, Iterator, Sequence

from driftloop.spec import DataSchema, DataSpec, GovernanceSpec, ProblemSpec, Task
from driftloop.spec.problem import UNSUPERVISED
from driftloop.stages.packageprivacy import tell
from driftloop.stages.policies import caution
from driftloop.stages.records import EQUALIZED_ODDS, Assessment, ColumnAssessment, Evaluation, Explanation
from driftloop.stages.split import TRAIN_SHARE

_UNSAID = "not stated"
_MOST_COLUMNS = 15
"""Columns of the table of importance; the others are counted."""
_FEW_TEST_ROWS = 200
_MOST_DISTURBANCES = 5


def build_card(
    loop: str,
    schema: DataSchema,
    evaluation: Evaluation,
    explanation: Explanation,
    assessment: Assessment,
    *,
    problem: ProblemSpec,
    data: DataSpec,
    governance: GovernanceSpec,
) -> str:
    """Return the card of the selected model."""
    sections = {
        "Intended use": _intended_use(problem, governance),
        "How good it is": [*_metrics(evaluation), *_references(evaluation)],
        "What its answers are worth": _worth(evaluation),
        "Did it learn the right amount": _diagnosis(evaluation),
        "For whom": [*_groups(assessment), *_slices(evaluation)],
        "How it takes bad rows": _robustness(evaluation),
        "What it looks at": _importance(explanation),
        "How it was made": _making(schema, evaluation, data),
        "Privacy": [f"- {text}" for text in tell(assessment.privacy)] if assessment.privacy else [],
        "Limits": [f"- {limit}" for limit in _limits(evaluation, explanation, assessment, data)],
        "Inputs": _inputs(schema),
    }
    lines = [f"# {_cell(loop)}", "", _in_short(schema, evaluation)]
    for title, content in sections.items():
        if content:
            lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _in_short(schema: DataSchema, evaluation: Evaluation) -> str:
    classes = schema.target.classes
    answer = f"one of {len(classes)} classes" if classes else "a number"
    does = {
        Task.CLUSTERING: "Tells which cluster a row belongs to",
        Task.ANOMALY_DETECTION: "Tells whether a row is anomalous",
        Task.DECISION: f"Takes one of {len(classes)} actions for the sake of `{schema.target.name}`",
    }.get(schema.task, f"Predicts `{schema.target.name}`, {answer}")
    notes = f" {' '.join(evaluation.notes)}" if schema.task in UNSUPERVISED else ""
    return (
        f"{does}, from {len(schema.features)} columns. {evaluation.algorithm}, "
        f"{evaluation.metric} {evaluation.score:.3f} on {evaluation.test_rows:,} test rows.{notes}"
    )


def _intended_use(problem: ProblemSpec, governance: GovernanceSpec) -> list[str]:
    return _facts(
        {
            "Objective": problem.objective,
            "Challenge": problem.challenge,
            "Intended use": governance.intended_use,
            "Owner": governance.owner,
        }
    )


def _metrics(evaluation: Evaluation) -> list[str]:
    def row(name: str, value: float) -> Sequence[str]:
        interval = evaluation.intervals.get(name)
        return name, f"{value:.4f}", f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "unknown"

    judged = (
        f"On {evaluation.judged_on}. Models are compared by {evaluation.metric}: {evaluation.score:.4f} "
        f"(standard error {evaluation.standard_error:.4f})"
    )
    for part, value in (("validation", evaluation.validation_score), ("training", evaluation.train_score)):
        judged += f", {value:.4f} on the {part} rows" if value is not None else ""
    judged += "."
    return [
        judged,
        "",
        *_table(
            ["metric, greater is better", "value", "95 % interval"],
            [row(name, value) for name, value in evaluation.metrics.items()],
        ),
        *_policies(evaluation),
    ]


def _references(evaluation: Evaluation) -> list[str]:
    found = evaluation.examination
    lines: list[str] = []
    if found.references:
        rows = [
            (one.what, f"{one.score:.4f}", f"{one.difference:+.4f}", f"{one.lower:+.4f} to {one.upper:+.4f}")
            for one in found.references
        ]
        lines += ["", *_table(["instead", evaluation.metric, "gain of the model", "95 % interval"], rows)]
    if found.cross_validation:
        one = found.cross_validation
        lines += ["", f"Cross-validated ({one.method}): {one.mean:.4f} ± {one.standard_deviation:.4f}."]
    return lines


def _worth(evaluation: Evaluation) -> list[str]:
    worth = evaluation.examination.worth
    if worth is None:
        return []
    told = (
        f"Per 1,000 cases {worth.model:,.1f} (95 % interval {worth.lower:,.1f} to {worth.upper:,.1f}), by "
        f"`problem.outcomeValues`. The best single answer for all is worth {worth.dummy:,.1f} (gain "
        f"{worth.gain:+,.1f}, {worth.gain_lower:+,.1f} to {worth.gain_upper:+,.1f}), the most probable class "
        f"{worth.most_probable:,.1f}, right answers alone {worth.perfect:,.1f}."
    )
    return [told]


def _diagnosis(evaluation: Evaluation) -> list[str]:
    found = evaluation.examination.diagnosis
    if found is None:
        return []
    return [f"{evaluation.diagnosis.capitalize()}.", "", *(f"- {text}" for text in (*found.reasons, *found.advice))]


def _slices(evaluation: Evaluation) -> list[str]:
    found = evaluation.examination.slices
    worse = [one for one in found.worst if one.is_worse] if found else []
    if not found or not worse:
        return []
    rows = [
        (one.column, one.group, f"{one.rows:,}", f"{one.score:.4f}", f"{one.lower:.4f} to {one.upper:.4f}")
        for one in worse
    ]
    told = f"Worse than on all rows ({found.metric} {found.score:.4f}) beyond doubt, of {found.looked_at} groups:"
    return ["", told, "", *_table(["column", "group", "test rows", found.metric, "interval"], rows)]


def _robustness(evaluation: Evaluation) -> list[str]:
    found = evaluation.examination.robustness
    if found is None:
        return []
    order = "depend" if found.depends_on_order else "do not depend"
    rows = [(one.what, f"{one.score:.4f}", f"{-one.loss:+.4f}") for one in found.noise]
    rows += [
        (f"{one.what} missing", f"{one.score:.4f}", f"{-one.loss:+.4f}") for one in found.missing[:_MOST_DISTURBANCES]
    ]
    told = (
        f"Answers {order} on the other rows of a request. On {found.rows:,} test rows {evaluation.metric} is "
        f"{found.score:.4f}; disturbed:"
    )
    return [told, "", *_table(["rows with", evaluation.metric, "change"], rows)]


def _policies(evaluation: Evaluation) -> list[str]:
    if not evaluation.policies:
        return []
    rows = [
        (p.name, f"{p.value:.4f}", f"{p.lower:.4f} to {p.upper:.4f}", f"{p.effective_rows:,.0f}")
        for p in evaluation.policies
    ]
    return ["", *_table(["policy", "reward a decision, doubly robust", "95 % interval", "effective rows"], rows)]


def _groups(assessment: Assessment) -> list[str]:
    if not assessment.columns:
        return ["Not assessed: the loop names no sensitive columns."]
    lines: list[str] = []
    for column in assessment.columns:
        lines += [*([""] if lines else []), *_column_groups(column, assessment.metric)]
    return lines


def _column_groups(column: ColumnAssessment, metric: str) -> list[str]:
    lines = [f"### By `{column.column}`", ""]
    if column.differences:
        told = ", ".join(f"{name} {value:.3f}" for name, value in column.differences.items())
        lines += [f"Differences between groups, 0 is equal treatment: {told}.", ""]
    if column.before:
        told = ", ".join(f"{name} {value:.3f}" for name, value in column.before.items())
        lines += [f"If the most probable class were answered: {told}.", ""]
    if column.not_assessed:
        lines += [f"Differences not assessed: {column.not_assessed}.", ""]
    if not column.groups:
        return lines[:-1]
    rows = [
        (
            group.group + (" (small)" if group.is_small else ""),
            f"{group.rows:,}",
            _number(group.score),
            _number(group.base_rate),
            _number(group.selection_rate),
        )
        for group in column.groups
    ]
    return [*lines, *_table(["group", "test rows", metric, "truly positive", "predicted positive"], rows)]


def _importance(explanation: Explanation) -> list[str]:
    shown = explanation.columns[:_MOST_COLUMNS]
    rows = [
        (
            column.column,
            f"{column.importance:.4f} ± {column.standard_deviation:.4f}",
            "" if column.is_distinguishable else "not distinguishable from 0",
        )
        for column in shown
    ]
    measured = (
        f"Loss of {explanation.metric} when the values of a column are shuffled, on {explanation.rows:,} test rows "
        f"({explanation.repeats} repeats). Columns that resemble each other share their importance."
    )
    lines = [measured, "", *_table(["column", "importance", ""], rows)]
    if explanation.attributions:
        pushes = ", ".join(f"`{_cell(name)}` {size:.3g}" for name, size in explanation.attributions.columns[:5])
        lines += ["", f"Mean push of an answer, in {explanation.attributions.unit} (Shapley values): {pushes}."]
    hidden = len(explanation.columns) - len(shown)
    return [*lines, "", f"{hidden} further columns matter less."] if hidden else lines


def _making(schema: DataSchema, evaluation: Evaluation, data: DataSpec) -> list[str]:
    through = evaluation.trained_through
    window = f"through {through.isoformat()}" if through else "no time column: parted at random"
    share = f"{'the oldest ' if through else ''}{TRAIN_SHARE:.0%}".replace("%", " %") + f", {window}"
    return _facts(
        {
            "Task": str(schema.task),
            "Algorithm": evaluation.algorithm,
            "Hyperparameters": ", ".join(f"{name} {_plain(value)}" for name, value in evaluation.params.items()),
            "Training rows": f"not known; adopted from {evaluation.origin}" if evaluation.origin else share,
            "Sampling": evaluation.sampling,
            "Decides": evaluation.decision or ("for the most probable class" if schema.target.classes else "a number"),
            "Data from": data.provenance.source or ("made up (`data.simulation`)" if data.simulation else ""),
            "Data licence": data.provenance.licence,
            "Data collected for": data.provenance.purpose,
            "Consent": data.provenance.consent,
        }
    )


def _limits(evaluation: Evaluation, explanation: Explanation, assessment: Assessment, data: DataSpec) -> Iterator[str]:
    """Yield what a reader should not conclude from this card, in whole sentences."""
    if told := caution(evaluation):
        yield told
    if evaluation.test_rows < _FEW_TEST_ROWS:
        yield f"Only {evaluation.test_rows} test rows judged it: every figure above is rough."
    if evaluation.origin:
        yield "It was trained elsewhere and may have seen the rows that judged it: its figures may be too good."
        yield from (f"{note}." for note in evaluation.notes)
    elif evaluation.trained_through is None:
        yield "Without a time column it was judged on rows of the time it was trained on, not on later ones."
    yield from _group_limits(assessment)
    if explanation.leakage_suspect:
        yield explanation.leakage_note
    weak = [column.column for column in explanation.columns if not column.is_distinguishable]
    if weak:
        named = ", ".join(f"`{_cell(name)}`" for name in weak[:_MOST_COLUMNS])
        yield (
            f"{len(weak)} of {len(explanation.columns)} columns make no measurable difference when shuffled alone: "
            f"{named}{', …' if len(weak) > _MOST_COLUMNS else '.'}"
        )
    if data.simulation:
        yield "The rows are made up (`data.simulation`): every figure above is about them, not about the world."
    elif not data.provenance.consent:
        yield "What the people in the data agreed to is not stated (`data.provenance.consent`)."
    yield "Importance tells what the model uses, not what causes the target."


def _group_limits(assessment: Assessment) -> Iterator[str]:
    if not assessment.columns:
        yield "Groups of people were not compared: no sensitive columns are named (`data.sensitiveColumns`)."
    for column in assessment.columns:
        if column.not_assessed:
            yield f"Groups by `{column.column}` were not compared: {column.not_assessed}."
        for groups, why in (
            (column.not_compared, "too few rows were not compared"),
            (column.not_compared_in_odds, f"too few rows of each class were left out of {EQUALIZED_ODDS}"),
        ):
            if groups:
                yield f"Groups of `{column.column}` with {why}: {', '.join(map(_cell, groups))}."


def _inputs(schema: DataSchema) -> list[str]:
    rows = [(feature.name, str(feature.type), "yes" if feature.nullable else "no") for feature in schema.features]
    return _table(["column", "type", "may be missing"], rows)


def _facts(facts: dict[str, str]) -> list[str]:
    return _table(["", ""], [(name, value or _UNSAID) for name, value in facts.items()])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), "|---" * len(head) + "|", *(_row(cells) for cells in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
