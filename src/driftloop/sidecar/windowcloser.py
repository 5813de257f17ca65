"""Closes the windows of a log in the order in which they fall due, and writes down what each verdict is made of.

What a manifest says stays as it is; everything else here is derived from the manifests and from the log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftloop.errors import DriftloopError
from driftloop.monitor.windows import EPOCH, floor, next_window
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.predictionlog.reader import PredictionLogReader
from driftloop.predictionlog.segments import Commit, View, view_of
from driftloop.spec import MonitoringSpec, ReportKind


@dataclass
class _Traffic:
    """The log at one view, as windows see it; a stretch is counted once."""

    reader: PredictionLogReader
    view: View
    duration: timedelta
    counts: dict[tuple[datetime, datetime], int]
    tell: Callable[[DriftloopError], None]

    def first_time(self, start: datetime, end: datetime) -> datetime | None:
        return self.reader.first_on_time(start, end, duration=self.duration, view=self.view, on_damage=self.tell)

    def count(self, start: datetime, end: datetime) -> int:
        if (start, end) not in self.counts:
            self.counts[start, end] = self.reader.count_on_time(start, end, view=self.view, on_damage=self.tell)
        return self.counts[start, end]


class WindowCloser:
    """Knows which windows of one loop's log are closed."""

    def __init__(
        self,
        reader: PredictionLogReader,
        manifests: ManifestStore,
        monitoring: MonitoringSpec,
        tell: Callable[[DriftloopError], None],
        *,
        counted: View,
        judged_through: datetime | None,
    ) -> None:
        """Take up the work where the manifests say it was left.

        Args:
            reader: of the log.
            manifests: keeper of closed windows.
            monitoring: the loop's.
            tell: takes what is damaged in the log.
            counted: records that were looked at for late ones.
            judged_through: end of the newest window with a verdict, where no manifest of it is left.
        """
        self._reader = reader
        self._manifests = manifests
        self._monitoring = monitoring
        self._tell = tell
        self._counts: dict[tuple[datetime, datetime], int] = {}
        self._quiet_through: datetime | None = None
        starts = manifests.starts(ReportKind.INPUTS)
        self._closed = self._not_counted(starts, counted)
        """Windows that records not counted yet may be too late for, the newest last."""
        self.since = self._closed[-1].end if self._closed else judged_through or EPOCH
        """End of the newest closed window."""
        self._next_start = self.since
        """Earliest time at which the next window can begin."""
        judged = set(manifests.starts(ReportKind.PERFORMANCE))
        self._unlabelled = [start for start in starts if start not in judged]
        """Windows whose performance is not judged yet, by their start."""

    @property
    def next_starts(self) -> list[datetime]:
        """Earliest times at which the next window of inputs, and of performance, can begin."""
        return [self._next_start, *self._unlabelled[:1]]

    def newest(self) -> list[Manifest]:
        """Return the newest closed window of each kind, in the order in which they fell due."""
        found = [
            self._manifests.read(kind, start) for kind in ReportKind for start in self._manifests.starts(kind)[-1:]
        ]
        return sorted(found, key=_order)

    def close_next(
        self, commits: Mapping[str, Commit], through: datetime, heard_since: datetime | None
    ) -> Manifest | None:
        """Close the window that fell due first: write down what its verdict will be made of.

        Args:
            commits: of the writers.
            through: event time through which the log is complete.
            heard_since: wall-clock time before which a writer counts as silent; None where all are waited for.
        """
        view = view_of(commits)
        candidates = [self._next_inputs(view, through), self._next_performance(view, through)]
        due = min((manifest for manifest in candidates if manifest), key=_order, default=None)
        if due is None:
            return None
        silent = _silent_writers(commits, due, heard_since)
        newest = None
        if due.kind is ReportKind.INPUTS:
            newest = self._reader.newest_on_time(due.start, due.end, view=view, on_damage=self._tell)
        manifest = self._manifests.create(due.model_copy(update={"silent_writers": silent, "newest": newest}))
        if manifest.kind is ReportKind.INPUTS:
            self._counts.clear()
            self._closed.append(manifest)
            self.since = self._next_start = manifest.end
            self._unlabelled.append(manifest.start)
        else:
            self._unlabelled.remove(manifest.start)
        return manifest

    def closed_without(self, writer_id: str, sequence: int, promised: datetime | None) -> datetime | None:
        """Return the end of the newest closed window that a writer's record came too late for, if there is one."""
        ends = (
            manifest.end
            for manifest in reversed(self._closed)
            if manifest.predictions.get(writer_id, 0) < sequence or (promised is not None and promised >= manifest.end)
        )
        return next(ends, None)

    def forget_counted(self) -> None:
        """Drop the windows that no record can be too late for any more: all records so far are counted."""
        self._closed = self._closed[-1:]

    def _next_inputs(self, view: View, through: datetime) -> Manifest | None:
        duration = self._monitoring.window.duration
        horizon = floor(through, duration)
        if horizon == self._quiet_through:
            return None
        traffic = _Traffic(self._reader, view, duration, self._counts, self._tell)
        window = next_window(traffic, self.since, through, self._monitoring.window)
        if window is None:
            self._quiet_through = horizon
            if horizon > self.since:
                self._next_start = floor(traffic.first_time(self.since, horizon) or horizon, duration)
            return None
        return Manifest(
            kind=ReportKind.INPUTS,
            start=window.start,
            end=window.end,
            due=window.end,
            predictions=view,
            labels={},
            rows=window.rows,
        )

    def _next_performance(self, view: View, through: datetime) -> Manifest | None:
        """Return the manifest of the oldest window whose labels are mature: the rows of its inputs' manifest."""
        if not self._unlabelled:
            return None
        inputs = self._manifests.read(ReportKind.INPUTS, self._unlabelled[0])
        due = inputs.end + self._monitoring.labels.expected_delay
        if due > through:
            return None
        return inputs.model_copy(update={"kind": ReportKind.PERFORMANCE, "due": due, "labels": view})

    def _not_counted(self, starts: list[datetime], counted: View) -> list[Manifest]:
        found: list[Manifest] = []
        for start in reversed(starts):
            found.insert(0, self._manifests.read(ReportKind.INPUTS, start))
            if all(sequence <= counted.get(writer, 0) for writer, sequence in found[0].predictions.items()):
                break
        return found


def _order(manifest: Manifest) -> tuple[datetime, bool]:
    # Inputs first: of two verdicts due at the same time the earlier knowledge comes first.
    return manifest.due, manifest.kind is not ReportKind.INPUTS


def _silent_writers(commits: Mapping[str, Commit], due: Manifest, heard_since: datetime | None) -> tuple[str, ...]:
    """Return the writers that the window did not wait for, though they were alive in it or later."""
    if heard_since is None:
        return ()
    return tuple(
        writer_id
        for writer_id, commit in sorted(commits.items())
        if commit.heartbeat is not None
        and not commit.ended
        and due.start <= commit.heartbeat < heard_since
        and (commit.complete_through is None or commit.complete_through < due.due)
    )
