"""What outcomes are worth: `problem.outcomeValues` as a matrix, and the value of answers per 1,000 cases."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from driftloop.algorithms.metrics import Answers
from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, OutcomeValue
from driftloop.stages.judgements import Worth

PER = 1000
"""Cases that a value is told for."""
_SAMPLES = 500


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


def measure_worth(
    truth: npt.NDArray[np.float64],
    answers: Answers,
    train_truth: npt.NDArray[np.float64],
    matrix: npt.NDArray[np.float64],
    *,
    seed: int,
) -> Worth:
    """Return the value per 1,000 test rows with its 95 % interval, by the bootstrap over rows.

    Args:
        truth: of the test rows, encoded.
        answers: what the model decides for, and the probabilities behind it.
        train_truth: of the training rows; tells the dummy which one answer is worth most.
        matrix: of `value_matrix`.
        seed: of the bootstrap.

    Raises:
        ValueError: the answers are a regression's.
    """
    if answers.probabilities is None:
        raise ValueError("Only classes have outcomes.")
    rows = truth.astype(np.int64)
    shares = np.bincount(train_truth.astype(np.int64), minlength=len(matrix)) / len(train_truth)
    constant = int((shares @ matrix).argmax())
    ours, dummy = matrix[rows, answers.predictions.astype(np.int64)], matrix[rows, constant]
    generator = np.random.default_rng(seed)
    samples = (generator.integers(len(rows), size=len(rows)) for _ in range(_SAMPLES))
    means = PER * np.array([(ours[sample].mean(), (ours - dummy)[sample].mean()) for sample in samples])
    (lower, gain_lower), (upper, gain_upper) = np.percentile(means, (2.5, 97.5), axis=0).tolist()
    model = PER * float(ours.mean())
    return Worth(
        model=model,
        lower=lower,
        upper=upper,
        dummy=PER * float(dummy.mean()),
        gain=model - PER * float(dummy.mean()),
        gain_lower=gain_lower,
        gain_upper=gain_upper,
        most_probable=PER * float(matrix[rows, answers.probabilities.argmax(axis=1)].mean()),
        perfect=PER * float(matrix[rows, rows].mean()),
    )
