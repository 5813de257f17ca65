"""Everything that is known about one prediction: answer, model, truth, and the windows it stood in."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from driftloop.controller.ledger import read_ledger
from driftloop.controller.workspace import Workspace
from driftloop.errors import InvalidInputError
from driftloop.loop.history import Model, replay
from driftloop.predictionlog import PredictionLogReader
from driftloop.predictionlog.columns import (
    FEATURE_PREFIX,
    KEY,
    LABEL,
    LABEL_TIME,
    MODEL_VERSION,
    OUTPUT_PREFIX,
    PREDICTION_ID,
    TIME,
)
from driftloop.spec import Verdict

if TYPE_CHECKING:
    import pandas as pd


class UnknownPredictionError(InvalidInputError):
    """An id that no committed prediction has."""

    def __init__(self, prediction_id: str, root: Path, through: datetime | None) -> None:
        known = f"complete through {through:%Y-%m-%d %H:%M:%S} UTC" if through else "still empty"
        super().__init__(
            f"The prediction id must be one that the log in '{root}' holds. Got '{prediction_id}'. The log is {known}: "
            "a newer answer appears after the next commit; probes are never logged. Check the id in the answer's "
            "'predictionIds'."
        )


@dataclass(frozen=True)
class Trail:
    """One prediction's story."""

    prediction_id: str
    time: datetime
    key: str | None
    features: dict[str, Any]
    answer: dict[str, Any]
    model_version: str
    model: str
    """The label people use, such as v2; empty where the ledger does not know the version."""
    is_champion: bool
    """Whether that model serves now."""
    label: Any
    label_time: datetime | None
    verdicts: list[Verdict]
    """Of the windows that hold it."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "predictionId": self.prediction_id,
            "time": self.time.isoformat(),
            "key": self.key,
            "features": self.features,
            "answer": self.answer,
            "modelVersion": self.model_version,
            "model": self.model,
            "isChampion": self.is_champion,
            "label": self.label,
            "labelTime": self.label_time.isoformat() if self.label_time else None,
            "windows": [
                {
                    "kind": verdict.kind,
                    "start": verdict.window.start.isoformat(),
                    "end": verdict.window.end.isoformat(),
                    "verdict": verdict.verdict,
                    "summary": verdict.summary,
                }
                for verdict in self.verdicts
            ],
        }


def follow_prediction(root: Path, prediction_id: str) -> Trail:
    """Collect what the workspace's log, verdicts and ledger say of a prediction.

    Raises:
        UnknownPredictionError: no committed prediction has this id.
    """
    workspace = Workspace(root)
    reader = PredictionLogReader(workspace.log)
    time = _time_of(workspace.log, prediction_id)
    if time is None:
        raise UnknownPredictionError(prediction_id, root, reader.complete_through())
    around = reader.joined(time, time + timedelta(microseconds=1))
    rows = around[around[PREDICTION_ID] == prediction_id]
    if rows.empty:  # its file stands, and its writer has not committed it yet
        raise UnknownPredictionError(prediction_id, root, reader.complete_through())
    row = rows.iloc[0]
    entries = read_ledger(workspace.ledger)
    champion = replay(entries).champion
    models = {model.version: model.label for model in _models(entries)}
    version = str(row[MODEL_VERSION])
    return Trail(
        prediction_id=prediction_id,
        time=row[TIME].to_pydatetime(),
        key=_plain(row[KEY]),
        features=_below(row, FEATURE_PREFIX),
        answer=_below(row, OUTPUT_PREFIX),
        model_version=version,
        model=models.get(version, ""),
        is_champion=champion is not None and champion.version == version,
        label=_plain(row[LABEL]),
        label_time=row[LABEL_TIME].to_pydatetime() if _plain(row[LABEL_TIME]) is not None else None,
        verdicts=_verdicts(workspace.monitor / "verdicts.jsonl", version, row[TIME].to_pydatetime()),
    )


def _time_of(log: Path, prediction_id: str) -> datetime | None:
    """Find a prediction's time without reading more of the log than the columns that name it."""
    for path in sorted(log.rglob("*.parquet"), reverse=True):
        try:
            with pq.ParquetFile(path) as file:
                if MODEL_VERSION not in file.schema_arrow.names:  # labels
                    continue
                table = file.read([PREDICTION_ID, TIME])
        except (pa.ArrowException, OSError):  # damaged, or just now compacted; the reader decides about it
            continue
        place = pa.compute.index(table.column(PREDICTION_ID), prediction_id).as_py()
        if place >= 0:
            time: datetime = table.column(TIME)[place].as_py()
            return time
    return None


def _models(entries: list[Any]) -> list[Model]:
    state, models = replay(entries), [entry.model for entry in entries if hasattr(entry, "model")]
    return [*models, *([state.candidate] if state.candidate else [])]


def _verdicts(path: Path, version: str, time: datetime) -> list[Verdict]:
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0].splitlines()
    verdicts = [Verdict.model_validate_json(line) for line in whole]
    return [
        verdict
        for verdict in verdicts
        if verdict.model_version == version and verdict.window.start <= time < verdict.window.end
    ]


def _below(row: "pd.Series[Any]", prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): _plain(row[name]) for name in row.index if name.startswith(prefix)}


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it: None where missing."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return value
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT alone differ from themselves
        return None
    return value if isinstance(value, str | bool | int | float) else json.loads(json.dumps(value, default=str))
