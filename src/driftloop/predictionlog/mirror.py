"""A local copy of the part of a shared log that somebody reads: the dates asked for, as far as the commits go.

Commit records are put into the copy last, so that a reader of it sees what a reader of the log would see: all of a
commit or nothing.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from driftloop.predictionlog.logstore import LogStore, StoredFile, StoreUnavailableError
from driftloop.predictionlog.segments import (
    COMPACTED_PREFIX,
    INDEX_NAME,
    TIME_COLUMNS,
    Commit,
    View,
    date_folder,
    parse_commit,
    publish_commit,
    read_index,
    segment_origin,
)

DOWNLOADS = 8
"""Files fetched side by side."""
ATTEMPTS = 5
"""Looks at a date while it is being compacted."""


class LogMirror:
    """Keeps a copy below `root`, which must be empty at first and belong to this object alone.

    Args:
        store: where the log is.
        log_uri: the log.
        root: folder of the copy.

    Raises (all methods):
        StoreUnavailableError: the copy is what it was, or holds more segments that nobody reads yet.
        LogDamagedError: a commit record can't be read.
    """

    def __init__(self, store: LogStore, log_uri: str, root: Path) -> None:
        self._store = store
        self._uri = log_uri
        self._root = root
        self._commits: dict[str, Commit] = {}
        self._stamps: dict[str, str] = {}
        self._held: dict[date, dict[str, int]] = {}

    def commits(self) -> Mapping[str, Commit]:
        """Return what every writer has published; only records that changed are fetched."""
        listed = {file.name: file.stamp for file in self._store.listing(f"{self._uri}/commits")}
        fresh = [name for name, stamp in listed.items() if self._stamps.get(name) != stamp]
        for name, data in zip(fresh, self._fetch_all(fresh), strict=True):
            if data is not None:
                path = Path(f"{self._uri}/commits/{name}")
                self._commits[path.stem] = parse_commit(data, path)
                self._stamps[name] = listed[name]
        for name in self._stamps.keys() - listed.keys():
            del self._stamps[name]
            self._commits.pop(Path(name).stem, None)
        return self._commits

    def pull(self, since: date, *, counted: View, until: View | None = None) -> None:
        """Bring the copy up to the commits of the last call of `commits`.

        Args:
            since: first date of interest.
            counted: records that are not needed from earlier dates; later ones are fetched whatever their date.
            until: records behind it are not needed; None for all that are committed.
        """
        self._forget_removed()
        wanted: dict[date, dict[str, int]] = {}
        for writer_id, commit in self._commits.items():
            for day, newest in commit.dates.items():
                sequence = newest if until is None else min(newest, until.get(writer_id, 0))
                held = self._held.get(day, {}).get(writer_id, 0)
                if sequence > (held if day >= since else max(held, counted.get(writer_id, 0))):
                    wanted.setdefault(day, {})[writer_id] = sequence
        for day, sequences in sorted(wanted.items()):
            for kind in TIME_COLUMNS:
                self._pull_date(kind, day)
            self._held[day] = self._held.get(day, {}) | sequences
        for writer_id, commit in self._commits.items():
            publish_commit(self._root, writer_id, commit, sync=False)

    def _pull_date(self, kind: str, day: date) -> None:
        folder = date_folder(self._root, kind, day)
        uri = f"{self._uri}/{folder.relative_to(self._root).as_posix()}"
        for _ in range(ATTEMPTS):
            files = self._store.listing(uri)
            try:
                if day not in self._held:
                    self._fetch_compacted(uri, folder, files)
                self._fetch_plain(uri, folder, files)
            except FileNotFoundError:
                continue  # Compacted meanwhile: look again.
            return
        raise StoreUnavailableError(uri, "files vanish while they are read")

    def _fetch_compacted(self, uri: str, folder: Path, files: list[StoredFile]) -> None:
        names = [file.name for file in files if file.name.startswith(COMPACTED_PREFIX)]
        if not any(file.name == INDEX_NAME for file in files):
            return
        self._store.get_file(f"{uri}/{INDEX_NAME}", folder / INDEX_NAME)
        needed = {segment.path.name for segment in read_index(folder).compacted}
        self._get(uri, folder, [name for name in names if name in needed])

    def _fetch_plain(self, uri: str, folder: Path, files: list[StoredFile]) -> None:
        covers = read_index(folder).covers
        names = []
        for file in files:
            if not file.name.startswith((COMPACTED_PREFIX, ".", "_")) and file.name.endswith(".parquet"):
                writer_id, sequence = segment_origin(file.name)
                committed = self._commits[writer_id].sequence if writer_id in self._commits else 0
                if covers.get(writer_id, 0) < sequence <= committed:
                    names.append(file.name)
        self._get(uri, folder, names)

    def _get(self, uri: str, folder: Path, names: list[str]) -> None:
        missing = [name for name in names if not (folder / name).exists()]
        with ThreadPoolExecutor(DOWNLOADS) as threads:
            for _ in threads.map(lambda name: self._store.get_file(f"{uri}/{name}", folder / name), missing):
                pass

    def _fetch_all(self, names: list[str]) -> list[bytes | None]:
        def fetch(name: str) -> bytes | None:
            try:
                return self._store.read(f"{self._uri}/commits/{name}")
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(DOWNLOADS) as threads:
            return list(threads.map(fetch, names))

    def _forget_removed(self) -> None:
        """Note dates that upkeep of the copy has removed."""
        for day in list(self._held):
            if not any(date_folder(self._root, kind, day).exists() for kind in TIME_COLUMNS):
                del self._held[day]


def copy_log(store: LogStore, log_uri: str, root: Path, view: View) -> None:
    """Copy what a view of the log needs into an empty folder."""
    mirror = LogMirror(store, log_uri, root)
    mirror.commits()
    mirror.pull(date.min, counted={}, until=view)
