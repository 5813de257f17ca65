"""The page behind each drift report, written beside it (`reports/<name>.html`) and removed with it.

A page is for people: one that can't be drawn is logged and costs no verdict.
"""

import logging
from pathlib import Path

import pandas as pd

from driftloop.monitor.judge import Judge
from driftloop.predictionlog.durablefile import write_durably
from driftloop.sidecar.verdictjournal import PAGE_SUFFIX
from driftloop.spec import DriftReport, Verdict

logger = logging.getLogger(__name__)


class EvidencePages:
    """Writes below the monitor's state folder, and reads its verdicts there."""

    def __init__(self, state_dir: Path) -> None:
        self._reports = state_dir / "reports"
        self._verdicts = state_dir / "verdicts.jsonl"

    def write(self, report: DriftReport, frame: pd.DataFrame, judge: Judge | None) -> None:
        """Draw what the verdict was made from: the window's rows of its model version, and that model's baseline."""
        if judge is None:  # without a baseline there is nothing to compare with
            return
        from driftloop.monitor.evidence import build_evidence_page

        try:
            page = build_evidence_page(report, frame, judge, self._past()).encode()
        except Exception:  # the verdict stands without its page, and the windows to come must be judged
            logger.exception("The evidence of %s can't be drawn", report.name)
            return
        write_durably(self._reports / f"{report.name}{PAGE_SUFFIX}", lambda file: file.write(page))

    def _past(self) -> list[Verdict]:
        if not self._verdicts.exists():
            return []
        return [Verdict.model_validate_json(line) for line in self._verdicts.read_bytes().splitlines()]
