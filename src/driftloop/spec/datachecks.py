"""What `validate` found out about the rows: are there enough, are they sound, do they answer, whom do they show.

Part of the validation report; drawn by its page.
"""

from enum import StrEnum

from driftloop.spec.boundary import Boundary


class CheckKind(StrEnum):
    """What a finding is about."""

    AMOUNT = "amount"
    QUALITY = "quality"
    LEAKAGE = "leakage"
    RELEVANCE = "relevance"
    DIVERSITY = "diversity"


class DataFinding(Boundary):
    """One thing that a person should know of the rows."""

    kind: CheckKind
    column: str = ""
    """The column it is about; empty: the rows as a whole."""
    text: str
    """With a column the rest of a sentence about it, else a whole sentence without its full stop."""
    is_warning: bool = True
    """Whether a person should look into it; otherwise it is good to know."""


class LearningPoint(Boundary):
    """What a rough model explains after learning from so many rows."""

    rows: int
    explained: float
    """Share of the target's variance on rows it did not learn from; below 0 where a constant does better."""


class ColumnRelevance(Boundary):
    """How much one column tells of the target."""

    column: str
    bits: float
    """Mutual information, less what a shuffled target has by chance."""
    p_value: float
    """Chance that the best of all columns looks so good with a shuffled target."""


class GroupShare(Boundary):
    """One group of people, or segment, among the rows."""

    column: str
    group: str
    rows: int
    share: float
    outcome: float | None = None
    """Share of the rows with the last class, or mean of a number."""


class DataChecks(Boundary):
    """Everything that was found."""

    rows_looked_at: int
    """Rows, evenly chosen, that the models behind the figures saw."""
    rows_needed: int | None = None
    """Labelled rows that a linear model of these columns needs by rules of thumb."""
    curve: tuple[LearningPoint, ...] = ()
    forecast: tuple[LearningPoint, ...] = ()
    """The curve drawn on: to the rows there are for training, and to twice as many."""
    relevance: tuple[ColumnRelevance, ...] = ()
    """From the most telling column down."""
    label_noise: float | None = None
    """Estimated share of wrong labels; absent where the columns tell too little to say."""
    groups: tuple[GroupShare, ...] = ()
    findings: tuple[DataFinding, ...] = ()

    def about(self, column: str) -> list[str]:
        """Return what is told of a column, each as the rest of a sentence."""
        return [finding.text for finding in self.findings if finding.column == column != ""]
