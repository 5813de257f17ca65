"""The evaluator process: judges every window of the prediction log as it falls due, once, in event-time order.

It reads the committed log, the baselines and its own journal, and keeps nothing that it could not derive from them: a
kill at any moment loses no verdict and doubles none. Between verdicts it looks after the log's files.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias, TypeVar

import pandas as pd

from driftloop.errors import DriftloopError
from driftloop.monitor.calendar import mark_expected
from driftloop.monitor.detector import LONG
from driftloop.monitor.engines import DriftTest, SciPyEngine
from driftloop.monitor.errorstream import ERROR_WINDOWS
from driftloop.monitor.judge import Judge, not_enough_data
from driftloop.predictionlog.columns import MODEL_VERSION
from driftloop.predictionlog.damage import LogDamagedError
from driftloop.predictionlog.late import count_late
from driftloop.predictionlog.maintenance import LogMaintainer
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.predictionlog.reader import PredictionLogReader, complete_through
from driftloop.predictionlog.segments import Commit, View, view_of
from driftloop.sidecar.evidencepages import EvidencePages
from driftloop.sidecar.history import WindowHistory
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.telling import Telling
from driftloop.sidecar.verdictjournal import Progress, VerdictJournal
from driftloop.sidecar.versionjudges import VersionJudges
from driftloop.sidecar.windowcloser import WindowCloser
from driftloop.spec import DriftReport, ModelLoop, ReportKind, Verdict, Window
from driftloop.spec.driftreport import report_name
from driftloop.spec.loading import read_modelloop

logger = logging.getLogger(__name__)

S = TypeVar("S")
SumUp: TypeAlias = Callable[[Judge, pd.DataFrame, Window], S]
"""Adds up what a version's rows of a window are to be remembered by."""

MAINTENANCE_SECONDS = 10.0
"""Time between two looks at the log's files when there was nothing to do."""


