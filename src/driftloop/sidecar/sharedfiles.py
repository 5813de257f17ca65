"""The evaluator's files where several monitors may judge one loop: each stands in the object store, written once.

Whoever is first to close a window or to publish a verdict is right, and everybody else takes what stands. Verdicts are
functions of their manifests, so that it makes no difference who computed one. The local files are a copy that the
evaluator works on, made anew by each evaluator from the store alone.
"""

import contextlib
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from driftloop.predictionlog.durablefile import make_directory, write_durably
from driftloop.predictionlog.logstore import LogStore
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.sidecar.reportoutbox import ReportOutbox
from driftloop.sidecar.verdictjournal import PAGE_SUFFIX, Progress, VerdictJournal
from driftloop.spec import DriftReport, MonitorState, ReportKind, Verdict, VerdictKind
from driftloop.spec.driftreport import report_name

REMEMBERED_VERDICTS = 400
"""Newest verdicts that a new evaluator reads; of each model version it also finds the one that stands."""
SEARCHED_VERDICTS = 1000
"""Verdicts before these among which it looks for the one that stands."""
DOWNLOADS = 16
_END_FORMAT = "%Y%m%dT%H%M%SZ"
_ANNOUNCED_SUFFIX = ".announced"

_log = logging.getLogger(__name__)


def verdict_name(verdict: Verdict) -> str:
    """Return the name of a verdict's object: names sort by the end of their windows."""
    end = verdict.window.end.astimezone(UTC)
    return f"{end:{_END_FORMAT}}-{verdict.kind}-{verdict.model_version}.json"


class SharedManifests(ManifestStore):
    """Manifests in the object store, and those looked at in a local folder.

    Raises (all methods):
        StoreUnavailableError: nothing is known; try again later.
    """

    def __init__(self, folder: Path, store: LogStore, uri: str) -> None:
        super().__init__(folder)
        self._store = store
        self._uri = uri

    def create(self, manifest: Manifest) -> Manifest:
        """Keep the manifest, and return the one that stands."""
        name = self._path(manifest.kind, manifest.start).name
        content = manifest.model_dump_json(by_alias=True, indent=2).encode()
        try:
            self._store.create(f"{self._uri}/{name}", content)
        except FileExistsError:
            _log.info("the window %s was closed by another evaluator", name)
        return self.read(manifest.kind, manifest.start)

    def read(self, kind: ReportKind, start: datetime) -> Manifest:
        """Return the manifest of a window."""
        path = self._path(kind, start)
        if not path.exists():
            self._store.get_file(f"{self._uri}/{path.name}", path)
        return super().read(kind, start)

    def starts(self, kind: ReportKind) -> list[datetime]:
        """Return the windows that have a manifest, by their start, in order."""
        return self._starts(kind, [file.name for file in self._store.listing(self._uri)])


