"""The shipping process of a monitor in a cluster: brings what the intake commits into the object store that all share.

The intake never waits for it: while the store is away the local log goes on, within its bound. At its end it waits for
the intake's last commit and says goodbye in the store, so that no window waits for this monitor.
"""

import fcntl
import logging
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from driftloop.adapters.logobjects import LogObjects
from driftloop.errors import DriftloopError
from driftloop.predictionlog import LogCounts, PredictionLogWriter
from driftloop.predictionlog.segments import wal_path
from driftloop.predictionlog.shipping import LogShipper
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.shipnotes import ShipNote, write_note
from driftloop.spec.loading import read_modelloop
from driftloop.spec.storelayout import StoreLayout

POLL_SECONDS = 0.1
"""Time between two looks at the local log."""
CLEAN_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
"""Longest time between two attempts while the store is away."""
INTAKE_SECONDS = 10.0
"""Time that the intake has for its last commit."""

_log = logging.getLogger(__name__)


class Shipping:
    """Ships again and again, and notes how it went."""

    def __init__(self, settings: MonitorSettings, shipper: LogShipper) -> None:
        self._log_dir = settings.log_dir
        self._writer_id = settings.writer_id
        self._shipper = shipper
        self._note = ShipNote()
        self._next_clean = 0.0

    def step(self, *, ended: bool = False) -> float:
        """Ship what is new; return the seconds until the next attempt."""
        try:
            commit = self._shipper.ship(ended=ended)
        except (DriftloopError, OSError) as error:
            if str(error) != self._note.last_error:
                _log.error("%s", error)
            failures = self._note.failures + 1
            self._write(replace(self._note, failures=failures, last_error=str(error)))
            return min(FIRST_PAUSE_SECONDS * float(2 ** min(failures - 1, 10)), LONGEST_PAUSE_SECONDS)
        known = replace(self._note, sequence=commit.sequence, rows=commit.counts.rows, labels=commit.counts.labels)
        if known != self._note or self._note.failures or self._note.shipped_at is None:
            shipped_at = datetime.now(UTC).isoformat()
            self._write(replace(known, shipped_at=shipped_at, failures=0, last_error=None))
        self._clean()
        return POLL_SECONDS

    def finish(self) -> bool:
        """Ship the rest once the intake has ended; return whether the store has everything."""
        deadline = time.monotonic() + INTAKE_SECONDS
        while not _has_ended(self._log_dir, self._writer_id) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._commit_rest()
        uncommitted = any((self._log_dir / "wal").glob(f"{self._writer_id}-*.wal"))
        while True:  # Until it is killed: whoever stops this process knows how long there is.
            pause = self.step(ended=not uncommitted)
            if not self._note.failures:
                return not uncommitted
            time.sleep(pause)

    def _commit_rest(self) -> None:
        """Commit what an intake that died has left: there is none that would."""
        try:
            with PredictionLogWriter(self._log_dir, writer_id=self._writer_id) as writer:
                if writer.pending != LogCounts():
                    writer.commit()
        except DriftloopError as error:
            _log.error("what the intake has left can't be committed: %s", error)

    def _write(self, note: ShipNote) -> None:
        try:
            write_note(self._log_dir, note)
        except OSError as error:
            _log.error("The note of what is shipped can't be written: %s", error)
            return
        self._note = note

    def _clean(self) -> None:
        now = time.monotonic()
        if now >= self._next_clean:
            self._shipper.clean(datetime.now(UTC))
            self._next_clean = now + CLEAN_SECONDS


def main(settings: MonitorSettings, *, rest_only: bool = False) -> None:
    """Ship until SIGTERM or SIGINT, then ship the rest; or the rest at once."""
    stop = threading.Event()
    if rest_only:
        stop.set()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    layout = store_layout(settings)
    keep = timedelta(seconds=settings.shipped_keep_seconds)
    shipping = Shipping(settings, LogShipper(settings.log_dir, settings.writer_id, LogObjects(), layout.log, keep=keep))
    pause = 0.0
    while not stop.wait(pause):
        pause = shipping.step()
    if shipping.finish():
        _log.info("everything is in the object store")


def store_layout(settings: MonitorSettings) -> StoreLayout:
    """Return where the loop's files lie in the object store."""
    name = read_modelloop(settings.loop_file).metadata.name
    return StoreLayout(settings.store_uri, settings.namespace, name)


def _has_ended(log_dir: Path, writer_id: str) -> bool:
    """Return whether no intake has the log open."""
    lock = wal_path(log_dir, writer_id, 0).with_name(f"{writer_id}.lock")
    if not lock.exists():
        return True
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
