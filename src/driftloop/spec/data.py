"""The rows to learn from: where they lie, what their columns mean, what they may be used for. Group `data`.

Field docstrings are the reference documentation.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from driftloop.spec.boundary import CLUSTER_ONLY, Boundary, Duration, RuleError
from driftloop.spec.operation import DATABASES

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# Bounded, because the API server reckons with the longest when it compares names.
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
DATA_VARIABLE_PREFIX = "DRIFTLOOP_DATA_"
"""Of the environment variables by which a run's pods get what `data.secretRef` holds."""
DATA_SECRET_KEYS = {
    "s3": {
        "AWS_ACCESS_KEY_ID": True,
        "AWS_SECRET_ACCESS_KEY": True,
        "AWS_ENDPOINT_URL": False,
        "AWS_DEFAULT_REGION": False,
    },
    "database": {"DATABASE_USERNAME": False, "DATABASE_PASSWORD": True},
}
"""Keys of that Secret by the kind of address, and whether it must have each."""
SIMULATION = "simulation:"
"""Address of rows that are made up."""
PASSWORD_PATTERN = "://[^/@:]*:[^/@]*@"  # noqa: S105  a pattern
Uri = Annotated[str, Field(min_length=1, max_length=2048)]
Query = Annotated[str | None, Field(max_length=10_000, validate_default=True)]
FEWEST_ROWS = 30
"""No model is trained on fewer rows, whatever `data.minRows` says."""


def is_database(uri: str) -> bool:
    """Return whether an address is a database's.

    >>> is_database("postgresql+psycopg://host/sales"), is_database("sales.csv")
    (True, False)
    """
    scheme, colon, _ = uri.partition(":")
    return bool(colon) and scheme.partition("+")[0] in DATABASES


def check_query(query: str | None, uri: str) -> str | None:
    """Return the query of a table.

    Raises:
        RuleError: it is missing, or there is no database to ask.
    """
    if uri and query is None and is_database(uri):
        raise RuleError("must be set where uri is a database", remedy="Add the table's name, or a SELECT statement.")
    if uri and query is not None and not is_database(uri):
        raise RuleError("must come with a database as uri", remedy="Set uri to an SQLAlchemy URL, or remove it.")
    return query


