"""What outcomes are worth: `problem.outcomeValues` as a matrix, and the value of answers per 1,000 cases."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, OutcomeValue

PER = 1000
"""Cases that a value is told for."""


class UnknownOutcomeError(InvalidInputError):
    """An outcome names a class that the target does not have."""

    def __init__(self, label: str, classes: Sequence[str]) -> None:
        super().__init__(
            "Each of 'problem.outcomeValues' must name classes of the target. "
            f"Got '{label}'. Use: {', '.join(repr(one) for one in classes)}."
        )


class RepeatedOutcomeError(InvalidInputError):
    """An outcome is given two values."""

    def __init__(self, outcome: OutcomeValue) -> None:
        super().__init__(
            "Each of 'problem.outcomeValues' must be another outcome. "
            f"Got actual '{outcome.actual}', predicted '{outcome.predicted}' twice. Remove one."
        )


def value_matrix(outcomes: Sequence[OutcomeValue], schema: DataSchema) -> npt.NDArray[np.float64]:
    """Return what outcomes are worth, by true (down) and predicted class (across); 0 where nothing is said.

    Raises:
        UnknownOutcomeError: a class is not one of the target's; texts as Python writes them, `true` and `false` too.
        RepeatedOutcomeError: an outcome stands twice.
    """
    names = [str(label) for label in schema.target.classes]
    codes = {name: code for code, name in enumerate(names)}
    codes |= {name.lower(): code for name, code in codes.items() if name in ("True", "False")}
    values = np.zeros((len(names), len(names)))
    seen = set()
    for outcome in outcomes:
        for label in (outcome.actual, outcome.predicted):
            if label not in codes:
                raise UnknownOutcomeError(label, names)
        place = (codes[outcome.actual], codes[outcome.predicted])
        if place in seen:
            raise RepeatedOutcomeError(outcome)
        seen.add(place)
        values[place] = outcome.value
    return values


def check_outcomes(outcomes: Sequence[OutcomeValue], schema: DataSchema) -> None:
    """Refuse what `value_matrix` would, before anything is fitted; raises as it does."""
    value_matrix(outcomes, schema)


def values_of(
    truth: npt.NDArray[np.float64], predictions: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return what each case is worth, shape (n,)."""
    worth: npt.NDArray[np.float64] = matrix[truth.astype(np.int64), predictions.astype(np.int64)]
    return worth
