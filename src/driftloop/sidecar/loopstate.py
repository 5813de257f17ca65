"""Writes `state.json` of a loop in a cluster: how far the evaluator is, how much is logged, how much is labelled.

Labelled rows are counted over the dates at hand; one that is not any more keeps its last count, so that the work does
not grow with the log.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.monitor.windows import floor
from driftloop.predictionlog.columns import TIME
from driftloop.predictionlog.reader import PredictionLogReader
from driftloop.predictionlog.records import LogCounts
from driftloop.predictionlog.segments import Commit, view_of
from driftloop.predictionlog.trainingtable import labelled_rows
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.sharedfiles import SharedJournal
from driftloop.sidecar.verdictjournal import Progress
from driftloop.spec import LabelKnowledge, LabelledWindow, ModelLoop, MonitorState, WriterState

if TYPE_CHECKING:
    import pandas as pd

LEAST_SECONDS = 5.0
"""Time between two counts, and at least ten times what one takes."""
SIGN_OF_LIFE_SECONDS = 60.0
"""Time after which the state is written though nothing has changed."""


class StateWriter:
    """Publishes the state when it has changed.

    Args:
        loop: the loop.
        settings: of this monitor.
        log_dir: the copy of the log.
        journal: where the state goes, and the verdicts are.
        monotonic: clock of intervals, in seconds.
    """

    def __init__(
        self,
        loop: ModelLoop,
        settings: MonitorSettings,
        log_dir: Path,
        journal: SharedJournal,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monitoring = loop.spec.monitoring
        self._task = loop.spec.problem.task
        self._settings = settings
        self._reader = PredictionLogReader(log_dir)
        self._journal = journal
        self._monotonic = monotonic
        self._next_count = self._next_sign = 0.0
        self._written: Progress | None = None

    def write(self, commits: Mapping[str, Commit], progress: Progress, since: date, now: datetime) -> None:
        """Publish how far everything is, if that is another than before.

        Args:
            commits: what every writer has published.
            progress: how far everything is judged.
            since: first date that the copy of the log holds.
            now: wall clock.

        Raises:
            StoreUnavailableError: it is not published.
        """
        started = self._monotonic()
        is_news = progress != self._written and started >= self._next_count
        if not is_news and started < self._next_sign:
            return
        self._journal.write_state(self._state(commits, progress, since, now))
        self._written = progress
        self._next_count = started + max(LEAST_SECONDS, 10 * (self._monotonic() - started))
        self._next_sign = started + SIGN_OF_LIFE_SECONDS

    def _state(self, commits: Mapping[str, Commit], progress: Progress, since: date, now: datetime) -> MonitorState:
        heard_since = now - timedelta(seconds=self._settings.writer_silence_seconds)
        counts = sum((commit.counts for commit in commits.values()), LogCounts())
        state = MonitorState(
            time=now,
            evaluator=self._settings.writer_id,
            complete_through=progress.complete_through,
            evaluated_through=progress.evaluated_through,
            rows=counts.rows,
            labels=counts.labels,
            dropped=counts.dropped,
            late_rows=progress.late_rows,
            counted=progress.counted,
            view=view_of(commits),
            writers={
                writer_id: WriterState(
                    sequence=commit.sequence,
                    complete_through=commit.complete_through,
                    heartbeat=commit.heartbeat,
                    ended=commit.ended,
                    silent=not commit.ended and (commit.heartbeat is None or commit.heartbeat < heard_since),
                )
                for writer_id, commit in sorted(commits.items())
            },
        )
        through = progress.complete_through
        if through is None:
            return state
        start = datetime.combine(since, datetime.min.time(), UTC)
        joined = self._reader.joined(start, through, labelled_by=through, columns=())
        return state.model_copy(
            update={
                "labelled_by_date": self._by_date(joined, since, through),
                "faulty_windows": self._faulty_windows(joined, start, through),
                "label_knowledge": self._label_knowledge(through),
            }
        )

    def _by_date(self, joined: "pd.DataFrame", since: date, through: datetime) -> dict[date, int]:
        oldest = (through - self._monitoring.log_retention).date()
        before = self._journal.state.labelled_by_date if self._journal.state else {}
        kept = {day: rows for day, rows in before.items() if oldest <= day < since}
        counted = labelled_rows(joined, (), task=self._task).groupby(joined[TIME].dt.date).size()
        return kept | {day: int(rows) for day, rows in zip(counted.index, counted, strict=True)}

    def _faulty_windows(self, joined: "pd.DataFrame", start: datetime, through: datetime) -> tuple[LabelledWindow, ...]:
        oldest = through - self._monitoring.log_retention
        before = self._journal.state.faulty_windows if self._journal.state else ()
        found = {window.start: window for window in before if window.end >= oldest}
        for first, end in sorted(self._journal.faulty_windows):
            if first >= start:
                inside = joined[(joined[TIME] >= first) & (joined[TIME] < end)]
                rows = len(labelled_rows(inside, (), task=self._task))
                found[first] = LabelledWindow(start=first, end=end, labelled_rows=rows)
        return tuple(found[first] for first in sorted(found))

    def _label_knowledge(self, through: datetime) -> LabelKnowledge:
        duration = self._monitoring.window.duration
        end = floor(through, duration)
        known = self._reader.label_maturity(
            end - duration, end, now=through, expected_delay=self._monitoring.labels.expected_delay
        )
        return LabelKnowledge(
            window_start=end - duration,
            window_end=end,
            predictions=known.predictions,
            labelled=known.labelled,
            waiting=known.waiting,
            overdue=known.overdue,
        )