def check_address(uri: str) -> str:
    """Return an address.

    Raises:
        RuleError: it holds a password, which would be shown wherever the address is.
    """
    if re.search(PASSWORD_PATTERN, uri):
        remedy = f"Give it by {DATA_VARIABLE_PREFIX}DATABASE_PASSWORD in the environment, or by secretRef."
        raise RuleError("must hold no password", remedy=remedy)
    return uri


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

    uri: Uri
    """Where it lies, as `data.uri`."""
    query: Query = None
    """SQL SELECT or name of a table, where `uri` is a database."""
    by: Annotated[tuple[ColumnName, ...], Field(max_length=10)] = ()
    """Columns that must be equal in both tables. Without `timeColumn` at least one, and each combination only once in
    the further table."""
    time_column: Annotated[ColumnName | None, Field(validate_default=True)] = None
    """When its values became known. Set: each row gets the newest values known before its own `data.timeColumn`, never
    later ones, and none of the same moment."""
    within: Duration | None = None
    """How old values may be. Absent: however old."""
    columns: Annotated[tuple[ColumnName, ...], Field(max_length=200)] = ()
    """Columns to take. Empty: all but those joined by."""
    prefix: Annotated[str, Field(max_length=50)] = ""
    """Put before the names of the columns taken."""

    @field_validator("uri")
    @classmethod
    def _address_is_public(cls, uri: str) -> str:
        return check_address(uri)

    @field_validator("query")
    @classmethod
    def _databases_are_queried(cls, query: str | None, info: ValidationInfo) -> str | None:
        return check_query(query, info.data.get("uri", ""))

    @field_validator("time_column")
    @classmethod
    def _is_joined_by_something(cls, column: str | None, info: ValidationInfo) -> str | None:
        if column is None and info.data.get("by") == ():
            raise RuleError("must be set where by is empty", remedy="Name the columns to join by, or the time column.")
        return column

    @field_validator("within")
    @classmethod
    def _age_needs_time(cls, within: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if within is not None and "time_column" in info.data and info.data["time_column"] is None:
            raise RuleError("must come with timeColumn", remedy="Name the column that tells the age, or remove it.")
        return within


class HistorySpec(Boundary):
    """Inputs made of the earlier rows' values of one column."""

    column: ColumnName
    """Number to look back at: an input, or the target."""
    by: Annotated[tuple[ColumnName, ...], Field(max_length=5)] = ()
    """Columns whose values make separate histories, such as a shop. Empty: one history."""
    lags: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=50)] = ()
    """How many rows back: 1 is the row before."""
    windows: Annotated[
        tuple[Annotated[int, Field(ge=2, le=10_000)], ...], Field(max_length=20, validate_default=True)
    ] = ()
    """Sizes of rolling means over the rows before, the row itself and those of the same moment left out; of fewer
    rows where there are not so many."""
    known_after: Duration | None = None
    """How long after its time a value is known: earlier rows younger than that are passed over. Absent: at once."""

    @field_validator("windows")
    @classmethod
    def _looks_back(cls, windows: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if not windows and info.data.get("lags") == ():
            raise RuleError("must be set where lags is empty", remedy="Name at least one lag or one window.")
        return windows


class SampleSpec(Boundary):
    """How many of the rows to take, and which."""

    rows: Annotated[int, Field(ge=FEWEST_ROWS)]
    """Rows to take; all where there are fewer."""
    by: ColumnName | None = None
    """Column whose values keep their shares (stratified), each at least one row. Absent: plain random; rows stay in
    their order."""
    random_state: Annotated[int, Field(ge=0)] = 0
    """Seed."""


class SimulatedColumn(Boundary):
    """One made-up column."""

    name: ColumnName
    """Name of the column."""
    kind: Literal["Normal", "Uniform", "Integer", "Category", "Boolean", "Time", "Text"]
    """Distribution of its values. Normal: by mean and standard deviation. Uniform: any number between two. Integer: any
    whole number between two, both included. Category: one of `categories`. Boolean: true with a probability. Time: from
    `minimum` (days since 1970) on, evenly spread over `maximum` days. Text: one to eight of the words in
    `categories`."""
    minimum: float = 0.0
    """Uniform, Integer: smallest value. Normal: mean."""
    maximum: float = 1.0
    """Uniform, Integer: largest value. Normal: standard deviation. Boolean: share that is true."""
    categories: Annotated[tuple[ColumnName, ...], Field(max_length=100, validate_default=True)] = ()
    """Category, Text: the values, or words."""
    missing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of rows without a value."""
    effect: float = 0.0
    """Weight in the target's score: per standard deviation of a number or time, per step from one category to the next,
    for true against false; of a text, per step of its words' mean."""

    @field_validator("categories")
    @classmethod
    def _kinds_have_values(cls, categories: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not categories and info.data.get("kind") in ("Category", "Text"):
            raise RuleError("must be set for the kinds Category and Text", remedy="List the values, or the words.")
        return categories


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

    @field_validator("columns")
    @classmethod
    def _names_differ(cls, columns: tuple[SimulatedColumn, ...]) -> tuple[SimulatedColumn, ...]:
        if len({column.name for column in columns}) < len(columns):
            raise RuleError("must have another name for each column")
        return columns


class DataSpec(Boundary):
    """The table to learn from."""

    uri: Uri
    """Parquet, CSV or JSON lines: a path (relative to this file), an address of an object store, or `https://`. Or a
    database, as SQLAlchemy writes it: `sqlite:///sales.db`, `postgresql+psycopg://host/sales`."""
    query: Query = None
    """SQL SELECT of the rows, or name of a table, where `uri` is a database. It is read only; the order of rows counts
    only where the statement says ORDER BY."""
    joins: Annotated[tuple[JoinSpec, ...], Field(max_length=10)] = ()
    """Further tables whose columns are joined to the rows, in this order."""
    history: Annotated[tuple[HistorySpec, ...], Field(max_length=20)] = ()
    """Inputs made of earlier rows: lags and rolling means. They need `timeColumn`. Requests carry them as inputs of
    their own, `<column>_lag_<n>` and `<column>_mean_<n>`."""
    sample: SampleSpec | None = None
    """Fewer rows than there are. Absent: all."""
    simulation: Annotated[SimulationSpec | None, Field(validate_default=True)] = None
    """Rows made up for a declared schema instead of read, to try a loop before there are data; `uri` must be
    `simulation:`."""
    secret_ref: Annotated[SecretRef | None, CLUSTER_ONLY] = None
    """Credentials of the data's addresses: a Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` for S3 other
    than the platform's own, and with `AWS_ENDPOINT_URL` and `AWS_DEFAULT_REGION` where they differ; with
    `DATABASE_PASSWORD` and, unless the address names the user, `DATABASE_USERNAME` for databases. On the laptop the
    same stand in the environment as `DRIFTLOOP_DATA_DATABASE_PASSWORD` and so on."""
    target_column: Annotated[str, Field(max_length=256)] = ""
    """Column to predict; of a Decision the reward. Clustering: absent, or known groups to compare with.
    AnomalyDetection: absent, or true where a row is known to be anomalous; models are then compared by it, not fitted
    on it."""
    action_column: ColumnName | None = None
    """Decision only: the action that was taken."""
    propensity_column: ColumnName | None = None
    """Decision only: probability with which the action was taken, above 0 up to 1."""
    time_column: Annotated[ColumnName | None, Field(validate_default=True)] = None
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
    say so in the run's report. Refuse: end the run. Drop: leave such inputs out. Hash: replace values by hashes, so
    that equal ones stay equal, in requests too; free texts that mention some are left out. Auto: drop inputs that hold
    them, report others and texts that mention some. Key, time and target stay as they are."""
    provenance: ProvenanceSpec = ProvenanceSpec()
    """Origin and permitted use."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where everything lies that is read: the table's address, and those of the tables joined to it."""
        return (self.uri, *(join.uri for join in self.joins))

    @property
    def is_here(self) -> bool:
        """Whether everything that is read lies on the machine that reads it."""
        return all("://" not in uri or uri.startswith(("sqlite", "file:")) for uri in self.addresses)

    @property
    def secret_keys(self) -> dict[str, bool]:
        """Keys that `secretRef` may have for these addresses, and whether it must."""
        kinds = {"database" if is_database(uri) else "s3" if uri.startswith("s3:") else "" for uri in self.addresses}
        return {key: needed for kind, keys in DATA_SECRET_KEYS.items() if kind in kinds for key, needed in keys.items()}

    @field_validator("uri")
    @classmethod
    def _address_is_public(cls, uri: str) -> str:
        return check_address(uri)

    @field_validator("query")
    @classmethod
    def _databases_are_queried(cls, query: str | None, info: ValidationInfo) -> str | None:
        return check_query(query, info.data.get("uri", ""))

    @field_validator("simulation")
    @classmethod
    def _is_made_or_read(cls, simulation: SimulationSpec | None, info: ValidationInfo) -> SimulationSpec | None:
        uri = info.data.get("uri")
        if uri == SIMULATION and simulation is None:
            remedy = "Declare the columns, or set uri to where the data are."
            raise RuleError(f"must be set where uri is '{SIMULATION}'", remedy=remedy)
        if uri and uri != SIMULATION and simulation is not None:
            remedy = f"Set uri to '{SIMULATION}', or remove it."
            raise RuleError(f"must come with '{SIMULATION}' as uri", remedy=remedy)
        return simulation

    @field_validator("time_column")
    @classmethod
    def _looking_back_needs_time(cls, column: str | None, info: ValidationInfo) -> str | None:
        by_time = any(join.time_column for join in info.data.get("joins", ()))
        if column is None and (by_time or info.data.get("history")):
            remedy = "Name the column that says when each row happened."
            raise RuleError("must be set where joins or history look back in time", remedy=remedy)
        return column

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
