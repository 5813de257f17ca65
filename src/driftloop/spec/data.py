"""The rows to learn from: where they lie, what their columns mean, what they may be used for. Group `data`.

Field docstrings are the reference documentation.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from driftloop.spec.boundary import CLUSTER_ONLY, Boundary, Duration, RuleError

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# Bounded, because the API server reckons with the longest when it compares names.
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
DATA_VARIABLE_PREFIX = "DRIFTLOOP_DATA_"
"""Of the environment variables by which a run's pods get what `data.secretRef` holds."""
DATA_SECRET_KEYS = {
    "AWS_ACCESS_KEY_ID": True,
    "AWS_SECRET_ACCESS_KEY": True,
    "AWS_ENDPOINT_URL": False,
    "AWS_DEFAULT_REGION": False,
}
"""Keys of that Secret, and whether it must have each."""
FEWEST_ROWS = 30
"""No model is trained on fewer rows, whatever `data.minRows` says."""


class SecretRef(Boundary):
    """Name of a Secret in the loop's namespace (on the laptop: credentials come from the environment)."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=253)]
    """Name of the Secret."""


class ProvenanceSpec(Boundary):
    """Where the data come from and what they may be used for; copied to the model card."""

    source: str = ""
    """Where the data were obtained."""
    licence: str = ""
    """Licence or contract they come under."""
    purpose: str = ""
    """What they were collected for."""
    consent: str = ""
    """What the people described in them agreed to."""


class JoinSpec(Boundary):
    """A further table, joined to the rows by key, by time, or both."""

    uri: Annotated[str, Field(min_length=1)]
    """Where it lies, as `data.uri`."""
    query: Annotated[str | None, Field(max_length=10_000)] = None
    """SQL SELECT, where `uri` is a database."""
    on: Annotated[tuple[ColumnName, ...], Field(max_length=10)] = ()
    """Columns that must be equal in both tables. Without `timeColumn` at least one, and each combination only once in
    the further table."""
    time_column: ColumnName | None = None
    """When its values became known. Set: each row gets the newest values known before its own `data.timeColumn`, never
    later ones."""
    within: Duration | None = None
    """Oldest values to take. Absent: however old."""
    columns: Annotated[tuple[ColumnName, ...], Field(max_length=200)] = ()
    """Columns to take. Empty: all but those joined on."""
    prefix: Annotated[str, Field(max_length=50)] = ""
    """Put before the names of the columns taken."""


class HistorySpec(Boundary):
    """Inputs made of the earlier rows' values of one column."""

    column: ColumnName
    """Number to look back at: an input, or the target."""
    by: Annotated[tuple[ColumnName, ...], Field(max_length=5)] = ()
    """Columns whose values make separate histories, such as a shop. Empty: one history."""
    lags: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=50)] = ()
    """How many rows back: 1 is the row before."""
    windows: Annotated[tuple[Annotated[int, Field(ge=2, le=10_000)], ...], Field(max_length=20)] = ()
    """Sizes of rolling means over the rows before, the row itself left out."""
    known_after: Duration = timedelta(0)
    """How long after its time a value is known: earlier rows younger than that are passed over."""


class SampleSpec(Boundary):
    """How many of the rows to take, and which."""

    rows: Annotated[int, Field(ge=FEWEST_ROWS)]
    """Rows to take; all where there are fewer."""
    by: ColumnName | None = None
    """Column whose values keep their shares (stratified). Absent: plain random; rows stay in their order."""


