"""Stage `adjust`: how the selected model decides, where the loop wants another answer than the most probable class.

Between `select` and `evaluate`, so that everything that judges the model judges what it will answer. Without
`problem.outcomeValues` and `acceptance.fairness.mitigation` it changes nothing and loads nothing.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from driftloop.spec import AcceptanceSpec, DataSchema, FairnessSpec, ProblemSpec
from driftloop.stages.records import CandidateRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


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
    matrix: Callable[[], "npt.NDArray[np.float64]"],
    schema: DataSchema,
    *,
    problem: ProblemSpec,
    acceptance: AcceptanceSpec,
    sensitive_columns: Sequence[str],
    seed: int,
) -> tuple[Any, CandidateRecord]:
    """Put the rule of decision on the chain's last link; return the chain and what is told of it.

    Args:
        chain: the selected model.
        record: what `train` said of it.
        train: the training rows, with their sensitive columns.
        matrix: reads the training rows as they were fitted on; called only to mitigate.
        schema: of those rows.
        problem: what outcomes are worth.
        acceptance: the fairness wanted.
        sensitive_columns: `data.sensitiveColumns`.
        seed: of every random choice.

    Raises as `check_decision` does.
    """
    from sklearn.pipeline import Pipeline

    from driftloop.algorithms import get_algorithm
    from driftloop.stages.assess import group_rows
    from driftloop.stages.decisionlinks import ValueDecision, undecided
    from driftloop.stages.mitigate import mitigate
    from driftloop.stages.outcomes import value_matrix
    from driftloop.stages.table import encode_target, read_target

    check_decision(problem, acceptance, schema)
    name, last = chain.steps[-1]
    last = undecided(last)
    if problem.outcome_values:
        last = ValueDecision(last, value_matrix(problem.outcome_values, schema))
        told = "for the class of the greatest expected value (problem.outcomeValues)"
    else:
        x, reason = _rows_to_mitigate(chain, record, train, matrix, schema=schema, sensitive_columns=sensitive_columns)
        if x is None:
            told = KEPT.format(reason)
        else:
            algorithm = get_algorithm(record.algorithm)
            found = mitigate(
                last,
                lambda: algorithm.build(schema.task, record.params, seed),
                x,
                encode_target(read_target(train, schema), schema),
                groups=[group_rows(train.column(name))[0] for name in sensitive_columns],
                fairness=acceptance.fairness or FairnessSpec(),
                seed=seed,
            )
            last, told = (last, KEPT.format(found)) if isinstance(found, str) else (found.link, found.told)
    return Pipeline([*chain.steps[:-1], (name, last)]), record.model_copy(update={"decision": told})


def _rows_to_mitigate(
    chain: Any,
    record: CandidateRecord,
    train: "pa.Table",
    matrix: Callable[[], "npt.NDArray[np.float64]"],
    *,
    schema: DataSchema,
    sensitive_columns: Sequence[str],
) -> tuple["npt.NDArray[np.float64] | None", str]:
    """Return the training rows prepared, or None and why they can't be used."""
    from driftloop.stages.table import read_features

    missing = [name for name in sensitive_columns if name not in train.column_names]
    if record.origin:
        return None, "the model was trained elsewhere"
    if missing or not sensitive_columns:
        return None, f"the rows don't carry {', '.join(missing) or 'sensitive columns'}"
    x: Any = matrix()
    if len(x) != train.num_rows:  # rows were dropped or added on the way
        x = read_features(train, schema)
        for _, link in chain.steps[:-1]:
            x = link.transform(x)
    return x, ""


def _mitigation(acceptance: AcceptanceSpec) -> str:
    return acceptance.fairness.mitigation if acceptance.fairness else "None"
