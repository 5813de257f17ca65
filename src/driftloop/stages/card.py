"""The model card that a Bento carries, in Markdown: what the model is for, made of, and how good it is.

Used by `package`. Equal inputs give an equal card: no times, no run ids.
"""

from driftloop.spec import DataSchema, DataSpec, GovernanceSpec, ProblemSpec
from driftloop.stages.records import Evaluation

_UNSAID = "not stated"


def build_card(
    loop: str,
    schema: DataSchema,
    evaluation: Evaluation,
    *,
    problem: ProblemSpec,
    data: DataSpec,
    governance: GovernanceSpec,
) -> str:
    """Return the card of the selected model."""
    provenance = data.provenance
    facts = {
        "Objective": problem.objective,
        "Challenge": problem.challenge,
        "Intended use": governance.intended_use,
        "Owner": governance.owner,
        "Task": str(schema.task),
        "Target": schema.target.name,
        "Algorithm": evaluation.algorithm,
        "Trained through": evaluation.trained_through.isoformat() if evaluation.trained_through else "no time column",
        "Data from": provenance.source,
        "Data licence": provenance.licence,
        "Data collected for": provenance.purpose,
        "Consent": provenance.consent,
    }
    lines = [f"# {loop}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value) or _UNSAID} |" for name, value in facts.items()]
    lines += ["", "## Metrics", "", f"On {evaluation.test_rows:,} test rows that nothing was fitted or tuned on.", ""]
    lines += ["| metric | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4f} |" for name, value in evaluation.metrics.items()]
    lines += ["", f"Standard error of {evaluation.metric}: {evaluation.standard_error:.4f}.", "", "## Inputs", ""]
    lines += ["| column | type | may be missing |", "|---|---|---|"]
    lines += [
        f"| {_cell(feature.name)} | {feature.type} | {'yes' if feature.nullable else 'no'} |"
        for feature in schema.features
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
