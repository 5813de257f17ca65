"""Made-up traffic of a delay model: what it was tested on, and windows of its prediction log."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from driftloop.monitor.baseline import Baseline, build_baseline
from driftloop.monitor.engines import DriftTest, SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.monitor.performance import measure
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, OUTPUT_PREFIX, TIME
from driftloop.spec import DataSchema, Feature, FeatureType, MonitoringSpec, Target, Task, Window

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name="late", classes=(False, True)),
    features=(
        Feature(name="temp", type=FeatureType.NUMERIC, nullable=True, minimum=-20, maximum=60),
        Feature(name="carrier", type=FeatureType.CATEGORICAL, nullable=True, categories=("UA", "DL", "AA")),
        Feature(name="night", type=FeatureType.BOOLEAN, nullable=False),
        Feature(name="booked", type=FeatureType.DATE, nullable=True),
    ),
    time_column="time",
)
MONITORING = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1d", "minRows": 200}})


def rows(count: int, seed: int, *, concept: float = 1.0, rarity: float = 1.0, start: datetime = START) -> pd.DataFrame:
    """Independent rows over a day per 500; `concept` is how much of what the model knows still holds.

    `rarity` is how seldom flights are late; 1 is usual.
    """
    random = np.random.default_rng(seed)
    times = pd.Series(pd.to_datetime(start) + pd.to_timedelta(np.sort(random.random(count)) * count / 500, unit="D"))
    risk = random.standard_normal(count)
    probability = 1 / (1 + np.exp(1 - 1.5 * risk))
    truth = random.random(count) < 1 / (1 + np.exp(rarity - 1.5 * concept * risk))
    return pd.DataFrame(
        {
            "time": times,
            "temp": 20 + 8 * risk,
            "carrier": random.choice(["UA", "DL", "AA"], size=count, p=[0.5, 0.3, 0.2]),
            "night": random.random(count) < 0.3,
            "booked": times - pd.to_timedelta(random.exponential(30, count), unit="D"),
            "prediction": probability > 0.5,
            "probability": probability,
            "label": truth,
        }
    )


def baseline_of(table: pd.DataFrame, *, labels: bool = True, times: bool = True) -> Baseline:
    outputs = table[["prediction", "probability"]]
    measured = measure("roc_auc", table["label"], outputs, SCHEMA)
    absent = [name for name, there in (("late", labels), ("time", times)) if not there]
    known = table.rename(columns={"label": "late"}).drop(columns=absent)
    return build_baseline(
        known,
        known,
        outputs,
        SCHEMA,
        metric="roc_auc",
        metric_value=measured.value,
        metric_standard_error=measured.standard_error,
        window=DAY,
    )


def as_logged(table: pd.DataFrame) -> pd.DataFrame:
    """The rows as the log's joined view returns them."""
    logged = table[[*SCHEMA.feature_names]].add_prefix(FEATURE_PREFIX)
    logged[FEATURE_PREFIX + "booked"] = table["booked"].map(lambda time: time.isoformat())
    return logged.assign(
        **{
            TIME: table["time"],
            OUTPUT_PREFIX + "prediction": table["prediction"],
            OUTPUT_PREFIX + "probability": table["probability"],
            LABEL: table["label"],
        }
    )


def judge_of(baseline: Baseline, engine: DriftTest | None = None, monitoring: MonitoringSpec = MONITORING) -> Judge:
    return Judge("v1", SCHEMA, baseline, monitoring, engine or SciPyEngine())


def window_of(frame: pd.DataFrame) -> Window:
    return Window(start=START, end=START + DAY, rows=len(frame))
