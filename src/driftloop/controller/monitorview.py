"""What the controller sees of the monitor: its verdicts and how far it got, read from the files it writes."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from driftloop.spec import DriftReport, ReportKind, Verdict


class MonitorView:
    """Reads the monitor's state folder; each verdict is parsed once."""

    def __init__(self, folder: Path) -> None:
        self._verdicts_file = folder / "verdicts.jsonl"
        self._reports = folder / "reports"
        self._state_file = folder / "state.json"
        self._offset = 0
        self._verdicts: list[Verdict] = []

    def evaluated_through(self) -> datetime | None:
        """Return the event time up to which everything due has been judged."""
        state: dict[str, Any] = json.loads(self._state_file.read_text()) if self._state_file.exists() else {}
        through = state.get("completeThrough")
        return datetime.fromisoformat(through) if through else None

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return all verdicts so far, oldest first; a line still being written is left for the next call."""
        if self._verdicts_file.exists():
            with self._verdicts_file.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._offset += len(whole)
            self._verdicts += [Verdict.model_validate_json(line) for line in whole.splitlines()]
        return tuple(self._verdicts)

    def evidence(self, seen_from: Path) -> dict[tuple[ReportKind, str, datetime], str]:
        """Return the pages behind the drift reports, by kind, model version and start of the window.

        Args:
            seen_from: folder of the page that links to them; the addresses are relative to it.
        """
        found = {}
        for file in self._reports.glob("*.json"):
            page = file.with_suffix(".html")
            if page.exists():
                verdict = DriftReport.model_validate_json(file.read_bytes()).verdict
                address = quote(os.path.relpath(page, seen_from).replace(os.sep, "/"))
                found[verdict.kind, verdict.model_version, verdict.window.start] = address
        return found
