"""What the stages tell one another in JSON. Light to import: a stage without a model loads no library for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from driftloop.spec import ColumnImportance, Comparison, FeatureType, GroupDifferences
from driftloop.spec.boundary import Boundary
from driftloop.spec.datachecks import DataChecks
from driftloop.stages.judgements import Examination, Membership

SUSPICIOUS_SHARE = 0.8
"""A column with this share of all importance may leak the target."""
DEMOGRAPHIC_PARITY, EQUALIZED_ODDS = "demographic_parity_difference", "equalized_odds_difference"
"""Differences between groups, by fairlearn's names."""


SHARE_ERROR = "neg_share_error"
"""Metric of a comparison without labels: how far the share of rows called anomalous is from the one wanted, negated."""
RECORD = "record"
"""Key of an artifact's metadata that holds a record, as JSON."""


class Travelling(Boundary):
    """A record that travels as the metadata of an artifact.

    As one text: Kubeflow's metadata store gives structures back in wrappings, and adds entries of its own.
    """

    def to_metadata(self) -> dict[str, Any]:
        """Return the metadata: the record, and beside it what people can read in the UI."""
        content = self.to_dict()
        readable = {name: value for name, value in content.items() if isinstance(value, str | int | float)}
        return readable | {RECORD: self.model_dump_json(by_alias=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Return the record of an artifact's metadata."""
        return cls.model_validate_json(metadata[RECORD])


class DroppedColumn(Boundary):
    """A column that is not used, and why."""

    name: str
    reason: str


class ValidationReport(Boundary):
    """What was left out."""

    rows: int
    """Rows that are used."""
    rows_without_target: int
    rows_without_time: int
    dropped_columns: tuple[DroppedColumn, ...]
    notes: tuple[str, ...]
    """What was read as missing, or kept for the champion's sake, in plain sentences."""
    checks: DataChecks | None = None
    """What the rows are like; absent where nobody looked."""


class LeftOutRows(Boundary):
    """Training rows that cleaning left out."""

    field: str
    """Field of `preparation` that asked for it."""
    choice: str
    rows: int
    reason: str
    """What is wrong with them, as the rest of a sentence."""


class CleanedColumn(Boundary):
    """What cleaning does to one input."""

    name: str
    type: FeatureType
    missing: int
    """Training rows without a value."""
    filling: str
    """What a missing value becomes, in plain words; empty: the column is left out."""
    is_flagged: bool
    """Whether a column of its own says where it was missing."""
    is_dropped: bool
    limits: tuple[float, ...] = ()
    """Lowest and highest usual value, where outliers are looked for."""
    beyond: int = 0
    """Training rows beyond them."""


class CleaningRecord(Boundary):
    """What `clean` did to the training rows, and does to every request."""

    rows_before: int
    rows: int
    """Rows that are left to fit on."""
    missing: str
    """Choices of `preparation`, as they were asked for."""
    noise: str
    outliers: str
    outlier_action: str
    """Auto resolved; empty where no outliers are looked for."""
    left_out: tuple[LeftOutRows, ...]
    columns: tuple[CleanedColumn, ...]
    """Every input, in the model's order."""


class TransformedColumns(Boundary):
    """Inputs that are encoded alike."""

    inputs: tuple[str, ...]
    """Features, or flags that cleaning raises."""
    becomes: str
    """What they become, as a plain phrase."""
    why: str
    """Why; who chose."""
    columns: int
    """Columns of the matrix that they become."""


class TransformationRecord(Boundary):
    """How `transform` makes the matrix that estimators take."""

    columns: int
    """Of the matrix."""
    parts: tuple[TransformedColumns, ...]
    notes: tuple[str, ...]
    """What was left out or combined, and why, in plain sentences."""


class TrialRecord(Boundary):
    """Hyperparameters that were tried, and what they reached on the validation rows."""

    algorithm: str
    params: dict[str, Any]
    score: float
    is_pruned: bool = False
    """Whether it was given up half-way."""


class CandidateRecord(Travelling):
    """What `train` says of its candidate; travels as the metadata of the model artifact."""

    algorithm: str
    score: float | None = None
    """The loop's metric on the validation rows; absent for a model made elsewhere."""
    train_score: float | None = None
    """The same on the training rows."""
    trials: int
    fit_seconds: float
    """Time spent on fitting and tuning."""
    params: dict[str, Any]
    pruned: int = 0
    """Trials that were given up half-way."""
    rows: int = 0
    """Rows that it was fitted on; 0: not known."""
    judged_by: str = ""
    """What trials were compared on, as the rest of a sentence."""
    history: tuple[TrialRecord, ...] = ()
    """The trials that the next run can go on from, the best first."""
    sampling: str = ""
    """How rare classes were balanced, and why, as a plain sentence."""
    decision: str = ""
    """How the class to answer with is decided, as the rest of a sentence; empty: it is the most probable one."""
    origin: str = ""
    """Where a model made elsewhere came from; empty: it was trained in this run."""
    notes: tuple[str, ...] = ()
    """What a person should know of a model made elsewhere, in plain sentences."""


class PolicyValue(Boundary):
    """What a policy earns a decision, by the doubly robust estimate on the test rows."""

    name: str
    value: float
    lower: float
    """Of the 95 % interval by the bootstrap over rows."""
    upper: float
    effective_rows: float
    """How many of its own decisions the logged ones are worth."""


class Evaluation(Boundary):
    """What the test rows say of the selected candidate; travels in the Bento as `training.json`."""

    algorithm: str
    params: dict[str, Any]
    metric: str
    score: float
    """The loop's metric on the test rows."""
    standard_error: float
    train_score: float | None = None
    """Absent, as the next, for a model made elsewhere."""
    validation_score: float | None = None
    metrics: dict[str, float]
    """All metrics of the task on the test rows."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Their 95 % intervals by the bootstrap over rows; a metric that is undefined in some samples has none."""
    test_rows: int
    trained_through: datetime | None = None
    """Newest time in the rows that the model was fitted on."""
    sampling: str = ""
    """How rare classes were balanced, and why, as a plain sentence; empty: not known."""
    decision: str = ""
    """How the class to answer with is decided, as the rest of a sentence; empty: it is the most probable one."""
    diagnosis: str = ""
    """Whether it learned the right amount from its rows, by `stages.diagnosis`; empty: not known."""
    examination: Examination = Examination()
    """What else was found out about it."""
    history: tuple[TrialRecord, ...] = ()
    """Trials that the next run can go on from, the best of each algorithm first."""
    origin: str = ""
    """Where a model made elsewhere came from; it may have seen the test rows. Empty: it was trained in this run."""
    notes: tuple[str, ...] = ()
    """What a person should know of the model, in plain sentences."""
    policies: tuple[PolicyValue, ...] = ()
    """Decision: the policy as it serves first, then what it is to be compared with."""

    @property
    def judged_on(self) -> str:
        """What the score was measured on, as the rest of a sentence."""
        if self.origin:
            return f"all {self.test_rows:,} given rows, which the model may have seen, for it was trained elsewhere"
        return f"{self.test_rows:,} test rows that nothing was fitted or tuned on"


class ChampionComparison(Boundary):
    """How the candidate did against the champion. No part of `Evaluation`: a Bento knows only the champion's inputs."""

    comparison: Comparison | None = None
    """Absent for a first model, and where comparing failed."""
    failure: str = ""
    """Why there is a champion and no comparison; empty otherwise."""


class SamplingRecord(Travelling):
    """What `resample` did; travels as the metadata of its artifact."""

    method: str
    """A choice of `preparation.sampling`, Auto resolved."""
    reason: str
    """Why, as the rest of a sentence."""
    rows_before: dict[str, int] = Field(default_factory=dict)
    """Training rows of each class; empty for a regression."""
    rows_after: dict[str, int] = Field(default_factory=dict)
    """Rows of each class that are fitted on."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Weight of a row of each class."""
    rows_made: int = 0
    """Rows among them that were made up."""
    augmentation: str = ""
    """How more rows were made of those that there are, as the rest of a sentence; empty: none were."""


class Contribution(Boundary):
    """What the value of one column did to one answer."""

    column: str
    value: str
    """The value, as text."""
    amount: float
    """How far it pushed the answer up or down from the mean answer."""


class LocalExplanation(Boundary):
    """Why one row of the sample got its answer."""

    why: str
    """Why this row is shown, e.g. 'the surest'."""
    prediction: str
    truth: str
    answer: float
    """In the unit of the attributions: mean answer + all contributions."""
    contributions: tuple[Contribution, ...]
    """Of every column, from the one that pushed most."""


class Attributions(Boundary):
    """How far each column pushes answers, by Shapley values (SHAP, Lundberg and Lee 2017)."""

    method: str
    unit: str
    """What contributions are measured in."""
    of: str
    """What is explained: the class, or the target."""
    rows: int
    mean_answer: float
    columns: tuple[tuple[str, float], ...]
    """Mean size of the contributions of each column, from the greatest down."""
    examples: tuple[LocalExplanation, ...]


class Explanation(Boundary):
    """What the model looks at; travels in the Bento as `explanation.json`."""

    metric: str
    rows: int
    """Test rows it was measured on."""
    repeats: int
    score: float
    """The metric on these rows."""
    columns: tuple[ColumnImportance, ...]
    """Every input column, from the most important down."""
    attributions: Attributions | None = None
    """Absent where there is no one answer to be pushed, as for clusters."""
    leakage_suspect: str = ""
    """Column that alone carries nearly all importance; empty: there is none."""

    @property
    def leakage_note(self) -> str:
        """What to check of the suspect, in plain sentences."""
        share = f"{100 * SUSPICIOUS_SHARE:.0f} %"
        return (
            f"The column '{self.leakage_suspect}' carries at least {share} of all importance. Make sure that its value "
            "is known before the target is: it may leak the answer."
        )


class GroupMetrics(Boundary):
    """How the model does on the test rows of one group."""

    group: str
    rows: int
    score: float | None = None
    """The loop's metric; absent where it is undefined, e.g. with one class only."""
    base_rate: float | None = None
    """Two classes: share of rows that are truly of the positive class."""
    selection_rate: float | None = None
    """Two classes: share of rows that are predicted to be of the positive class."""
    is_small: bool = False
    """Whether the group has too few rows to be compared with others."""


class RareCategories(Boundary):
    """Categories of a column that few rows have."""

    column: str
    categories: int
    fewest_rows: int


class Privacy(Boundary):
    """What of the rows the Bento carries with it."""

    sample_rows: int
    rare_categories: tuple[RareCategories, ...] = ()
    listed_columns: tuple[str, ...] = ()
    """Numeric columns whose every value is in a sketch, for there are few rows."""
    parts_with_rows: tuple[str, ...] = ()
    """Parts of the model that keep training rows."""
    membership: Membership | None = None


class ColumnAssessment(GroupDifferences):
    """The groups of one sensitive column."""

    before: dict[str, float] = Field(default_factory=dict)
    """The differences if the most probable class were answered; only where the model decides otherwise."""

    groups: tuple[GroupMetrics, ...] = ()
    """From the largest down; quartiles rising."""
    not_compared: tuple[str, ...] = ()
    """Groups that the differences leave out, because they have too few rows."""
    not_compared_in_odds: tuple[str, ...] = ()
    """Further groups that equalized odds leaves out, because too few of their rows are of a class, or of the others."""

    def left_out(self, metric: str) -> tuple[str, ...]:
        """Return the groups that a difference leaves out."""
        return self.not_compared + (self.not_compared_in_odds if metric == EQUALIZED_ODDS else ())


class Assessment(Boundary):
    """How the model treats groups of people; travels in the Bento as `assessment.json`."""

    metric: str
    columns: tuple[ColumnAssessment, ...] = ()
    """One for each sensitive column."""
    accuracy: float | None = None
    """Share of right answers, and the same if the most probable class were answered; only where the model decides
    otherwise: what treating groups more alike costs."""
    accuracy_before: float | None = None
    decision: str = ""
    """How the class is decided, as of `Evaluation`."""
    privacy: Privacy | None = None
