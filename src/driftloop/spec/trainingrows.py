"""Which rows of the prediction log a retraining learns from: a small file in the place of a table.

A log is only added to, and its view says how far it counts: the same file means the same rows, whoever reads it and
whenever, as long as the log keeps them.
"""

from collections.abc import Mapping
from datetime import datetime

from driftloop.spec.boundary import Boundary
from driftloop.spec.data import DataSpec

TRAINING_ROWS_SUFFIX = ".log.json"
"""Ends the address of every such file: by it `collect` knows that it is no table."""
LOGGED_AT = "logged_at"
"""Time column of the table that is made of the rows, when the ModelLoop names none."""


class TrainingRows(Boundary):
    """The labelled predictions of a log, as far as they were known at one moment."""

    format_version: int = 1
    log_uri: str
    """The log: a local folder, or an address in the object store."""
    view: Mapping[str, int]
    """State of the log: the sequence number of each writer up to which its records count."""
    through: datetime
    """Event time behind the last prediction, and time of the last label that counts."""
    leave_out: tuple[tuple[datetime, datetime], ...] = ()
    """Quarantined windows, `start <= t < end`."""


def is_training_rows(uri: str) -> bool:
    """Return whether an address is that of a TrainingRows file.

    >>> is_training_rows("s3://lake/loops/ml/flights/data/5f1c.log.json"), is_training_rows("flights.csv")
    (True, False)
    """
    return uri.endswith(TRAINING_ROWS_SUFFIX)


def time_column(data: DataSpec) -> str:
    """Return the name of the time column of the table that is made of the rows."""
    return data.time_column or LOGGED_AT
