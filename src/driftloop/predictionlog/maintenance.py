"""Upkeep of a log: merges segments, removes dates that nobody needs any more. One process per log does it, in steps.

The evaluator's process runs it between verdicts, because it knows which records are still to be judged; the intake has
no part in it.
"""

import fcntl
import logging
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from driftloop.predictionlog.compaction import compact_date, superseded
from driftloop.predictionlog.damage import LogDamagedError, NewerFormatError
from driftloop.predictionlog.durablefile import make_directory, sync_directory
from driftloop.predictionlog.segments import INDEX_NAME, TIME_COLUMNS, View, date_folders

REMOVE_AFTER = timedelta(seconds=60)
"""Time that merged files stay for readers which have listed them; a slower reader looks again."""
_REMOVED_PREFIX = ".removed-"

_log = logging.getLogger(__name__)


class LogMaintainer:
    """Keeps the log under `root` small and quick; does nothing while another process does.

    Args:
        root: folder of the log.
        retention: age at which a date is removed, in event time.
    """

    def __init__(self, root: Path, retention: timedelta) -> None:
        self._root = root
        self._retention = retention
        self._settled: dict[Path, tuple[int, bool]] = {}
        self._told: set[str] = set()

    def step(self, *, through: View, complete_through: datetime, needed_since: datetime, now: datetime) -> bool:
        """Do one piece of work, on one date; return whether there was any.

        Args:
            through: records that may be merged: all that were counted and judged as late or not.
            complete_through: event time before which every writer has committed everything.
            needed_since: earliest event time that a window to be judged may still read.
            now: wall clock, for the age of files.

        Raises:
            OSError: the disk refuses; the log is as it was.
        """
        make_directory(self._root)
        with (self._root / "maintenance.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return self._step(through, complete_through, needed_since, now)

    def _step(self, through: View, complete_through: datetime, needed_since: datetime, now: datetime) -> bool:
        if self._remove_old_date(min(complete_through - self._retention, needed_since)):
            return True
        for kind in TIME_COLUMNS:
            for day, folder in date_folders(self._root, kind, None, None):
                is_over = end_of(day) <= complete_through
                state = (folder.stat().st_mtime_ns, is_over)
                if self._settled.get(folder) == state:
                    continue
                try:
                    if compact_date(folder, day, TIME_COLUMNS[kind], through=through, is_over=is_over):
                        return True
                    leftovers = superseded(folder)
                except (LogDamagedError, NewerFormatError) as error:
                    self._tell(str(error))
                    continue
                if leftovers and self._remove(folder, leftovers, now):
                    return True
                if not leftovers:
                    self._settled[folder] = state
        return False

    def _remove(self, folder: Path, leftovers: Sequence[Path], now: datetime) -> bool:
        """Remove merged files, unless a reader may have listed them a moment ago."""
        index = folder / INDEX_NAME
        if index.exists() and now.timestamp() - index.stat().st_mtime < REMOVE_AFTER.total_seconds():
            return False
        for path in leftovers:
            path.unlink(missing_ok=True)
        return True

    def _remove_old_date(self, before: datetime) -> bool:
        for kind in TIME_COLUMNS:
            for path in (self._root / kind).glob(f"{_REMOVED_PREFIX}*"):
                shutil.rmtree(path)  # A crash came between the two steps below.
            for day, folder in date_folders(self._root, kind, None, before):
                if end_of(day) <= before:
                    # Renamed first: a reader sees the whole date or nothing of it.
                    doomed = folder.with_name(f"{_REMOVED_PREFIX}{folder.name}")
                    folder.rename(doomed)
                    sync_directory(folder.parent)
                    shutil.rmtree(doomed)
                    _log.info("removed %s of %s: older than the retention", kind, day)
                    return True
        return False

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            _log.error("%s", message)


def end_of(day: date) -> datetime:
    """Return the first moment behind a date, in UTC."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
