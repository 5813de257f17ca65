"""The evaluator in a cluster: the laptop's evaluator on a local copy of the log that all monitors of a loop share.

Runs in the monitor that holds the loop's Lease. The Lease saves work; correctness does not rest on it: windows are
closed and verdicts published by create-only objects, so that two evaluators agree. Everything local is made anew at the
start.
"""

import shutil
import time
from datetime import UTC, date, datetime, timedelta

from driftloop.adapters.logobjects import LogObjects
from driftloop.errors import DriftloopError
from driftloop.monitor.engines import DriftTest
from driftloop.predictionlog.logstore import LogStore, StoreUnavailableError
from driftloop.predictionlog.mirror import LogMirror
from driftloop.predictionlog.storeupkeep import StoreUpkeep
from driftloop.sidecar.evaluator import MAINTENANCE_SECONDS, Evaluator, make_engine
from driftloop.sidecar.loopstate import StateWriter
from driftloop.sidecar.reportoutbox import evaluator_state_dir
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.sharedfiles import SharedJournal, SharedManifests
from driftloop.sidecar.telling import Telling
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop
from driftloop.spec.storelayout import StoreLayout

CONTACT_SECONDS = 60.0
"""Time that the store must have answered before a writer counts as silent: after an outage all have been."""
COPIED_WINDOWS = 2
"""Durations of a window that the copy of the log reaches back at least; a day later its dates are removed."""
LONGEST_PAUSE_SECONDS = 15.0
STORE_UPKEEP_SECONDS = 300.0
"""Time between two looks at the store's files when there was nothing to do."""


class ClusterEvaluator:
    """Judges one loop's shared log.

    Args:
        loop: the loop.
        settings: of this monitor.
        engine: of the drift tests.
        store: the object store.

    Raises:
        StoreUnavailableError: make another one later.
    """

    def __init__(self, loop: ModelLoop, settings: MonitorSettings, engine: DriftTest, store: LogStore) -> None:
        self._loop = loop
        self._settings = settings
        self._store = store
        layout = StoreLayout(settings.store_uri, settings.namespace, loop.metadata.name)
        self._baselines_uri = layout.baselines
        state_dir = evaluator_state_dir(settings)
        work = state_dir.parent
        shutil.rmtree(work, ignore_errors=True)
        self._local = settings.model_copy(update={"log_dir": work / "log", "state_dir": state_dir})
        monitoring = loop.spec.monitoring
        self._journal = SharedJournal(
            self._local.state_dir, monitoring.report_history_limit, store, layout.monitor, settings.loop_uid
        )
        self._evaluator = Evaluator(
            loop,
            self._local,
            engine,
            journal=self._journal,
            manifests=SharedManifests(self._local.state_dir / "manifests", store, f"{layout.monitor}/manifests"),
            retention=COPIED_WINDOWS * monitoring.window.duration + timedelta(days=1),
            fetch_baseline=self._fetch_baseline,
        )
        self._mirror = LogMirror(store, layout.log, self._local.log_dir)
        self._state_writer = StateWriter(loop, settings, self._local.log_dir, self._journal)
        self._upkeep = StoreUpkeep(store, layout.log, retention=monitoring.log_retention, scratch=work / "scratch")
        self._commits = self._mirror.commits()
        self._contact_since: float | None = None
        self._next_maintenance = self._next_upkeep = 0.0

    def step(self, now: datetime) -> None:
        """Judge what is due, publish how far that is, and look after the files.

        Raises:
            StoreUnavailableError: nothing is lost; call again later.
            DriftloopError: the log's commit records can't be read.
        """
        try:
            self._step(now, time.monotonic())
        except StoreUnavailableError:
            self._contact_since = None
            raise

    def _step(self, now: datetime, clock: float) -> None:
        self._commits = self._mirror.commits()
        self._contact_since = clock if self._contact_since is None else self._contact_since
        in_contact = clock - self._contact_since >= min(CONTACT_SECONDS, self._settings.writer_silence_seconds)
        self._mirror.pull(self._first_date(), counted=self._evaluator.progress.counted)
        self._evaluator.catch_up(now, wait_for_all=not in_contact)
        self._journal.confirm_announced()
        self._state_writer.write(self._commits, self._evaluator.progress, self._first_date(), now)
        if clock >= self._next_maintenance and not self._evaluator.maintain(now):
            self._next_maintenance = clock + MAINTENANCE_SECONDS
        if clock >= self._next_upkeep and not self._look_after_store(now):
            self._next_upkeep = clock + STORE_UPKEEP_SECONDS

    def _first_date(self) -> date:
        """Return the first date that windows to be judged, and the newest window's labels, may need."""
        since = self._evaluator.needed_since
        if (through := self._evaluator.progress.complete_through) is not None:
            since = min(since, through - COPIED_WINDOWS * self._loop.spec.monitoring.window.duration)
        return since.astimezone(UTC).date()

    def _look_after_store(self, now: datetime) -> bool:
        state = self._journal.state
        if state is None or state.complete_through is None:
            return False
        return self._upkeep.step(
            self._commits,
            through=state.counted,
            complete_through=state.complete_through,
            needed_since=self._evaluator.needed_since,
            now=now,
        )

    def _fetch_baseline(self, version: str) -> None:
        for name in ("schema.json", "baseline.json"):
            target = self._local.baselines_dir / version / name
            if not target.exists():
                try:
                    self._store.get_file(f"{self._baselines_uri}/{version}/{name}", target)
                except FileNotFoundError:
                    return


def main(settings: MonitorSettings) -> None:
    """Judge until killed."""
    loop = read_modelloop(settings.loop_file)
    engine, store, tell = make_engine(loop.spec.monitoring.engine), LogObjects(), Telling()
    evaluator: ClusterEvaluator | None = None
    failures = 0
    while True:
        try:
            evaluator = evaluator or ClusterEvaluator(loop, settings, engine, store)
            evaluator.step(datetime.now(UTC))
            failures = 0
        except DriftloopError as error:
            tell(error)
            failures += 1
        pause = settings.poll_interval_seconds * 2.0 ** min(failures, 10)
        time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
