"""A look at a table, and the short ModelLoop that fits it: the work of `driftloop init`.

Reads local files only, and only a sample of their rows: it proposes, the person decides.
"""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types

from driftloop.adapters.datasource import collect_data
from driftloop.errors import InvalidInputError
from driftloop.spec import ModelLoop
from driftloop.spec.data import FEWEST_ROWS, DataSpec, is_database
from driftloop.spec.documents import quote_if_needed
from driftloop.spec.modelloop import API_VERSION, KIND
from driftloop.spec.problem import UNSUPERVISED, Task
from driftloop.spec.problems import did_you_mean
from driftloop.stages.collect import read_csv_sample, read_files
from driftloop.stages.csvfile import EmptyDataError
from driftloop.stages.validate import NoFeaturesError, TooFewRowsError, validate

_SAMPLE_ROWS = 20_000
_SUFFIXES = (".parquet", ".csv", ".tsv", ".txt")  # the last two are read as CSV
_JSON_SUFFIXES = (".jsonl", ".ndjson")
_MOST_CLASSES = 10  # more distinct numbers than this are a quantity
_FEWEST_ROWS_FOR_KEYS = 30  # fewer rows are unique by chance
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY_NAME = re.compile(r"(?i:(^|[_\W])(id|key|uuid|guid)$)|[a-z](Id|ID|Key)$")


class UnreadableDataError(InvalidInputError):
    """The table can't be looked at."""


class UnusableTargetError(InvalidInputError):
    """The column named by --target can't be predicted."""


class UnusableColumnError(InvalidInputError):
    """A column named by an option is not there, or its companion is not named."""


@dataclass(frozen=True)
class Sample:
    """The first rows of a table."""

    table: pa.Table
    """As the stage `collect` gives it."""
    frame: pd.DataFrame
    is_whole: bool
    """Whether there are no further rows."""


@dataclass(frozen=True)
class Proposal:
    """What the sample of a table suggests."""

    task: Task
    target_column: str
    time_columns: tuple[str, ...]
    """Columns of dates; one is unambiguous."""
    key_columns: tuple[str, ...]
    """Columns that are unique in the sample and named like a key; one is unambiguous."""
    action_column: str = ""
    """Of logged decisions, as the next."""
    propensity_column: str = ""
    min_rows: int | None = None
    """What `minRows` must be lowered to for this table; None where the usual value will do."""


def read_sample(data: Path) -> Sample:
    """Read the first rows of a table, as the pipeline will read all of them.

    Raises:
        UnreadableDataError: no such file, another format, or broken.
        EmptyDataError, DuplicateColumnsError, MixedColumnError, UnclearColumnError: see `stages.collect`.
    """
    if not data.is_file():
        raise UnreadableDataError(f"The data '{data}' must be a local file. Check the path.")
    if data.suffix not in (*_SUFFIXES, *_JSON_SUFFIXES):
        raise UnreadableDataError(
            f"The data '{data}' must be a .parquet, .csv or .jsonl file. Got '{data.suffix}'. Save the table as one of "
            "them."
        )
    if data.suffix in _JSON_SUFFIXES:
        table, is_whole = read_files([data], str(data)), True
    else:
        table, is_whole = _read_parquet(data) if data.suffix == ".parquet" else read_csv_sample(data, _SAMPLE_ROWS)
    if table.num_rows == 0:
        raise EmptyDataError(str(data))
    return Sample(table, table.to_pandas(ignore_metadata=True), is_whole)  # with an index as a column like any other


def read_loops_sample(loop: ModelLoop) -> pa.Table:
    """Read the rows of a loop, or only the first ones of a plain file.

    Raises:
        InvalidInputError: they can't be read.
    """
    data = loop.spec.data
    if Path(data.uri).suffix in _SUFFIXES and not (data.joins or data.history or is_database(data.uri)):
        return read_sample(Path(data.uri)).table
    return collect_data(data, loop.spec.problem.task)


def _read_parquet(data: Path) -> tuple[pa.Table, bool]:
    try:
        with pq.ParquetFile(data) as file:
            batches = list(islice(file.iter_batches(batch_size=_SAMPLE_ROWS), 1))
            table = pa.Table.from_batches(batches, file.schema_arrow)
            return table, table.num_rows == file.metadata.num_rows
    except (ValueError, OSError) as error:  # Arrow derives its errors from these
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise UnreadableDataError(f"The data '{data}' can't be read as parquet: {reason}. Repair it.") from error


def find_faults(sample: Sample, proposal: Proposal, uri: str) -> tuple[list[str], list[str]]:
    """Look at the sample as the stage `validate` will look at all rows.

    Returns:
        What a run would refuse although a person may still mend it, and the columns it would leave out, each with the
        reason, in plain sentences.

    Raises:
        TargetError: no model can be made of all the rows there are.
    """
    roles: dict[str, str] = {}
    if proposal.task is Task.DECISION:
        roles = {"action_column": proposal.action_column, "propensity_column": proposal.propensity_column}
    first = {"time_column": proposal.time_columns, "key_column": proposal.key_columns}
    roles |= {field: columns[0] for field, columns in first.items() if len(columns) == 1}
    spec = DataSpec(uri=uri, target_column=proposal.target_column, min_rows=FEWEST_ROWS, **roles)
    try:
        report = validate(sample.table, task=proposal.task, data=spec).report
    except (TooFewRowsError, NoFeaturesError) as error:
        return ([str(error)] if sample.is_whole else []), []
    except InvalidInputError:
        if sample.is_whole:
            raise
        return [], []  # further rows may bring what these lack
    return [], [f"'{column.name}' {column.reason}" for column in report.dropped_columns]


