"""What `evaluate` finds out beyond the score, as records: parts of `records.Evaluation`. Light to import."""

from typing import Literal

from driftloop.spec.boundary import Boundary

OVER_FITTING, UNDER_FITTING, FINE, NO_SIGNAL = "over-fitting", "under-fitting", "fine", "no signal"
"""Verdicts of the diagnosis."""


class Reference(Boundary):
    """How a simpler way to answer does on the same test rows."""

    name: Literal["dummy", "simple", "flexible"]
    what: str
    """What it does, e.g. 'a logistic regression'."""
    score: float
    difference: float
    """Model - reference."""
    lower: float
    """Lower end of the 95 % interval of the difference, by the paired bootstrap."""
    upper: float

    @property
    def is_beaten(self) -> bool:
        """Whether the model is better beyond doubt."""
        return self.lower > 0


class Slice(Boundary):
    """The test rows of which one column says the same."""

    column: str
    group: str
    rows: int
    score: float
    lower: float
    """Lower end of the interval that allows for all groups that were looked at."""
    upper: float
    is_worse: bool
    """Whether the whole score lies above the interval."""


class Slices(Boundary):
    """Where the model is worst."""

    metric: str
    """The loop's metric; the root mean squared error in the place of `r2`."""
    looked_at: int
    """Groups whose score was measured; the intervals allow for so many (Bonferroni)."""
    score: float
    """On all rows that were looked at."""
    worst: tuple[Slice, ...]
    """From the most telling down."""


class CrossValidation(Boundary):
    """The selected configuration, fitted again on parts of the training and validation rows and judged on the rest."""

    method: str
    scores: tuple[float, ...]
    mean: float
    standard_deviation: float


class CurvePoint(Boundary):
    """What the selected configuration reaches with so many training rows."""

    rows: int
    train_score: float
    validation_score: float


class Diagnosis(Boundary):
    """Why the model is said to have learned too much, too little or the right amount from its rows."""

    reasons: tuple[str, ...]
    """The figures behind `Evaluation.diagnosis`, as plain sentences."""
    advice: tuple[str, ...]
    """What to change, as plain sentences; a rerun heeds the verdict."""
    curve: tuple[CurvePoint, ...] = ()
    gain_per_doubling: float | None = None
    """Of the metric on the validation rows, at the end of the curve; absent with fewer than two points."""


class Disturbance(Boundary):
    """What was done to the rows, and what it cost."""

    what: str
    score: float
    loss: float
    """Score of the untouched rows - score."""


class Robustness(Boundary):
    """How the model takes rows that are not as they should be."""

    rows: int
    score: float
    """On the untouched rows."""
    noise: tuple[Disturbance, ...]
    missing: tuple[Disturbance, ...]
    """Each column left empty by itself, the costliest first."""
    depends_on_order: bool
    """Whether an answer changes with the rows that are asked about with it: a fault."""


class Worth(Boundary):
    """What the answers are worth per 1,000 cases, by `problem.outcomeValues`."""

    model: float
    lower: float
    """Lower end of the 95 % interval."""
    upper: float
    dummy: float
    """The best single answer for every case."""
    gain: float
    """Model - dummy."""
    gain_lower: float
    gain_upper: float
    most_probable: float
    """If the most probable class were answered instead."""
    perfect: float
    """If every answer were right."""


class Membership(Boundary):
    """How well a stranger could tell by an answer that its row was among the training rows (Yeom et al. 2018)."""

    advantage: float
    """True minus false positive rate of the best threshold on the loss; 0: not at all, 1: always."""
    rows: int
    """Rows of each kind that it was measured on."""


class Examination(Boundary):
    """All of it; what does not apply to a model, or can't be measured, is absent."""

    references: tuple[Reference, ...] = ()
    diagnosis: Diagnosis | None = None
    cross_validation: CrossValidation | None = None
    slices: Slices | None = None
    robustness: Robustness | None = None
    worth: Worth | None = None
    membership: Membership | None = None
    parts_with_rows: tuple[str, ...] = ()
    """Parts of the model that keep training rows, e.g. nearest neighbours."""
