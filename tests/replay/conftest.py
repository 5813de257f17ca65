"""A workspace as `driftloop up` leaves it, of a small real model, and a table of traffic that has not changed."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from driftloop.controller.workspace import Workspace
from driftloop.loop.history import Promoted, RunFinished, RunStarted, model_of
from driftloop.monitor.baseline import build_baseline
from driftloop.monitor.performance import measure
from driftloop.spec import DataSchema, Feature, FeatureType, ModelLoop, RunResult, RunVerdict, Target, Task
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.modelfile import save_model
from driftloop.stages.predict import predict

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS, ROWS_A_DAY = 12, 600
SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=(
        Feature(name="temp", type=FeatureType.NUMERIC, nullable=True, minimum=-20, maximum=50),
        Feature(name="wind", type=FeatureType.NUMERIC, nullable=False, minimum=0, maximum=80),
        Feature(name="carrier", type=FeatureType.CATEGORICAL, nullable=False, categories=("UA", "DL", "AA")),
    ),
    key_column="flight",
    time_column="at",
)


def traffic(days: int, start: str, seed: int) -> pd.DataFrame:
    """Independent rows, evenly in time; wind makes flights late."""
    random = np.random.default_rng(seed)
    count = days * ROWS_A_DAY
    wind = random.gamma(4, 5, count)
    return pd.DataFrame(
        {
            "flight": [f"{start}-{number}" for number in range(count)],
            "at": pd.date_range(start, periods=count, freq=timedelta(days=1) / ROWS_A_DAY, tz="UTC"),
            "temp": np.where(random.random(count) < 0.05, np.nan, random.normal(15, 6, count)),
            "wind": wind,
            "carrier": random.choice(["UA", "DL", "AA"], count, p=[0.5, 0.3, 0.2]),
            "late": random.random(count) < 1 / (1 + np.exp(1.5 - (wind - 20) / 5)),
        }
    )


@dataclasses.dataclass(frozen=True)
class Place:
    """Where everything is."""

    workspace: Workspace
    loop: ModelLoop
    table: Path
    model_version: str


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("replay")
    workspace = Workspace(root / "workspace")
    workspace.create()
    reference = traffic(40, "2024-01-01", seed=1)
    model = _fit(reference)
    bento = root / "bento"
    _write_model(model, reference, bento / "src" / "model")
    table = root / "live.parquet"
    traffic(DAYS, "2024-03-01", seed=2).to_parquet(table)
    loop = ModelLoop.model_validate(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "flights"},
            "spec": {
                "problem": {
                    "objective": "Tell late flights",
                    "challenge": "Wind",
                    "task": "Classification",
                    "metric": {"name": "roc_auc"},
                },
                "data": {
                    "uri": str(table),
                    "targetColumn": "late",
                    "timeColumn": "at",
                    "keyColumn": "flight",
                    "minRows": 2000,
                },
                "monitoring": {"engine": "SciPy", "window": {"duration": "1d", "minRows": 200}},
                "retraining": {"cooldown": "5d"},
            },
        }
    )
    workspace.loop_file.write_text(loop.model_dump_json(by_alias=True))
    result = RunResult(
        loop="flights",
        run_key="first",
        verdict=RunVerdict.ACCEPTED,
        reasons=("Held",),
        algorithm="Linear",
        metric="roc_auc",
        test_score=0.8,
        metrics={"roc_auc": 0.8},
        bento_tag="flights:1",
        bento_uri=str(bento),
        bento_digest="0123456789abcdef",
        data_digest="d",
        rows=len(reference),
        runtime_image="i",
        run_id="r",
    )
    started = RunStarted(at=EPOCH, run_key="first", number=1, reason="no model yet", data_uri=str(table))
    champion = model_of(started, result)
    entries = [
        started,
        RunFinished(at=EPOCH, run_key="first", result=result),
        Promoted(at=EPOCH, model=champion, reason="first"),
    ]
    workspace.ledger.write_text("".join(entry.model_dump_json(by_alias=True) + "\n" for entry in entries))
    return Place(workspace, loop, table, champion.version)


def _fit(reference: pd.DataFrame) -> Pipeline:
    numbers = ["temp", "wind"]
    clean = ColumnTransformer(
        [("numbers", SimpleImputer(), numbers), ("texts", OneHotEncoder(handle_unknown="ignore"), ["carrier"])]
    )
    chain = Pipeline([("clean", clean), ("estimator", LogisticRegression())])
    return chain.fit(frame_to_model_frame(reference, SCHEMA), reference["late"])


def _write_model(model: Pipeline, reference: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True)
    answers = predict(model, frame_to_model_frame(reference, SCHEMA), SCHEMA)
    outputs = pd.DataFrame(
        {"prediction": answers.predictions, "probability": [row[1] for row in answers.probabilities or []]}
    )
    measured = measure("roc_auc", reference["late"], outputs, SCHEMA)
    baseline = build_baseline(
        reference,
        reference,
        outputs,
        SCHEMA,
        metric="roc_auc",
        metric_value=measured.value,
        metric_standard_error=measured.standard_error,
        window=timedelta(days=1),
    )
    save_model(model, folder / "model.skops")
    (folder / "schema.json").write_text(SCHEMA.model_dump_json(by_alias=True))
    (folder / "baseline.json").write_text(baseline.model_dump_json(by_alias=True))
    (folder / "sample.json").write_text(json.dumps({}))
