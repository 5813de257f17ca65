"""Makes the table of a retraining from a log, wherever that is: read in place on this machine, copied from a store."""

import tempfile
from pathlib import Path

import pyarrow as pa

from driftloop.adapters.logobjects import LogObjects
from driftloop.predictionlog.mirror import copy_log
from driftloop.spec import DataSpec, Task
from driftloop.stages.loggedrows import logged_table, read_training_rows


def collect_logged(path: Path, data: DataSpec, task: Task = Task.CLASSIFICATION) -> pa.Table:
    """Return the rows that a TrainingRows file names.

    Args:
        path: local copy of the file.
        data: names of the target, key and time columns; its address is where the file came from.
        task: whether rows need a label.

    Raises:
        UnreadableTrainingRowsError, NoTrainingRowsError, LogDamagedError, StoreUnavailableError: see there.
    """
    rows = read_training_rows(path.read_bytes(), data.uri)
    if "://" not in rows.log_uri:
        return logged_table(rows, Path(rows.log_uri), data, task)
    with tempfile.TemporaryDirectory() as folder:
        copy_log(LogObjects(), rows.log_uri, Path(folder), rows.view)
        return logged_table(rows, Path(folder), data, task)
