"""The demo's last word: what happened window by window, and the comparison with never retraining."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.demo.flights import TARGET, TIME
from driftloop.loop.history import LedgerEntry, Model, Promoted, Quarantined, Rejected, RolledBack, RunHeld, RunStarted
from driftloop.loop.timeline import Beside, EvidenceKey, Story, build_timeline_page
from driftloop.spec import DataSchema, ReportKind, Verdict, Window

if TYPE_CHECKING:
    import pandas as pd

    from driftloop.algorithms.metrics import Answers


COLUMNS = ("week of", "flights", "inputs", "performance", "champion", "AUC", "first model", "decision")


@dataclass(frozen=True)
class TimelineRow:
    """One window of the replay."""

    start: datetime
    end: datetime
    rows: int
    inputs: str
    """Verdict on features and predictions."""
    performance: str
    """Verdict on predictions against labels."""
    decision: str
    champion: str
    score: float | None
    """The serving champion's metric."""
    first_score: float | None
    """What the first model would have reached on the same rows."""

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        scores = ["" if score is None else f"{score:.3f}" for score in (self.score, self.first_score)]
        return (
            f"{self.start:%Y-%m-%d}",
            f"{self.rows:,}",
            self.inputs,
            self.performance,
            self.champion,
            *scores,
            self.decision,
        )


@dataclass(frozen=True)
class FinalComparison:
    """The last champion against the first model, on all flights of one month."""

    month: str
    rows: int
    champion: str
    fitted_through: datetime | None
    """Newest flight the champion was fitted on."""
    champion_auc: float
    first_auc: float
    lower: float
    """Lower end of the paired bootstrap 95 % interval of the difference."""
    upper: float

    @property
    def difference(self) -> float:
        """Gain of the champion over the first model."""
        return self.champion_auc - self.first_auc


def answer_flights(model: Model, flights: "pd.DataFrame") -> "Answers":
    """Return what a packaged model says of some flights, the model loaded outside its server."""
    import numpy as np

    from driftloop.algorithms.metrics import Answers
    from driftloop.stages.frame import frame_to_model_frame
    from driftloop.stages.modelfile import load_model

    folder = Path(model.result.bento_uri) / "src" / "model"
    schema = DataSchema.model_validate_json((folder / "schema.json").read_text())
    probabilities = load_model(folder / "model.skops").predict_proba(frame_to_model_frame(flights, schema))
    return Answers(np.argmax(probabilities, axis=1).astype(float), probabilities)


def compare_models(first: Model, champion: Model, flights: "pd.DataFrame", month: str) -> FinalComparison:
    """Compare two models on the same flights, with a paired bootstrap of the difference of their AUC."""
    from driftloop.algorithms.metrics import compare, score

    truth = flights[TARGET].to_numpy(dtype=float)
    old, new = answer_flights(first, flights), answer_flights(champion, flights)
    interval = compare("roc_auc", truth, new, old, seed=0)
    return FinalComparison(
        month=month,
        rows=len(flights),
        champion=champion.label,
        fitted_through=champion.result.trained_through,
        champion_auc=score("roc_auc", truth, new),
        first_auc=score("roc_auc", truth, old),
        lower=interval.lower,
        upper=interval.upper,
    )


def build_timeline(
    entries: Sequence[LedgerEntry], verdicts: Sequence[Verdict], flights: "pd.DataFrame"
) -> list[TimelineRow]:
    """Return one row per judged window, oldest first.

    Args:
        entries: the ledger.
        verdicts: all verdicts of the monitor.
        flights: the flights replayed, with their truth.
    """
    from driftloop.algorithms.metrics import score

    promotions = [entry for entry in entries if isinstance(entry, Promoted | RolledBack)]
    first = promotions[0].model
    labels = {entry.model.version: entry.model.label for entry in promotions}
    answers = answer_flights(first, flights)
    truth = flights[TARGET].to_numpy(dtype=float)
    by_window: dict[Window, dict[ReportKind, Verdict]] = {}
    for verdict in verdicts:
        bounds = Window(start=verdict.window.start, end=verdict.window.end, rows=0)
        by_window.setdefault(bounds, {})[verdict.kind] = verdict
    rows = []
    for bounds, kinds in sorted(by_window.items(), key=lambda item: item[0].end):
        inputs, performance = kinds.get(ReportKind.INPUTS), kinds.get(ReportKind.PERFORMANCE)
        known = performance or inputs
        if known is None:
            continue
        inside = ((flights[TIME] >= bounds.start) & (flights[TIME] < bounds.end)).to_numpy()
        rows.append(
            TimelineRow(
                start=bounds.start,
                end=bounds.end,
                rows=known.window.rows,
                inputs=str(inputs.verdict) if inputs else "",
                performance=str(performance.verdict) if performance else "",
                decision="; ".join(decisions_in(entries, bounds)),
                champion=labels.get(known.model_version, known.model_version),
                score=performance.performance.value if performance and performance.performance else None,
                first_score=score("roc_auc", truth[inside], answers.take(inside)) if inside.any() else None,
            )
        )
    return rows


def decisions_in(entries: Sequence[LedgerEntry], window: Window) -> list[str]:
    """What was decided on a window's account: after it ended and before the next one did."""
    length = window.end - window.start
    told = []
    for entry in entries:
        if not window.end <= entry.at < window.end + length:
            continue
        match entry:
            case RunStarted():
                told.append(f"retrain v{entry.number}")
            case Promoted():
                told.append(f"promote {entry.model.label}")
            case Rejected():
                told.append("reject challenger")
            case RolledBack():
                told.append(f"roll back to {entry.model.label}")
            case Quarantined():
                told.append("quarantine")
            case RunHeld():
                told.append(f"held back: {entry.reason.split(';')[0].split(' (')[0]}")
    return told


def build_page(
    entries: Sequence[LedgerEntry],
    verdicts: Sequence[Verdict],
    evidence: Mapping[EvidenceKey, str],
    rows: Sequence[TimelineRow],
    final: FinalComparison,
) -> str:
    """Return the loop's timeline, with the first model's line beside it and the comparison said first."""
    beside = Beside(
        "the first model, never retrained",
        [(row.start + (row.end - row.start) / 2, row.first_score) for row in rows if row.first_score is not None],
    )
    lede = (
        f"On all {final.rows:,} flights of {final.month}, champion {final.champion} has a ROC AUC of "
        f"{final.champion_auc:.3f}, the first model {final.first_auc:.3f}: a gain of {final.difference:+.3f} "
        f"(95 % interval {final.lower:+.3f} to {final.upper:+.3f})."
    )
    return build_timeline_page(Story("flight-delays", entries, verdicts, evidence, beside, lede))