def propose(
    table: Sample, target: str, task: Task | None = None, *, action: str = "", propensity: str = ""
) -> Proposal:
    """Infer the task of the target, unless it is given, and the columns of time and key.

    With action and propensity it is a decision.

    Raises:
        UnusableTargetError: the target is no column, has no values, or is a date; or there is none, and the task needs
            one.
        UnusableColumnError: action or propensity is no column, or only one of them is named.
    """
    sample = table.frame
    columns = [str(column) for column in sample.columns]
    if not target and task not in UNSUPERVISED:
        raise UnusableTargetError(
            "The option --target must name the column to predict. Got none. Add it, or choose --task Clustering or "
            "--task AnomalyDetection, which learn without."
        )
    if target and target not in columns:
        guess = did_you_mean(target, columns) or f"The columns are: {', '.join(columns)}."
        raise UnusableTargetError(f"The target '{target}' must be a column of the data. {guess}")
    named = {"--action": action, "--propensity": propensity}
    for option, column in named.items():
        if any(named.values()) and not column:
            raise UnusableColumnError(f"Logged decisions need both --action and --propensity. Name {option}, too.")
        if column and column not in columns:
            guess = did_you_mean(column, columns) or f"The columns are: {', '.join(columns)}."
            raise UnusableColumnError(f"The {option} '{column}' must be a column of the data. {guess}")
    others = sample.drop(columns=[*filter(None, (target, *named.values()))])
    return Proposal(
        task=Task.DECISION if action else task or _infer_task(sample[target]),
        target_column=target,
        action_column=action,
        propensity_column=propensity,
        time_columns=tuple(column for column in others.columns if _is_date(others[column])),
        key_columns=tuple(column for column in others.columns if _is_key(others[column])),
        min_rows=max(len(sample), FEWEST_ROWS) if len(sample) < DataSpec.model_fields["min_rows"].default else None,
    )


def write_modelloop(name: str, uri: str, proposal: Proposal, *, model_uri: str = "") -> str:
    """Return the text of the file: what is unambiguous is set, what is not is offered as a comment.

    With the address of a model that exists, that is served and watched first.
    """
    lines = [
        f"apiVersion: {API_VERSION}",
        f"kind: {KIND}",
        f"metadata: {{name: {quote_if_needed(name)}}}",
        "spec:",
        f"  problem: {{task: {proposal.task}}}",
        "  data:",
        f"    uri: {quote_if_needed(uri)}",
    ]
    if proposal.target_column:
        lines.append(f"    targetColumn: {quote_if_needed(proposal.target_column)}")
    if proposal.task is Task.DECISION:
        lines += [
            f"    actionColumn: {quote_if_needed(proposal.action_column)}",
            f"    propensityColumn: {quote_if_needed(proposal.propensity_column)}",
        ]
    for field, candidates in (("timeColumn", proposal.time_columns), ("keyColumn", proposal.key_columns)):
        offered = "" if len(candidates) == 1 else "# "
        lines += [f"    {offered}{field}: {quote_if_needed(column)}" for column in candidates]
    if proposal.min_rows is not None:
        lines.append(f"    minRows: {proposal.min_rows}")
    if model_uri:
        lines += [
            "  model:",
            f"    uri: {quote_if_needed(model_uri)}",
            "    # serialization: Pickle  # for a pickle, cloudpickle or joblib file: reading it runs the code in it",
        ]
    return "\n".join(lines) + "\n"


def _infer_task(target: pd.Series) -> Task:
    values = target.dropna()
    if values.empty:
        raise UnusableTargetError(
            f"The target '{target.name}' must have values. Got none in the first {len(target)} rows."
        )
    if _is_date(target):
        raise UnusableTargetError(f"The target '{target.name}' must be a number or a class. Got dates.")
    if types.is_bool_dtype(target) or not types.is_numeric_dtype(target):
        return Task.CLASSIFICATION
    is_whole = bool((values % 1 == 0).all())
    return Task.CLASSIFICATION if is_whole and values.nunique() <= _MOST_CLASSES else Task.REGRESSION


def _is_date(column: pd.Series) -> bool:
    """Whether a column holds dates or times, as such or as ISO 8601 text."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    values = column.dropna()
    if values.empty or not all(_DATE.match(str(value)) for value in values.head(100)):
        return False
    dates = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
    return bool(dates.notna().all())


def _is_key(column: pd.Series) -> bool:
    if types.is_float_dtype(column) or types.is_bool_dtype(column) or len(column) < _FEWEST_ROWS_FOR_KEYS:
        return False
    return bool(_KEY_NAME.search(str(column.name)) and column.notna().all() and column.is_unique)
