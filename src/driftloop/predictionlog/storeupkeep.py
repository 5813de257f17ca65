"""Upkeep of a log in an object store: each date becomes one file once it is over; dates past retention go.

Two that do it by mistake do no harm: the index of a date is created once and never replaced, and merged files are named
by their content. What comes for a date after that stays beside the merged file.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from driftloop.predictionlog.compaction import compact_date
from driftloop.predictionlog.damage import LogDamagedError, NewerFormatError
from driftloop.predictionlog.logstore import LogStore, StoredFile
from driftloop.predictionlog.maintenance import end_of
from driftloop.predictionlog.segments import (
    COMPACTED_PREFIX,
    DATE_PREFIX,
    INDEX_NAME,
    TIME_COLUMNS,
    Commit,
    Segment,
    View,
    date_folder,
    format_index,
    is_covered,
    parse_index,
    read_index,
    segment_origin,
)

REMOVE_AFTER = timedelta(hours=1)
"""Time that merged files stay for readers which have just listed them."""

_log = logging.getLogger(__name__)


class StoreUpkeep:
    """Looks after the log at one address.

    Args:
        store: where the log is.
        log_uri: the log.
        retention: age at which a date is removed, in event time.
        scratch: folder for files that are being merged; emptied.
    """

    def __init__(self, store: LogStore, log_uri: str, *, retention: timedelta, scratch: Path) -> None:
        self._store = store
        self._uri = log_uri
        self._retention = retention
        self._scratch = scratch
        self._damaged: set[tuple[str, date]] = set()

    def step(
        self,
        commits: Mapping[str, Commit],
        *,
        through: View,
        complete_through: datetime,
        needed_since: datetime,
        now: datetime,
    ) -> bool:
        """Do one piece of work, on one date; return whether there was any.

        Args:
            commits: what every writer has published.
            through: records that may be merged: all that were counted and judged as late or not.
            complete_through: event time before which every writer has committed everything.
            needed_since: earliest event time that a window to be judged may still read.
            now: wall clock, for the age of files.

        Raises:
            StoreUnavailableError: the log is as it was, or has files that nobody reads.
        """
        oldest = min(complete_through - self._retention, needed_since)
        for kind in TIME_COLUMNS:
            for day, files in self._dates(kind).items():
                if end_of(day) <= oldest:
                    self._store.remove(f"{self._uri}/{kind}/{DATE_PREFIX}{day}")
                    _log.info("removed %s of %s: older than the retention", kind, day)
                    return True
                if end_of(day) <= complete_through and (kind, day) not in self._damaged:
                    try:
                        if self._settle(kind, day, files, through, now):
                            return True
                    except (LogDamagedError, NewerFormatError) as error:
                        self._damaged.add((kind, day))
                        _log.error("%s", error)
        return self._remove_dead_writer(commits, oldest)

    def _dates(self, kind: str) -> dict[date, dict[str, StoredFile]]:
        """Return the dates of a kind, and their files by name."""
        found: dict[date, dict[str, StoredFile]] = {}
        for file in self._store.listing(f"{self._uri}/{kind}"):
            folder, _, name = file.name.partition("/")
            if folder.startswith(DATE_PREFIX) and name:
                day = date.fromisoformat(folder.removeprefix(DATE_PREFIX))
                found.setdefault(day, {})[name] = file
        return found

    def _settle(self, kind: str, day: date, files: Mapping[str, StoredFile], through: View, now: datetime) -> bool:
        """Merge the date's segments, or remove what was merged a while ago."""
        if INDEX_NAME not in files:
            plain = [name for name in files if _is_plain(name)]
            return len(plain) > 1 and self._merge(kind, day, plain, through)
        uri = f"{self._uri}/{kind}/{DATE_PREFIX}{day}"
        old = now - files[INDEX_NAME].modified >= REMOVE_AFTER
        leftovers = [name for name in files if name != INDEX_NAME]
        if len(leftovers) <= 1 or not old:
            return False
        index = parse_index(self._store.read(f"{uri}/{INDEX_NAME}"), date_folder(Path(), kind, day))
        needed = {segment.path.name for segment in index.compacted}
        gone = False
        for name in leftovers:
            if name in needed:
                continue
            if not _is_plain(name) or is_covered(_plain(name), index):
                self._store.remove(f"{uri}/{name}")
                gone = True
        return gone

    def _merge(self, kind: str, day: date, names: list[str], through: View) -> bool:
        shutil.rmtree(self._scratch, ignore_errors=True)
        folder = date_folder(self._scratch, kind, day)
        folder.mkdir(parents=True)
        uri = f"{self._uri}/{kind}/{DATE_PREFIX}{day}"
        try:
            for name in names:
                self._store.get_file(f"{uri}/{name}", folder / name)
            if not compact_date(folder, day, TIME_COLUMNS[kind], through=through, is_over=True):
                return False
            index = read_index(folder)
            compacted = tuple(replace(segment, path=_name_by_content(segment.path)) for segment in index.compacted)
            for segment in compacted:
                self._store.put_file(segment.path, f"{uri}/{segment.path.name}")
            self._store.create(f"{uri}/{INDEX_NAME}", format_index(replace(index, compacted=compacted)))
        except (FileExistsError, FileNotFoundError):
            return False  # Another was quicker; what it did stands.
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return True

    def _remove_dead_writer(self, commits: Mapping[str, Commit], oldest: datetime) -> bool:
        """Forget a writer that has ended or died, and of which the log holds nothing any more."""
        for writer_id, commit in commits.items():
            newest = max((end_of(day) for day in commit.dates), default=oldest)
            if commit.heartbeat and commit.heartbeat < oldest and newest <= oldest:
                self._store.remove(f"{self._uri}/commits/{writer_id}.json")
                return True
        return False


def _is_plain(name: str) -> bool:
    return name.endswith(".parquet") and not name.startswith((COMPACTED_PREFIX, ".", "_"))


def _plain(name: str) -> Segment:
    writer_id, sequence = segment_origin(name)
    return Segment(Path(name), {writer_id: (sequence, sequence)})


def _name_by_content(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return path.rename(path.with_name(f"{path.stem}-{digest}.parquet"))