class SharedJournal(VerdictJournal):
    """Verdicts, reports and progress, in the object store before they count locally.

    Raises (all methods):
        StoreUnavailableError: what was to be written may be missing; writing it again does no harm.
    """

    def __init__(self, folder: Path, report_history_limit: int, store: LogStore, uri: str, loop_uid: str) -> None:
        """Take over what is in the store; the local folder must be empty."""
        self._store = store
        self._uri = uri
        self._loop_uid = loop_uid
        self._outbox = ReportOutbox(folder)
        make_directory(folder / "reports")
        self.state = self._read_state()
        """What the last evaluator said of the loop; None where there was none."""
        self._restore(folder)
        super().__init__(folder, report_history_limit)
        if self.state is not None:
            self.write_progress(_progress_of(self.state))

    def write_report(self, report: DriftReport) -> None:
        """Write a report unless it is there, and leave it in the outbox."""
        super().write_report(report)
        content = report.model_dump_json(by_alias=True, indent=2).encode()
        name = f"{report.name}.json"
        if not self._is_announced(report.name):
            self._store.replace(f"{self._uri}/reports/{name}", content)
            self._outbox.put(report.name, content)
        self._remove_old_reports()

    def append(self, verdict: Verdict) -> None:
        """Publish a verdict, and the page that explains it before."""
        name = report_name(self._loop_uid, verdict.model_version, verdict.kind, verdict.window.start)
        page = self._folder / "reports" / f"{name}{PAGE_SUFFIX}"
        if page.exists():
            self._store.put_file(page, f"{self._uri}/reports/{page.name}")
        uri = f"{self._uri}/verdicts/{verdict_name(verdict)}"
        try:
            self._store.create(uri, verdict.model_dump_json(by_alias=True).encode())
        except FileExistsError:
            verdict = Verdict.model_validate_json(self._store.read(uri))
        super().append(verdict)

    def write_state(self, state: MonitorState) -> None:
        """Say how far everything is; the next evaluator goes on from here."""
        self._store.replace(f"{self._uri}/state.json", state.model_dump_json(by_alias=True, indent=2).encode())
        self.state = state

    def confirm_announced(self) -> None:
        """Note in the store which reports have become DriftReports."""
        for name in self._outbox.announced():
            with contextlib.suppress(FileExistsError):
                self._store.create(f"{self._uri}/reports/{name}{_ANNOUNCED_SUFFIX}", b"")
            self._outbox.forget(name)

    def _is_announced(self, name: str) -> bool:
        try:
            self._store.read(f"{self._uri}/reports/{name}{_ANNOUNCED_SUFFIX}")
        except FileNotFoundError:
            return False
        return True

    def _remove_old_reports(self) -> None:
        kept = {path.stem for path in (self._folder / "reports").glob("*.json")}
        for file in self._store.listing(f"{self._uri}/reports"):
            if file.name.partition(".")[0] not in kept:
                self._store.remove(f"{self._uri}/reports/{file.name}")

    def _read_state(self) -> MonitorState | None:
        try:
            return MonitorState.model_validate_json(self._store.read(f"{self._uri}/state.json"))
        except FileNotFoundError:
            return None

    def _restore(self, folder: Path) -> None:
        """Bring the newest verdicts, the standing ones and all reports here."""
        names = [file.name for file in self._store.listing(f"{self._uri}/verdicts") if file.name.endswith(".json")]
        older, newest = names[:-REMEMBERED_VERDICTS], names[-REMEMBERED_VERDICTS:]
        verdicts = self._read_verdicts(newest)
        told = {(v.kind, v.model_version) for v in verdicts if v.verdict is not VerdictKind.NOT_ENOUGH_DATA}
        for name in reversed(older[-SEARCHED_VERDICTS:]):
            _, kind, version = name.removesuffix(".json").split("-", 2)
            if (ReportKind(kind), version) not in told:
                (verdict,) = self._read_verdicts([name])
                verdicts.insert(0, verdict)
                if verdict.verdict is not VerdictKind.NOT_ENOUGH_DATA:
                    told.add((verdict.kind, verdict.model_version))
        lines = b"".join(verdict.model_dump_json(by_alias=True).encode() + b"\n" for verdict in verdicts)
        write_durably(folder / "verdicts.jsonl", lambda file: file.write(lines), sync=False)
        files = {file.name for file in self._store.listing(f"{self._uri}/reports")}
        for name in sorted(files):
            if name.endswith(".json"):
                self._store.get_file(f"{self._uri}/reports/{name}", folder / "reports" / name)
                report = name.removesuffix(".json")
                if f"{report}{_ANNOUNCED_SUFFIX}" not in files:
                    self._outbox.put(report, (folder / "reports" / name).read_bytes())

    def _read_verdicts(self, names: Iterable[str]) -> list[Verdict]:
        with ThreadPoolExecutor(DOWNLOADS) as threads:
            contents = threads.map(lambda name: self._store.read(f"{self._uri}/verdicts/{name}"), names)
            return [Verdict.model_validate_json(content) for content in contents]


def _progress_of(state: MonitorState) -> Progress:
    return Progress(
        complete_through=state.complete_through,
        evaluated_through=state.evaluated_through,
        late_rows=state.late_rows,
        counted=state.counted,
    )
