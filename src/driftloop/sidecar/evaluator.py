"""The evaluator process: judges every window of the prediction log as it falls due, once, in event-time order.

It reads the committed log, the baselines and its own journal, and keeps nothing that it could not derive from them: a
kill at any moment loses no verdict and doubles none.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from driftloop.monitor.baseline import Baseline
from driftloop.monitor.engines import DriftTest, SciPyEngine
from driftloop.monitor.judge import Judge, not_enough_data
from driftloop.monitor.windows import EPOCH, next_window
from driftloop.predictionlog.columns import MODEL_VERSION, TIME
from driftloop.predictionlog.reader import PredictionLogReader
from driftloop.sidecar.evidencepages import EvidencePages
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.verdictjournal import VerdictJournal
from driftloop.spec import DataSchema, DriftReport, ModelLoop, ReportKind, Verdict, Window
from driftloop.spec.driftreport import report_name
from driftloop.spec.loading import read_modelloop

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Due:
    """A closed window, and the event time at which its verdict was due."""

    at: datetime
    kind: ReportKind
    window: Window


class Evaluator:
    """Judges what is due in one loop's log."""

    def __init__(self, loop: ModelLoop, settings: MonitorSettings, engine: DriftTest) -> None:
        self._loop = loop
        self._monitoring = loop.spec.monitoring
        self._settings = settings
        self._engine = engine
        self._reader = PredictionLogReader(settings.log_dir)
        self._journal = VerdictJournal(settings.state_dir, self._monitoring.report_history_limit)
        self._evidence = EvidencePages(settings.state_dir)
        self._judges: dict[str, Judge] = {}
        self._unreadable: set[str] = set()
        self._finished_through: datetime | None = None
        # Inputs first: of two verdicts due at the same time the earlier knowledge comes first.
        self._delays = {
            ReportKind.INPUTS: timedelta(0),
            ReportKind.PERFORMANCE: self._monitoring.labels.expected_delay,
        }
        # The newest judged window is looked at again: a kill may have come between two model versions' verdicts.
        self._since = {kind: self._journal.newest_window(kind) or EPOCH for kind in self._delays}

    def catch_up(self) -> None:
        """Judge everything that fell due since the last call, then write how far that is."""
        complete_through = self._reader.complete_through()
        if complete_through is None or complete_through == self._finished_through:
            return
        while (due := self._next_due(complete_through)) is not None:
            self._judge(due)
            self._since[due.kind] = due.window.end
        evaluated_through = {kind: complete_through - delay for kind, delay in self._delays.items()}
        self._journal.write_progress(complete_through, evaluated_through)
        self._finished_through = complete_through

    def _next_due(self, complete_through: datetime) -> _Due | None:
        found = []
        for kind, delay in self._delays.items():
            window = next_window(
                self._times_between, self._since[kind], complete_through - delay, self._monitoring.window
            )
            if window is not None:
                found.append(_Due(window.end + delay, kind, window))
        return min(found, key=lambda due: due.at, default=None)

    def _times_between(self, start: datetime, end: datetime) -> list[datetime]:
        return [moment.to_pydatetime() for moment in self._reader.predictions(start, end)[TIME]]

    def _judge(self, due: _Due) -> None:
        start, end = due.window.start, due.window.end
        if due.kind is ReportKind.INPUTS:
            frame = self._reader.predictions(start, end)
        else:
            frame = self._reader.joined(start, end, labelled_by=due.at)
        for version in frame[MODEL_VERSION].unique():
            if self._journal.has(due.kind, version, start):
                continue
            verdict = self._verdict(due, version, frame[frame[MODEL_VERSION] == version])
            if self._journal.is_change(verdict):
                report = self._report(verdict, due.at)
                self._journal.write_report(report)
                self._evidence.write(report, frame[frame[MODEL_VERSION] == version], self._judge_of(version))
            self._journal.append(verdict)
            logger.info("%s of version %s from %s: %s", due.kind, version, start.isoformat(), verdict.verdict)

    def _verdict(self, due: _Due, version: str, rows: pd.DataFrame) -> Verdict:
        window = due.window.model_copy(update={"rows": len(rows)})
        judge = self._judge_of(version)
        if judge is None:
            return not_enough_data(due.kind, version, window, f"The model version {version} has no readable baseline.")
        if due.kind is ReportKind.INPUTS:
            return judge.judge_inputs(rows, window)
        return judge.judge_performance(rows, window)

    def _judge_of(self, version: str) -> Judge | None:
        if version not in self._judges:
            folder = self._settings.baselines_dir / version
            try:
                schema = DataSchema.model_validate_json((folder / "schema.json").read_bytes())
                baseline = Baseline.model_validate_json((folder / "baseline.json").read_bytes())
            except (OSError, ValueError) as error:
                if version not in self._unreadable:
                    logger.warning("The baseline of version %s can't be read: %s", version, error)
                    self._unreadable.add(version)
                return None
            self._judges[version] = Judge(version, schema, baseline, self._monitoring, self._engine)
        return self._judges[version]

    def _report(self, verdict: Verdict, due: datetime) -> DriftReport:
        uid = self._settings.loop_uid
        return DriftReport(
            name=report_name(uid, verdict.model_version, verdict.kind, verdict.window.start),
            loop=self._loop.metadata.name,
            loop_uid=uid,
            created_at=due,
            verdict=verdict,
        )


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
    loop = read_modelloop(settings.loop_file)
    evaluator = Evaluator(loop, settings, make_engine(loop.spec.monitoring.engine))
    while True:
        evaluator.catch_up()
        time.sleep(settings.poll_interval_seconds)
