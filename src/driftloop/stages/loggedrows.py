"""The table of a retraining: logged live traffic joined with its labels, less what is quarantined.

`collect` makes it where the data's address is that of a `TrainingRows` file. What the file says pins the rows: the same
file makes the same table, on every machine.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from driftloop.errors import InvalidInputError
from driftloop.predictionlog import PredictionLogReader
from driftloop.predictionlog.trainingtable import labelled_rows, training_table
from driftloop.spec import DataSpec, Task, TrainingRows
from driftloop.spec.problem import NEEDS_TARGET

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnreadableTrainingRowsError(InvalidInputError):
    """The file that names the rows is none."""

    def __init__(self, uri: str, error: ValidationError) -> None:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "content"
        super().__init__(
            f"The file '{uri}' must name the logged rows to train on. Its {place} is wrong: {problem['msg']}. "
            "The controller writes it: start the run again rather than change it."
        )


class NoTrainingRowsError(InvalidInputError):
    """No logged prediction can be learned from."""

    def __init__(self, rows: TrainingRows, task: Task) -> None:
        wanted, remedy = ("labelled rows", "Send labels") if task in NEEDS_TARGET else ("rows", "Wait for requests")
        super().__init__(
            f"The prediction log '{rows.log_uri}' must hold {wanted} up to {rows.through.isoformat()}, outside of "
            f"{len(rows.leave_out)} quarantined windows. Got none. {remedy}, then start the run again."
        )


def read_training_rows(content: bytes, uri: str) -> TrainingRows:
    """Read the file that says which rows to learn from.

    Raises:
        UnreadableTrainingRowsError: it is none.
    """
    try:
        return TrainingRows.model_validate_json(content)
    except ValidationError as error:
        raise UnreadableTrainingRowsError(uri, error) from error


def logged_table(rows: TrainingRows, log: Path, data: DataSpec, task: Task = Task.CLASSIFICATION) -> pa.Table:
    """Return the rows under the names of the user's own table.

    Args:
        rows: which ones.
        log: the log, or a copy that holds all of the rows' view.
        data: names of the target, key and time columns.
        task: whether rows need a label.

    Raises:
        LogDamagedError: a file of the log can't be read.
        NoTrainingRowsError: there is no row.
    """
    joined = PredictionLogReader(log).joined(EPOCH, rows.through, labelled_by=rows.through, view=rows.view)
    labelled = labelled_rows(joined, rows.leave_out, task=task)
    if labelled.empty:
        raise NoTrainingRowsError(rows, task)
    return pa.Table.from_pandas(training_table(labelled, data), preserve_index=False)
