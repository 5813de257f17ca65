"""The action and propensity columns of raw rows, read as a decision needs them, or refused in words.

Part of the stage `validate`. The reward is the target column.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.stages.rawcolumn import is_text

MOST_ACTIONS = 100
FEWEST_ROWS_PER_ACTION = 10
_DOUBTFUL_ERRORS = 4.0
"""Standard errors from which on propensities are doubted; one sound action in 16,000 is."""


class ActionError(InvalidInputError):
    """The action column holds no actions to choose from."""

    def __init__(self, name: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The 'data.actionColumn' '{name}' {constraint}. Got {got}. {remedy}")


class PropensityError(InvalidInputError):
    """Propensities are no probabilities."""

    def __init__(self, name: str, wrong: int, rows: int, example: object) -> None:
        super().__init__(
            f"The 'data.propensityColumn' '{name}' must hold a probability above 0, up to 1, in every row. "
            f"{wrong:,} of {rows:,} rows have none; the first holds {example}. Log the probability with which the "
            "action was drawn, and leave out rows of which it is not known."
        )


def read_actions(
    column: pa.Array, name: str, champions: Sequence[str | bool | int] = ()
) -> tuple[pa.Array, tuple[str | bool | int, ...]]:
    """Return the actions in one type, and the actions to choose from, sorted.

    Those of a champion stay, be they in these rows or not: its own exploration shows some of them seldom.

    Raises:
        ActionError: there is nothing to choose from, or too much.
    """
    if column.null_count:
        got, remedy = f"{column.null_count:,} of {len(column):,} rows without one", "Leave these rows out."
        raise ActionError(name, "must name the action taken in every row", got, remedy)
    if pa.types.is_floating(column.type):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            remedy = "Turn them into a few actions, such as steps of a price."
            raise ActionError(name, "must hold actions to choose from", "numbers with fractions", remedy) from error
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    elif not (pa.types.is_boolean(column.type) or is_text(column.type)):
        remedy = "Turn it into texts, whole numbers or booleans."
        raise ActionError(name, "must hold actions to choose from", str(column.type), remedy)
    counts = {count["values"]: count["counts"] for count in pc.value_counts(column).to_pylist()}
    if champions and type(champions[0]) is not type(next(iter(counts))):
        remedy = "Convert the column; a model with other actions is another ModelLoop."
        raise ActionError(name, "must hold actions as the champion's are", repr(next(iter(counts))), remedy)
    actions = tuple(sorted({*counts, *champions}))
    if len(actions) < 2:  # noqa: PLR2004 - one action is no choice
        remedy = "Log decisions that could have been others."
        raise ActionError(name, "must have at least two actions", f"only {actions[0]!r}", remedy)
    if len(actions) > MOST_ACTIONS:
        raise ActionError(
            name, f"must have at most {MOST_ACTIONS} actions", f"{len(actions)}", "Group them, or check the column."
        )
    rarest = min(counts, key=lambda action: (counts[action], action))
    if not champions and counts[rarest] < FEWEST_ROWS_PER_ACTION:
        constraint = f"must have at least {FEWEST_ROWS_PER_ACTION} rows of each action"
        remedy = "Explore it more, or leave its rows out."
        raise ActionError(name, constraint, f"{counts[rarest]} of {rarest!r}", remedy)
    return column, actions


def read_propensities(column: pa.Array, name: str) -> pa.Array:
    """Return the propensities as float64.

    Raises:
        PropensityError: a row has none above 0, up to 1.
    """
    types = pa.types
    is_number = types.is_integer(column.type) or types.is_floating(column.type)
    numbers = column.cast(pa.float64()) if is_number else pa.nulls(len(column), pa.float64())
    right = pc.fill_null(pc.and_(pc.greater(numbers, 0.0), pc.less_equal(numbers, 1.0)), fill_value=False)
    wrong = len(column) - (pc.sum(right).as_py() or 0)
    if wrong:
        example = column[right.to_pylist().index(False)].as_py()
        raise PropensityError(name, wrong, len(column), "nothing" if example is None else repr(example))
    return numbers


def doubts(actions: pa.Array, propensities: pa.Array) -> list[str]:
    """Return what speaks against the propensities, as plain sentences.

    An action that could be taken in every row is taken with weight 1 / propensity once a row, on average (the
    arithmetic mean test of Li et al., "Unbiased offline evaluation of contextual-bandit-based news article
    recommendation algorithms", 2011, in its importance-weighted form).
    """
    import numpy as np

    notes = []
    inverse = 1 / propensities.to_numpy(zero_copy_only=False)
    for action in sorted(pc.unique(actions).to_pylist()):
        taken = pc.equal(actions, pa.scalar(action, actions.type)).to_numpy(zero_copy_only=False)
        weighted = np.where(taken, inverse, 0.0)
        mean, error = float(weighted.mean()), float(weighted.std() / len(weighted) ** 0.5)
        if abs(mean - 1) > max(_DOUBTFUL_ERRORS * error, 0.05):
            notes.append(
                f"the propensities of the action {action!r} don't add up: weighted by them it was taken {mean:.2f} "
                "times a row, not once; either they are wrong, or it could not be taken in every row, and then its "
                "value holds for those rows only"
            )
    return notes
