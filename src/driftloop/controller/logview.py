"""What the controller sees of the prediction log: the rows to train on, and how far the truth is known."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftloop.predictionlog import PredictionLogReader
from driftloop.predictionlog.columns import LABEL_TIME, TIME
from driftloop.predictionlog.trainingtable import labelled_rows
from driftloop.spec import MonitoringSpec, Task, TrainingRows

if TYPE_CHECKING:
    import pandas as pd

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogView:
    """Reads the prediction log; what takes a pass over it is counted once for each moment.

    Args:
        folder: of the log.
        monitoring: which windows there are, and when their labels are due.
        task: whether rows need a label to be learned from.
    """

    def __init__(self, folder: Path, monitoring: MonitoringSpec, task: Task = Task.CLASSIFICATION) -> None:
        self._folder = folder
        self._reader = PredictionLogReader(folder)
        self._monitoring = monitoring
        self._task = task
        self._counted: object = None
        self.labelled_rows = 0
        """Rows to train on, as last counted."""
        self.labels: dict[str, Any] = {}
        """How far the truth about the newest complete window was known then."""

    def counts(self) -> dict[str, Any]:
        """Return how much is committed."""
        return asdict(self._reader.counts())

    def count(self, through: datetime | None, faulty: list[tuple[datetime, datetime]]) -> None:
        """Count again what is known at an event time, if that or the quarantine is another than at the last count."""
        if through is not None and (through, faulty) != self._counted:
            joined = self._reader.joined(EPOCH, through, labelled_by=through, columns=())
            self.labelled_rows = len(labelled_rows(joined, faulty, task=self._task))
            self.labels = self._look_at_labels(through) | {"arrival": _tell_arrival(joined, through)}
            self._counted = (through, faulty)

    def training_rows(self, through: datetime, faulty: Iterable[tuple[datetime, datetime]]) -> TrainingRows:
        """Name all labelled rows up to an event time, outside the faulty windows, as the log has them now."""
        return TrainingRows(
            log_uri=str(self._folder.absolute()), view=self._reader.view(), through=through, leave_out=tuple(faulty)
        )

    def _look_at_labels(self, through: datetime) -> dict[str, Any]:
        duration = self._monitoring.window.duration
        end = EPOCH + (through - EPOCH) // duration * duration
        known = self._reader.label_maturity(
            end - duration, end, now=through, expected_delay=self._monitoring.labels.expected_delay
        )
        return {
            "windowStart": (end - duration).isoformat(),
            "windowEnd": end.isoformat(),
            "predictions": known.predictions,
            "labelled": known.labelled,
            "waiting": known.waiting,
            "overdue": known.overdue,
        }


def _tell_arrival(joined: "pd.DataFrame", through: datetime) -> str:
    from driftloop.monitor.labeldelay import label_delays, tell_label_delays

    return tell_label_delays(label_delays(joined[TIME], joined[LABEL_TIME], through))
