"""How far the monitor of a loop is: `state.json` in the object store, replaced by the evaluator after each look.

Together with the verdicts it is all that the operator needs of the monitor, and all that another evaluator needs to go
on where this one stopped.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from pydantic import Field

from driftloop.spec.boundary import Boundary
from driftloop.spec.driftreport import ReportKind


class LabelKnowledge(Boundary):
    """How far the truth about the newest complete stretch of one window's duration is known."""

    window_start: datetime
    window_end: datetime
    predictions: int
    labelled: int
    waiting: int
    """Without a label, and younger than the expected delay."""
    overdue: int
    """Without a label, and older than that."""


class WriterState(Boundary):
    """One monitor that writes the log: one pod."""

    sequence: int = 0
    """Number of its newest commit."""
    complete_through: datetime | None = None
    heartbeat: datetime | None = None
    """When it was heard of last, by its own clock."""
    ended: bool = False
    """Whether it said goodbye: nothing of it will follow."""
    silent: bool = False
    """Whether windows no longer wait for it, because it was not heard of for too long."""


class LabelledWindow(Boundary):
    """The labelled rows of one window that a verdict called faulty."""

    start: datetime
    end: datetime
    labelled_rows: int


class MonitorState(Boundary):
    """What is known of a loop's live traffic, at one moment."""

    format_version: int = 1
    time: datetime
    """Wall clock when it was written."""
    evaluator: str
    """Who judges: the holder of the loop's Lease."""
    complete_through: datetime | None = None
    """Event time up to which the log is complete and everything due is judged."""
    evaluated_through: Mapping[ReportKind, datetime] = Field(default_factory=dict)
    """Event time up to which windows of a kind are judged."""
    rows: int = 0
    """Predictions of the monitors in `writers`: those that wrote within the log's retention."""
    labels: int = 0
    dropped: int = 0
    """Predictions that were served and never reached the log."""
    late_rows: int = 0
    """Predictions that came when their window had closed."""
    counted: Mapping[str, int] = Field(default_factory=dict)
    """Sequence number of each writer up to which late rows are counted."""
    view: Mapping[str, int] = Field(default_factory=dict)
    """State of the log (sequence number of each writer): what a retraining reads is pinned by it."""
    labelled_by_date: Mapping[date, int] = Field(default_factory=dict)
    """Labelled predictions of each date (UTC); a date that is over and judged keeps its last count."""
    faulty_windows: tuple[LabelledWindow, ...] = ()
    """Windows whose inputs were called faulty, with the labelled rows that lie in them."""
    label_knowledge: LabelKnowledge | None = None
    writers: Mapping[str, WriterState] = Field(default_factory=dict)
    """Every monitor that wrote within the log's retention."""

    @property
    def labelled_rows(self) -> int:
        """All labelled rows, those of faulty windows too."""
        return sum(self.labelled_by_date.values())

    def rows_to_train_on(self, quarantined: Iterable[datetime]) -> int:
        """Return how many labelled rows lie outside the quarantined windows.

        Args:
            quarantined: starts of the windows, as in `LoopState.quarantined`.
        """
        left_out = set(quarantined)
        return self.labelled_rows - sum(w.labelled_rows for w in self.faulty_windows if w.start in left_out)
