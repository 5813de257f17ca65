"""The evaluator's files: every verdict, the drift reports, and how far it got. Each survives a kill at any moment.

A verdict's line is the commit: what is written before it (its report) is written again with the same content after a
crash, what is written after it (the progress) follows from the log.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pydantic import Field

from driftloop.predictionlog.durablefile import make_directory, write_durably
from driftloop.spec import DriftReport, Harm, ReportKind, Verdict, VerdictKind
from driftloop.spec.boundary import Boundary

PAGE_SUFFIX = ".html"
"""Of a report's evidence, beside the report."""

_Key: TypeAlias = tuple[ReportKind, str, datetime]


class _Standing(NamedTuple):
    """What of a verdict is news when it changes."""

    verdict: VerdictKind = VerdictKind.STABLE
    is_expected: bool = False
    is_harmful: bool = False


class Progress(Boundary):
    """How far the evaluator got: `state.json`."""

    complete_through: datetime | None = None
    """Event time up to which the log was complete, and everything due is judged."""
    evaluated_through: Mapping[ReportKind, datetime] = Field(default_factory=dict)
    """Event time up to which windows of a kind are judged."""
    late_rows: int = 0
    """Predictions that came when their window had closed."""
    counted: Mapping[str, int] = Field(default_factory=dict)
    """Sequence number of each writer up to which late rows are counted."""


class VerdictJournal:
    """`verdicts.jsonl`, `reports/` and `state.json` under one folder, with one writer."""

    def __init__(self, folder: Path, report_history_limit: int) -> None:
        """Read the verdicts so far; a last line that a crash cut short is removed."""
        self._folder = folder
        self._report_history_limit = report_history_limit
        self._file = folder / "verdicts.jsonl"
        self._progress_file = folder / "state.json"
        make_directory(folder / "reports")
        self._judged: set[_Key] = set()
        self._newest_end: dict[ReportKind, datetime] = {}
        self._standing: dict[tuple[ReportKind, str], _Standing] = {}
        self.faulty_windows: set[tuple[datetime, datetime]] = set()
        """Windows that a verdict called faulty."""
        for line in self._whole_lines():
            self._remember(Verdict.model_validate_json(line))

    def newest_end(self, kind: ReportKind) -> datetime | None:
        """Return the end of the newest window that has a verdict."""
        return self._newest_end.get(kind)

    def has(self, kind: ReportKind, model_version: str, window_start: datetime) -> bool:
        """Return whether the window has its verdict."""
        return (kind, model_version, window_start) in self._judged

    def is_change(self, verdict: Verdict) -> bool:
        """Return whether the verdict differs from the model version's standing one.

        A model starts out stable. A window without enough data changes nothing. Drift that is no longer expected, or
        that begins to do harm, is news.
        """
        standing = self._standing.get((verdict.kind, verdict.model_version), _Standing())
        return verdict.verdict is not VerdictKind.NOT_ENOUGH_DATA and _standing_of(verdict) != standing

    def write_report(self, report: DriftReport) -> None:
        """Write a report unless it is there; keep the newest ones up to the limit."""
        path = self._folder / "reports" / f"{report.name}.json"
        if not path.exists():
            content = report.model_dump_json(by_alias=True, indent=2).encode()
            write_durably(path, lambda file: file.write(content))
        reports = sorted(path.parent.glob("*.json"), key=_age)
        for old in reports[: -self._report_history_limit]:
            old.unlink()
            old.with_suffix(PAGE_SUFFIX).unlink(missing_ok=True)

    def append(self, verdict: Verdict) -> None:
        """Add a verdict; it is on disk when this returns."""
        with self._file.open("ab") as file:
            file.write(verdict.model_dump_json(by_alias=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._remember(verdict)

    def write_progress(self, progress: Progress) -> None:
        """Say up to which event time everything due is judged."""
        content = progress.model_dump_json(by_alias=True).encode()
        write_durably(self._progress_file, lambda file: file.write(content))

    def progress(self) -> Progress:
        """Return what was said last."""
        if not self._progress_file.exists():
            return Progress()
        return Progress.model_validate_json(self._progress_file.read_bytes())

    def _whole_lines(self) -> list[bytes]:
        if not self._file.exists():
            return []
        content = self._file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._file, len(whole))
        return whole.splitlines()

    def _remember(self, verdict: Verdict) -> None:
        self._judged.add((verdict.kind, verdict.model_version, verdict.window.start))
        self._newest_end[verdict.kind] = verdict.window.end
        if verdict.verdict is VerdictKind.DATA_FAULT:
            self.faulty_windows.add((verdict.window.start, verdict.window.end))
        if verdict.verdict is not VerdictKind.NOT_ENOUGH_DATA:
            self._standing[verdict.kind, verdict.model_version] = _standing_of(verdict)


def _standing_of(verdict: Verdict) -> _Standing:
    return _Standing(verdict.verdict, bool(verdict.expected), verdict.harm is Harm.HARMFUL)


def _age(path: Path) -> tuple[datetime, str]:
    report = DriftReport.model_validate_json(path.read_bytes())
    return report.created_at, report.name