class SimulatedColumn(Boundary):
    """One made-up column."""

    name: ColumnName
    """Name of the column."""
    kind: Literal["Normal", "Uniform", "Integer", "Category", "Boolean", "Time", "Text"]
    """Distribution of its values. Normal: by mean and standard deviation. Uniform: any number between two. Integer: any
    whole number between two, both included. Category: one of `categories`. Boolean: true with a probability. Time: from
    `minimum` (days since 1970) on, evenly spread over `maximum` days. Text: eight of the words in `categories`."""
    minimum: float = 0.0
    """Uniform, Integer: smallest value. Normal: mean."""
    maximum: float = 1.0
    """Uniform, Integer: largest value. Normal: standard deviation. Boolean: share that is true."""
    categories: Annotated[tuple[ColumnName, ...], Field(max_length=100)] = ()
    """Category, Text: the values, or words."""
    missing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of rows without a value."""
    effect: float = 0.0
    """Weight in the target: a linear score for numbers, one step a category."""


class SimulationSpec(Boundary):
    """A made-up table. Its target follows from the columns with an effect."""

    rows: Annotated[int, Field(ge=FEWEST_ROWS, le=10_000_000)]
    """Rows to make."""
    columns: Annotated[tuple[SimulatedColumn, ...], Field(min_length=1, max_length=200)]
    """Columns beside the target."""
    noise: Annotated[float, Field(ge=0)] = 1.0
    """Standard deviation of what the target does not owe to the columns."""
    random_state: Annotated[int, Field(ge=0)] = 0
    """Seed."""


class DataSpec(Boundary):
    """The table to learn from."""

    uri: Annotated[str, Field(min_length=1)]
    """Parquet, CSV or JSON lines: a path (relative to this file), an address of an object store, or `https://`. Or a
    database, as SQLAlchemy writes it: `sqlite:///sales.db`, `postgresql+psycopg://host/sales`."""
    query: Annotated[str | None, Field(max_length=10_000)] = None
    """SQL SELECT of the rows, where `uri` is a database."""
    joins: Annotated[tuple[JoinSpec, ...], Field(max_length=10)] = ()
    """Further tables whose columns are joined to the rows, in this order."""
    history: Annotated[tuple[HistorySpec, ...], Field(max_length=20)] = ()
    """Inputs made of earlier rows: lags and rolling means. They need `timeColumn`. Requests carry them as inputs of
    their own, `<column>_lag_<n>` and `<column>_mean_<n>`."""
    sample: SampleSpec | None = None
    """Fewer rows than there are. Absent: all."""
    simulation: SimulationSpec | None = None
    """Rows made up for a declared schema instead of read, to try a loop before there are data; `uri` must be
    `simulation:`."""
    secret_ref: Annotated[SecretRef | None, CLUSTER_ONLY] = None
    """Credentials of an S3 address, other than the platform's own: a Secret with `AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`, and with `AWS_ENDPOINT_URL` and `AWS_DEFAULT_REGION` where they differ."""
    target_column: Annotated[str, Field(max_length=256)] = ""
    """Column to predict; of a Decision the reward. Clustering: absent, or known groups to compare with.
    AnomalyDetection: absent, or true where a row is known to be anomalous; models are then compared by it, not fitted
    on it."""
    action_column: ColumnName | None = None
    """Decision only: the action that was taken."""
    propensity_column: ColumnName | None = None
    """Decision only: probability with which the action was taken, above 0 up to 1."""
    time_column: ColumnName | None = None
    """When each row happened. Set: rows are split in time order, the newest judge the model. Not used as a feature."""
    key_column: ColumnName | None = None
    """Business key of a row: travels with every request; labels may come back by it. Not used as a feature."""
    sensitive_columns: Annotated[tuple[ColumnName, ...], Field(max_length=50)] = ()
    """Columns that describe people's protected traits. Not used as features; every model is assessed by their groups,
    and acceptance.fairness may limit the difference. Numbers and dates are grouped into quartiles."""
    min_rows: Annotated[int, Field(ge=FEWEST_ROWS)] = 200
    """Smallest number of labelled rows a model may be trained on."""
    personal: Literal["Auto", "Report", "Refuse", "Drop", "Hash"] = "Auto"
    """What to do with columns that hold names, e-mail addresses, phone, card or national identity numbers. Report:
    say so in the run's report. Refuse: end the run. Drop: leave the column out. Hash: replace values by hashes, so that
    equal ones stay equal. Auto: drop inputs, report others."""
    provenance: ProvenanceSpec = ProvenanceSpec()
    """Origin and permitted use."""

    @field_validator("time_column", "key_column")
    @classmethod
    def _columns_have_one_role(cls, column: str | None, info: ValidationInfo) -> str | None:
        for other in ("target_column", "time_column"):
            if column and other != info.field_name and column == info.data.get(other):
                raise RuleError(f"must be another column than {to_camel(other)}")
        return column

    @field_validator("sensitive_columns")
    @classmethod
    def _sensitive_columns_have_no_other_role(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for role in ("target_column", "time_column", "key_column"):
            if info.data.get(role) in columns:
                raise RuleError(f"must be other columns than {to_camel(role)}")
        if len(set(columns)) < len(columns):
            raise RuleError("must name each column once")
        return columns
