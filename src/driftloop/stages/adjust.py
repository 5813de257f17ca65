"""Stage `adjust`: how the selected model decides, where the loop wants another answer than the most probable class.

Between `select` and `evaluate`, so that everything that judges the model judges what it will answer. Without
`problem.outcomeValues` and `acceptance.fairness.mitigation` it changes nothing and loads nothing.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from driftloop.spec import AcceptanceSpec, DataSchema, FairnessSpec, PreparationSpec, ProblemSpec
from driftloop.stages.records import CandidateRecord

if TYPE_CHECKING:
    import pyarrow as pa

    from driftloop.stages.matrices import Matrices


KEPT = "for the most probable class; groups are not treated more alike, because {}"


def is_needed(problem: ProblemSpec, acceptance: AcceptanceSpec) -> bool:
    """Tell whether the loop asks for a rule of decision of its own."""
    return bool(problem.outcome_values) or _mitigation(acceptance) != "None"


def check_decision(problem: ProblemSpec, acceptance: AcceptanceSpec, schema: DataSchema) -> None:
    """Refuse, before anything is fitted, what `adjust` can't do with these classes.

    Raises:
        UnknownOutcomeError: a value is of a class that there is not.
        RepeatedOutcomeError: an outcome has two values.
        TooManyClassesError: mitigation is asked for more than two classes.
    """
    if not is_needed(problem, acceptance):
        return
    from driftloop.stages.mitigate import check_mitigation
    from driftloop.stages.outcomes import check_outcomes

    check_outcomes(problem.outcome_values, schema)
    check_mitigation(acceptance.fairness, schema)


def adjust(
    chain: Any,
    record: CandidateRecord,
    train: "pa.Table",
    matrices: Callable[[], "Matrices"],
    schema: DataSchema,
    *,
    problem: ProblemSpec,
    acceptance: AcceptanceSpec,
    preparation: PreparationSpec,
    sensitive_columns: Sequence[str],
    seed: int,
) -> tuple[Any, CandidateRecord]:
    """Put the rule of decision on the chain's last link; return the chain and what is told of it.

    Args:
        chain: the selected model.
        record: what `train` said of it.
        train: the training rows, with their sensitive columns.
        matrices: reads the training rows as they were fitted on; called only to mitigate.
        schema: of those rows.
        problem: what outcomes are worth.
        acceptance: the fairness wanted.
        preparation: how classes are balanced, to fit the like again.
        sensitive_columns: `data.sensitiveColumns`.
        seed: of every random choice.

    Raises as `check_decision` does.
    """
    import numpy as np
    from sklearn.pipeline import Pipeline

    from driftloop.stages.assess import group_rows
    from driftloop.stages.decisionlinks import ValueDecision, undecided
    from driftloop.stages.mitigate import mitigate
    from driftloop.stages.outcomes import value_matrix
    from driftloop.stages.refit import fit_estimator

    check_decision(problem, acceptance, schema)
    name, last = chain.steps[-1]
    last = undecided(last)
    if problem.outcome_values:
        last = ValueDecision(last, value_matrix(problem.outcome_values, schema))
        told = "for the class of the greatest expected value (problem.outcomeValues)"
    else:
        told = KEPT.format(_why_not(record, train, sensitive_columns))
        if not _why_not(record, train, sensitive_columns):
            prepared = matrices()
            rows = np.arange(train.num_rows) if prepared.train_rows is None else prepared.train_rows
            found = mitigate(
                last,
                lambda x, y: fit_estimator(
                    record, x, y, columns=prepared.columns, schema=schema, preparation=preparation, seed=seed
                ),
                prepared.train_x,
                prepared.train_y,
                groups=[group_rows(train.column(name))[0][rows] for name in sensitive_columns],
                fairness=acceptance.fairness or FairnessSpec(),
                seed=seed,
            )
            last, told = (last, KEPT.format(found)) if isinstance(found, str) else (found.link, found.told)
    return Pipeline([*chain.steps[:-1], (name, last)]), record.model_copy(update={"decision": told})


def _why_not(record: CandidateRecord, train: "pa.Table", sensitive_columns: Sequence[str]) -> str:
    """Return why groups can't be treated more alike, as the rest of a sentence; empty: they can."""
    if record.origin:
        return "the model was trained elsewhere"
    missing = [name for name in sensitive_columns if name not in train.column_names]
    if missing or not sensitive_columns:
        return f"the rows don't carry {', '.join(missing) or 'sensitive columns'}"
    return ""


def _mitigation(acceptance: AcceptanceSpec) -> str:
    return acceptance.fairness.mitigation if acceptance.fairness else "None"
