"""The logs of one loop as one: lines of server, monitor, controller and runs in the order of their times.

Each program writes its own format; a line without a time (a traceback, a table) has that of the line before it. Times
are this machine's local ones, as the programs write them.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import merge
from pathlib import Path


class Source(StrEnum):
    """The programs that write logs."""

    SERVER = "server"
    MONITOR = "monitor"
    CONTROLLER = "controller"
    RUN = "run"


_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}:\d{2}"
# Python's logging, BentoML (with an offset), and kfp's executor, which puts its time behind a word.
_FULL_TIME = re.compile(
    rf"^\W*(?:KFP Executor )?(?P<day>{_DAY})[T ](?P<clock>{_CLOCK})(?:[.,](?P<fraction>\d{{1,6}}))?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)
_TIME_OF_DAY = re.compile(rf"^(?P<clock>{_CLOCK})\.(?P<fraction>\d{{3}}) - ")  # kfp.local tells no day
# Of use to kfp's own developers only: how a task is loaded, and its whole input as JSON.
_PLUMBING = re.compile(r"KFP Executor .*\]: (Looking for component|Loading KFP component|Wrote executor output)")
_PLUMBING_BEGINS, _PLUMBING_ENDS = re.compile(r"Got executor_input:\s*$"), re.compile(r"^ {4}\}\s*$")


@dataclass(frozen=True, order=True)
class LogLine:
    """One line of one program."""

    at: datetime
    source: Source
    origin: str
    """File it stands in, shortened: `server-v2`, `run manual-18e`."""
    text: str = field(compare=False)

    @property
    def message(self) -> str:
        """The text without the time it begins with."""
        for pattern in (_FULL_TIME, _TIME_OF_DAY):
            if found := pattern.match(self.text):
                return self.text[found.end() :].strip()
        return self.text


@dataclass
class LogFile:
    """A log that may grow: each call of `read` returns the whole lines that are new.

    Args:
        path: the file.
        source: who writes it.
        origin: how to call it.
    """

    path: Path
    source: Source
    origin: str
    _place: int = 0
    _last: datetime | None = None
    _is_plumbing: bool = False

    def read(self) -> list[LogLine]:
        """Return the new whole lines, oldest first; a file that was cut is read from its start."""
        try:
            size = self.path.stat().st_size
            if size < self._place:
                self._place = 0
            if size == self._place:
                return []
            with self.path.open("rb") as file:
                file.seek(self._place)
                content = file.read()
        except OSError:  # removed between listing and reading
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._place += len(whole)
        return list(self._lines(whole.decode("utf-8", errors="replace").splitlines()))

    def _lines(self, texts: Iterable[str]) -> Iterator[LogLine]:
        for raw in texts:
            text = _ANSI.sub("", raw).rstrip()
            self._last = read_time(text, self._last or self._first_day())
            if self._is_plumbing:
                self._is_plumbing = not _PLUMBING_ENDS.match(text)
            elif _PLUMBING_BEGINS.search(text):
                self._is_plumbing = True
            elif text.strip("- ") and not _PLUMBING.search(text):
                yield LogLine(self._last, self.source, self.origin, text)

    def _first_day(self) -> datetime:
        """Return the file's day for times without one: the request beside a run's log is written as the run starts."""
        request = self.path.with_name("request.json")
        started = request if request.exists() else self.path
        return datetime.fromtimestamp(started.stat().st_mtime).astimezone().replace(tzinfo=None)


def read_time(text: str, last: datetime) -> datetime:
    """Return the local time a line tells, or that of the line before it.

    >>> read_time("2026-01-02 03:04:05,678 INFO x", datetime(2026, 1, 1))
    datetime.datetime(2026, 1, 2, 3, 4, 5, 678000)
    >>> read_time("00:00:01.000 - INFO - x", datetime(2026, 1, 1, 23, 59))
    datetime.datetime(2026, 1, 2, 0, 0, 1)
    >>> read_time("  File x", datetime(2026, 1, 1))
    datetime.datetime(2026, 1, 1, 0, 0)
    """
    if found := _FULL_TIME.match(text):
        fraction = (found["fraction"] or "0").ljust(6, "0")
        time = datetime.fromisoformat(f"{found['day']}T{found['clock']}.{fraction}{found['zone'] or ''}")
        return time.astimezone().replace(tzinfo=None) if time.tzinfo else time
    if found := _TIME_OF_DAY.match(text):
        clock = datetime.strptime(found["clock"], "%H:%M:%S").time()  # noqa: DTZ007 - a time of day has no zone
        time = datetime.combine(last.date(), clock).replace(microsecond=int(found["fraction"]) * 1000)
        is_past_midnight = last - time > timedelta(hours=12)
        return time + timedelta(days=1) if is_past_midnight else time
    return last


class LogFolder:
    """All logs of a workspace; files that appear later are found by the next `read`.

    Args:
        root: the workspace.
        sources: which programs; all if empty.
    """

    def __init__(self, root: Path, sources: Collection[Source] = ()) -> None:
        self._root = root
        self._sources = frozenset(sources or Source)
        self._files: dict[Path, LogFile] = {}

    def read(self) -> list[LogLine]:
        """Return every line that is new since the last call, in the order of time."""
        for path in (*self._root.glob("logs/*.log"), *self._root.glob("runs/*/run.log")):
            if path not in self._files:
                self._files[path] = _file_of(path)
        files = [self._files[path] for path in sorted(self._files)]
        batches = (file.read() for file in files if file.source in self._sources)
        # Sorted by time alone: lines of one moment stay in the order of their file.
        return list(merge(*(sorted(batch, key=_time) for batch in batches), key=_time))


def _time(line: LogLine) -> datetime:
    return line.at


def _file_of(path: Path) -> LogFile:
    if path.name == "run.log":
        return LogFile(path, Source.RUN, f"run {path.parent.name}")
    writer = path.stem.partition("-")[0]
    return LogFile(path, Source(writer) if writer in list(Source) else Source.CONTROLLER, path.stem)
