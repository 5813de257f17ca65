"""What the windows before a window added up to: small changes show over several windows.

A function of the manifests: kept in memory while the evaluator runs, made again from the log after a restart.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from driftloop.monitor.checks import REMEMBERED_WINDOWS, Stretch, remembered
from driftloop.predictionlog.damage import LogDamagedError
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.spec import ReportKind

S = TypeVar("S")


class WindowHistory(Generic[S]):
    """The sums of closed windows of one kind, per model version."""

    def __init__(
        self,
        manifests: ManifestStore,
        kind: ReportKind,
        length: int,
        sum_up: Callable[[Manifest], Mapping[str, S]],
    ) -> None:
        """Begin with what the manifests know.

        Args:
            manifests: keeper of closed windows.
            kind: of the windows.
            length: how many windows a verdict looks at, its own included.
            sum_up: reads a window's rows; returns model version → sums.
        """
        self._manifests = manifests
        self._kind = kind
        self._length = length
        self._starts = manifests.starts(kind)
        self._sum_up = sum_up
        self._read: dict[datetime, Manifest] = {}
        self._sums: dict[datetime, Mapping[str, S]] = {}
        self._feed: dict[datetime, Stretch | None] = {}

    def add(self, manifest: Manifest) -> None:
        """Take in the window that was closed last."""
        self._starts.append(manifest.start)
        self._read[manifest.start] = manifest

    def remember(self, start: datetime, sums: Mapping[str, S]) -> None:
        """Keep the sums of a window whose rows were read anyway."""
        self._sums[start] = sums

    def before(self, start: datetime, version: str) -> list[S]:
        """Return a version's sums of the windows that lead up to a window without a gap, newest last."""
        found: list[S] = []
        for manifest in self._leading_to(start):
            sums = self._sums_of(manifest).get(version)
            if sums is None:
                break
            found.insert(0, sums)
        return found

    def feed(self, manifest: Manifest, duration: timedelta) -> list[Stretch]:
        """Return how many predictions came in a window and those before it, the window last; empty where unknown."""
        if (this := _stretch(manifest)) is None:
            return []
        since = manifest.start - remembered(duration)
        known = [start for start in self._starts if since <= start < manifest.start][-REMEMBERED_WINDOWS:]
        for start in [start for start in self._feed if start < since]:
            del self._feed[start]
        for start in known:
            if start not in self._feed:
                try:
                    self._feed[start] = _stretch(self._manifests.read(ReportKind.INPUTS, start))
                except LogDamagedError:
                    continue
        before = (self._feed.get(start) for start in known)
        return [*(stretch for stretch in before if stretch is not None), this]

    def reach(self, start: datetime) -> datetime:
        """Return the earliest event time that the verdict on a window beginning at `start` looks at."""
        return min([start, *(manifest.start for manifest in self._leading_to(start))])

    def forget_before(self, time: datetime) -> None:
        """Drop what no window to come looks at."""
        for kept in (self._sums, self._read):
            for start in [start for start in kept if start < time]:
                del kept[start]

    def _leading_to(self, start: datetime) -> Iterator[Manifest]:
        earlier = [known for known in self._starts if known < start][-(self._length - 1) :]
        for known in reversed(earlier):
            try:
                manifest = self._read.get(known) or self._manifests.read(self._kind, known)
            except LogDamagedError:
                return
            self._read[known] = manifest
            if manifest.end != start:
                return
            yield manifest
            start = known

    def _sums_of(self, manifest: Manifest) -> Mapping[str, S]:
        if manifest.start not in self._sums:
            self._sums[manifest.start] = self._sum_up(manifest)
        return self._sums[manifest.start]


def _stretch(manifest: Manifest) -> Stretch | None:
    return None if manifest.rows is None else Stretch(manifest.start, manifest.end, manifest.rows, manifest.newest)
