"""What the operator sees of a loop's live traffic: the monitor's verdicts and how far it got."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from driftloop.operator.guardedstore import GuardedStore
from driftloop.spec import MonitorState, ReportKind, Verdict
from driftloop.spec.storelayout import StoreLayout

_Identity = tuple[ReportKind, str, datetime]


class TrafficView:
    """Reads the monitor's folder in the object store; each verdict is read once.

    Args:
        store: where it lies.
        layout: of the loop.
    """

    def __init__(self, store: GuardedStore, layout: StoreLayout) -> None:
        self._store = store
        self._folder = layout.monitor
        self._content = b""
        self._read: set[str] = set()
        self._of_reports: dict[str, Verdict] = {}
        self._verdicts: dict[_Identity, Verdict] = {}
        self.state: MonitorState | None = None
        """As last looked at; None before the first commit of a monitor."""

    def look(self, reports: Iterable[Mapping[str, Any]]) -> tuple[Verdict, ...]:
        """Return all verdicts so far, oldest first.

        The folder is listed only when the monitor's state has changed: a verdict is written before the state that
        follows from it, and those worth hurrying for are in the reports.

        Args:
            reports: the loop's DriftReports as the API server keeps them.
        """
        content = self._state()
        if content != self._content:
            self.state = MonitorState.model_validate_json(content)
            names = self._store.names(f"{self._folder}/verdicts")
            for name in names:
                if name.endswith(".json") and name not in self._read:
                    self._add(Verdict.model_validate_json(self._store.read(f"{self._folder}/verdicts/{name}")))
                    self._read.add(name)
            self._content = content
        for report in reports:
            self._add(self.verdict_of(report))
        return tuple(sorted(self._verdicts.values(), key=lambda v: (v.window.end, v.kind, v.model_version)))

    def verdict_of(self, report: Mapping[str, Any]) -> Verdict:
        """Return the verdict of a report, which never changes."""
        uid = report["metadata"]["uid"]
        if uid not in self._of_reports:
            self._of_reports[uid] = Verdict.model_validate_json(json.dumps(report["spec"]["verdict"]))
        return self._of_reports[uid]

    def _add(self, verdict: Verdict) -> None:
        self._verdicts.setdefault(identity(verdict), verdict)

    def _state(self) -> bytes:
        try:
            return self._store.read(f"{self._folder}/state.json")
        except FileNotFoundError:
            return b""


def identity(verdict: Verdict) -> _Identity:
    """Return what makes a verdict one of its kind."""
    return verdict.kind, verdict.model_version, verdict.window.start