class Evaluator:
    """Judges what is due in one loop's log."""

    def __init__(
        self,
        loop: ModelLoop,
        settings: MonitorSettings,
        engine: DriftTest,
        *,
        journal: VerdictJournal | None = None,
        manifests: ManifestStore | None = None,
        retention: timedelta | None = None,
        fetch_baseline: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take up the work where the files say it was left.

        Args:
            loop: what is watched.
            settings: where log, state and baselines are.
            engine: of the drift tests.
            journal: keeper of verdicts; None for one in the state folder.
            manifests: keeper of closed windows; None for one in the state folder.
            retention: age at which a date of the log is removed; None for the loop's.
            fetch_baseline: puts the baseline of a model version into its folder, if there is one elsewhere.
        """
        self._loop = loop
        self._monitoring = loop.spec.monitoring
        self._settings = settings
        self._reader = PredictionLogReader(settings.log_dir)
        self._journal = journal or VerdictJournal(settings.state_dir, self._monitoring.report_history_limit)
        self._evidence = EvidencePages(settings.state_dir)
        manifests = manifests or ManifestStore(settings.state_dir / "manifests")
        self._maintainer = LogMaintainer(
            settings.log_dir, self._monitoring.log_retention if retention is None else retention
        )
        self._judges = VersionJudges(settings.baselines_dir, self._monitoring, engine, fetch_baseline)
        self._tell = Telling()
        self._progress = self._journal.progress()
        self._seen: View | None = None
        self._unjudged: Manifest | None = None
        """A window that is closed and whose verdicts are not all out."""
        self._windows = WindowCloser(
            self._reader,
            manifests,
            self._monitoring,
            self._tell,
            counted=self._progress.counted,
            judged_through=self._journal.newest_end(ReportKind.INPUTS),
        )
        self._history = WindowHistory(manifests, ReportKind.INPUTS, LONG, partial(self._sums_of, Judge.sums))
        self._errors = WindowHistory(
            manifests, ReportKind.PERFORMANCE, ERROR_WINDOWS, partial(self._sums_of, Judge.error_sums)
        )

    @property
    def progress(self) -> Progress:
        """How far everything is judged."""
        return self._progress

    @property
    def needed_since(self) -> datetime:
        """Earliest event time that a window to be judged may still read, the windows before it included."""
        histories, starts = (self._history, self._errors), self._windows.next_starts
        return min([self._windows.since, *(history.reach(start) for history in histories for start in starts)])

    def catch_up(self, now: datetime, *, wait_for_all: bool = False) -> None:
        """Judge everything that fell due since the last call, then write how far that is.

        Args:
            now: wall clock, by which silent writers are told from idle ones; not used in a replay.
            wait_for_all: wait for silent writers too: they may have been silent because nobody could hear them.

        Raises:
            DriftloopError: the log's commit records can't be read.
        """
        commits = self._reader.commits()
        silence = timedelta(seconds=self._settings.writer_silence_seconds)
        heard_since = now - silence if self._settings.clock == "wall" and not wait_for_all else None
        through, view = complete_through(commits, heard_since), view_of(commits)
        if through is None or (through == self._progress.complete_through and view == self._seen):
            return
        if self._seen is None:
            for newest in self._windows.newest():  # a kill may have come between two model versions' verdicts
                self._judge(newest)
        while (manifest := self._unjudged or self._close_next(commits, through, heard_since)) is not None:
            self._unjudged = manifest  # where an object store fails now, this window is judged first next time
            self._judge(manifest)
            self._unjudged = None
        self._write_progress(through, view)
        self._seen = view

    def maintain(self, now: datetime) -> bool:
        """Do one piece of upkeep of the log's files; return whether there was any."""
        through = self._progress.complete_through
        if self._seen is None or through is None:
            return False
        try:
            return self._maintainer.step(
                through=self._progress.counted, complete_through=through, needed_since=self.needed_since, now=now
            )
        except (DriftloopError, OSError) as error:
            self._tell(DriftloopError(f"Looking after the prediction log failed, and is tried again: {error}"))
            return False

    def verdicts_of(self, manifest: Manifest) -> list[Verdict]:
        """Return the verdicts on a window, one per model version: a function of the manifest, baselines and spec."""
        try:
            frame = self._rows(manifest)
        except LogDamagedError as error:
            return self._verdicts_on_damage(manifest, error)
        by_version = _by_version(frame)
        if manifest.kind is ReportKind.INPUTS:
            self._history.remember(manifest.start, self._add_up(Judge.sums, manifest, by_version))
        else:
            self._errors.remember(manifest.start, self._add_up(Judge.error_sums, manifest, by_version))
        return [self._verdict(manifest, version, rows) for version, rows in by_version.items()]

    def _rows(self, manifest: Manifest) -> pd.DataFrame:
        start, end = manifest.start, manifest.end
        if manifest.kind is ReportKind.INPUTS:
            return self._reader.predictions(start, end, view=manifest.predictions, on_time=True)
        return self._reader.joined(
            start,
            end,
            labelled_by=manifest.due,
            view=manifest.predictions,
            label_view=manifest.labels,
            on_time=True,
        )

    def _sums_of(self, sum_up: SumUp[S], manifest: Manifest) -> Mapping[str, S]:
        try:
            return self._add_up(sum_up, manifest, _by_version(self._rows(manifest)))
        except LogDamagedError as error:
            self._tell(error)
            return {}

    def _add_up(self, sum_up: SumUp[S], manifest: Manifest, by_version: Mapping[str, pd.DataFrame]) -> Mapping[str, S]:
        sums = {}
        for version, rows in by_version.items():
            judge = self._judges.of(version)
            if judge is not None:
                sums[version] = sum_up(judge, rows, Window(start=manifest.start, end=manifest.end, rows=len(rows)))
        return sums

    def _close_next(
        self, commits: Mapping[str, Commit], through: datetime, heard_since: datetime | None
    ) -> Manifest | None:
        manifest = self._windows.close_next(commits, through, heard_since)
        if manifest is not None:
            (self._history if manifest.kind is ReportKind.INPUTS else self._errors).add(manifest)
        return manifest

    def _judge(self, manifest: Manifest) -> None:
        for verdict in self.verdicts_of(manifest):
            if self._journal.has(manifest.kind, verdict.model_version, manifest.start):
                continue
            if self._journal.is_change(verdict):
                report = self._report(verdict, manifest.due)
                self._journal.write_report(report)
                rows = self._rows(manifest)  # read again: changes are rare, and most windows need no page
                of_version = rows[rows[MODEL_VERSION] == verdict.model_version]
                self._evidence.write(report, of_version, self._judges.of(verdict.model_version))
            self._journal.append(verdict)
            logger.info(
                "%s of version %s from %s: %s",
                manifest.kind,
                verdict.model_version,
                manifest.start.isoformat(),
                verdict.verdict,
            )

    def _write_progress(self, through: datetime, view: View) -> None:
        late = count_late(
            self._settings.log_dir,
            counted=self._progress.counted,
            view=view,
            closed_before=self._windows.closed_without,
            on_damage=self._tell,
        )
        self._progress = Progress(
            complete_through=through,
            evaluated_through={
                ReportKind.INPUTS: through,
                ReportKind.PERFORMANCE: through - self._monitoring.labels.expected_delay,
            },
            late_rows=self._progress.late_rows + late,
            counted=view,
        )
        self._journal.write_progress(self._progress)
        self._windows.forget_counted()
        for history in (self._history, self._errors):
            history.forget_before(self.needed_since)

    def _verdicts_on_damage(self, manifest: Manifest, error: LogDamagedError) -> list[Verdict]:
        self._tell(error)
        window = Window(start=manifest.start, end=manifest.end, rows=0)
        versions = self._reader.model_versions(
            manifest.start, manifest.end, view=manifest.predictions, on_damage=self._tell
        )
        return [not_enough_data(manifest.kind, v, window, f"The window can't be read. {error}") for v in versions]

    def _verdict(self, manifest: Manifest, version: str, rows: pd.DataFrame) -> Verdict:
        window = Window(start=manifest.start, end=manifest.end, rows=len(rows))
        judge = self._judges.of(version)
        if judge is None:
            reason = f"The model version {version} has no readable baseline."
            verdict = not_enough_data(manifest.kind, version, window, reason)
        elif manifest.kind is ReportKind.INPUTS:
            feed = self._history.feed(manifest, self._monitoring.window.duration)
            verdict = judge.judge_inputs(rows, window, self._history.before(manifest.start, version), feed)
        else:
            verdict = judge.judge_performance(
                rows,
                window,
                self._history.before(manifest.start, version),
                self._errors.before(manifest.start, version),
            )
        verdict = mark_expected(verdict, self._monitoring.expected_changes)
        return verdict.model_copy(update={"silent_writers": manifest.silent_writers})

    def _report(self, verdict: Verdict, due: datetime) -> DriftReport:
        uid = self._settings.loop_uid
        return DriftReport(
            name=report_name(uid, verdict.model_version, verdict.kind, verdict.window.start),
            loop=self._loop.metadata.name,
            loop_uid=uid,
            created_at=due,
            verdict=verdict,
        )


def _by_version(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {version: frame[frame[MODEL_VERSION] == version] for version in sorted(frame[MODEL_VERSION].unique())}


def make_engine(name: str) -> DriftTest:
    """Return the engine of `spec.monitoring.engine`.

    Raises:
        AlibiDetectMissingError: alibi-detect was asked for and isn't installed.
    """
    if name == SciPyEngine.name:
        return SciPyEngine()
    from driftloop.adapters.alibi_engine import AlibiDetectEngine

    return AlibiDetectEngine()


def main(settings: MonitorSettings) -> None:
    """Judge forever. The engine is imported first, long before the first window closes."""
    if settings.store_uri:
        from driftloop.sidecar.clusterevaluator import main as judge_shared_log

        return judge_shared_log(settings)
    loop = read_modelloop(settings.loop_file)
    evaluator = Evaluator(loop, settings, make_engine(loop.spec.monitoring.engine))
    tell = Telling()
    next_upkeep = time.monotonic()
    while True:
        try:
            evaluator.catch_up(datetime.now(UTC))
        except DriftloopError as error:
            tell(error)  # What can't be read may be put back; until then nothing closes.
        if time.monotonic() >= next_upkeep and not evaluator.maintain(datetime.now(UTC)):
            next_upkeep = time.monotonic() + MAINTENANCE_SECONDS
        time.sleep(settings.poll_interval_seconds)
