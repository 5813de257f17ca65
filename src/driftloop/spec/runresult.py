"""The result of a pipeline run: the one record the controller reads (`result.json`, written once by `register`)."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from driftloop.spec.boundary import Boundary


class RunVerdict(StrEnum):
    """What the run says of its own candidate. Promotion is the controller's."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class Comparison(Boundary):
    """Challenger against champion on test rows that neither was trained on."""

    metric: str
    champion: float
    challenger: float
    difference: float
    """challenger - champion; greater is better."""
    lower: float
    """Lower end of the paired bootstrap 95 % interval of the difference."""
    upper: float
    rows: int
    agreement: float | None = None
    """Where no truth decides: how far both answer alike, 1 at most: adjusted Rand index of clusters, rank correlation
    of anomaly scores."""


class ColumnImportance(Boundary):
    """What a model loses when one input column is shuffled over the rows."""

    column: str
    importance: float
    """Mean loss of the loop's metric; about 0: the model would answer as well without the column's values."""
    standard_deviation: float
    """Over repeats, each with a shuffle and a bootstrap sample of the rows of its own."""

    @property
    def is_distinguishable(self) -> bool:
        """Whether the importance lies two standard deviations above 0."""
        return self.importance > 2 * self.standard_deviation


class GroupDifferences(Boundary):
    """How differently a model treats the groups of one sensitive column, on the test rows."""

    column: str
    differences: dict[str, float] = Field(default_factory=dict)
    """By fairlearn's name; 0 is equal treatment. Empty for a regression."""
    not_assessed: str = ""
    """Why there is no difference, as a plain sentence without its full stop; empty otherwise."""


class RunResult(Boundary):
    """Everything that is known of a candidate."""

    format_version: int = 1
    loop: str
    run_key: str
    verdict: RunVerdict
    reasons: tuple[str, ...]
    """Plain sentences: every acceptance rule, held or not."""
    algorithm: str
    metric: str
    test_score: float
    """The loop's metric on the test rows."""
    metrics: dict[str, float]
    """All metrics on the test rows."""
    comparison: Comparison | None = None
    """Absent for a first model."""
    importance: tuple[ColumnImportance, ...] = ()
    """The inputs that matter most, at most five, from the greatest down."""
    assessment: tuple[GroupDifferences, ...] = ()
    """One for each sensitive column."""
    bento_tag: str
    bento_uri: str
    bento_digest: str
    data_digest: str
    rows: int
    trained_through: datetime | None = None
    """Newest time in the rows used for fitting; None without a time column."""
    origin: str = ""
    """Where a model made elsewhere came from; empty: it was trained in this run."""
    runtime_image: str
    run_id: str


class FeasibilityVerdict(StrEnum):
    """Whether the problem can be solved with these data, as far as a proof of concept can tell."""

    GO = "Go"
    NO_GO = "NoGo"


class FeasibilityResult(Boundary):
    """What a proof of concept found; takes the place of a `RunResult`, for it has no candidate."""

    format_version: int = 1
    loop: str
    run_key: str
    verdict: FeasibilityVerdict
    reasons: tuple[str, ...]
    """Plain sentences with figures: every rule, held or not, what was reduced, and what was noticed."""
    advice: tuple[str, ...]
    """What would help, in plain sentences."""
    algorithm: str
    metric: str
    test_score: float
    """The loop's metric on the test rows of the sample."""
    data_digest: str
    rows: int
    """Rows of the sample."""
    run_id: str
