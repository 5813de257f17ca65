"""Three data sets as traffic, each with a model that the platform's own stages trained, for the triage's table.

Rows come in random order at a steady rate, so that nothing moves but what is injected: season and weather of the
flights would drift by themselves. Real rows, but for wine, whose 178 bottles are mixed within their class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from driftloop.algorithms import get_algorithm
from driftloop.demo import flights
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, OUTPUT_PREFIX, TIME
from driftloop.spec import MonitoringSpec, PreparationSpec, Task
from driftloop.spec.data import DataSpec
from driftloop.stages.clean import clean_training_rows
from driftloop.stages.evaluate import describe, evaluate
from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.predict import predict
from driftloop.stages.records import CandidateRecord
from driftloop.stages.split import split
from driftloop.stages.table import read_features, read_target
from driftloop.stages.train import build_chain
from driftloop.stages.transform import fit_transformer
from driftloop.stages.validate import validate

WINDOW = timedelta(hours=1)
ROWS_PER_WINDOW = 500
REFERENCE_ROWS, LIVE_ROWS = 12_000, 8_000
START = datetime(2026, 3, 2, tzinfo=UTC)
WHEN, TRUTH = "when", "truth"
MONITORING = MonitoringSpec.model_validate({"engine": "SciPy", "window": {"duration": "1h", "minRows": 100}})


@dataclass(frozen=True)
class DataSet:
    """Rows, and the columns that faults and drifts are put into."""

    name: str
    rows: pd.DataFrame
    metric: str
    movable: Sequence[str]
    """Numeric columns."""
    categories: Sequence[str]
    related: Sequence[str]
    """Numeric columns that go together with others."""
    swaps: Sequence[tuple[str, str]]
    units: Sequence[tuple[str, float, float]]
    """Column, factor and offset of a change of unit."""
    prior: float
    """A share of the last class that is not the usual one."""


@dataclass(frozen=True)
class WatchedModel:
    """A model that serves, and its judge."""

    data: DataSet
    chain: Any
    judge: Judge
    live: pd.DataFrame
    """Rows after the reference, none of which the model knows."""

    def logged(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows as the log's joined view has them, answered by the model."""
        schema = self.judge.schema
        answers = predict(self.chain, frame_to_model_frame(rows, schema), schema)
        logged = rows[list(schema.feature_names)].add_prefix(FEATURE_PREFIX)
        told = answers.probabilities or []
        outputs = {
            "prediction": answers.predictions,
            "probability": [row[1] for row in told] if len(schema.target.classes) == 2 else told,  # noqa: PLR2004
        }
        more = {OUTPUT_PREFIX + name: pd.Series(values, index=rows.index) for name, values in outputs.items()}
        return logged.assign(**more, **{TIME: rows[WHEN], LABEL: rows[TRUTH].astype(object)})


def data_sets() -> list[DataSet]:
    """Return the data sets; the second comes with NannyML, a peer of the benchmarks."""
    return [_flights(), _employment(), _wine()]


def train(data: DataSet, *, seed: int) -> WatchedModel:
    """Train, evaluate and describe with the pipeline's stages; one trial of one algorithm."""
    rows = _dated(data.rows, seed)
    reference, live = rows[:REFERENCE_ROWS], rows[REFERENCE_ROWS : REFERENCE_ROWS + LIVE_ROWS]
    named = DataSpec(uri="rows.parquet", target_column=TRUTH, time_column=WHEN)
    valid = validate(pa.Table.from_pandas(reference, preserve_index=False), task=Task.CLASSIFICATION, data=named)
    schema, parts, preparation = valid.schema, split(valid.table, valid.schema, seed=seed), PreparationSpec()
    frame, y = read_features(parts.train, schema), read_target(parts.train, schema)
    cleaned = clean_training_rows(frame, y, schema, preparation, seed=seed)
    made = fit_transformer(cleaned.frame, y, schema, preparation, seed=seed)
    algorithm = get_algorithm("Linear")
    estimator = algorithm.build(schema.task, dict(algorithm.defaults), seed).fit(made.matrix, y)
    chain = build_chain(cleaned.cleaner, made.transformer, estimator)
    record = CandidateRecord(
        algorithm=algorithm.name, score=0.0, train_score=0.0, params={}, trials=1, fit_seconds=0.0, sampling="None"
    )
    judged = evaluate(
        chain, parts.test, schema, record=record, metric=data.metric, trained_through="", champion=None, seed=seed
    )
    baseline = describe(judged, valid.table, parts.test, schema, window=WINDOW)
    return WatchedModel(data, chain, Judge("v1", schema, baseline, MONITORING, SciPyEngine()), live)


def _dated(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    shuffled = rows.sample(n=min(len(rows), REFERENCE_ROWS + LIVE_ROWS), random_state=seed).reset_index(drop=True)
    seconds = np.arange(len(shuffled)) * (WINDOW.total_seconds() / ROWS_PER_WINDOW)
    first = START - WINDOW * (REFERENCE_ROWS // ROWS_PER_WINDOW)
    return shuffled.assign(**{WHEN: pd.Timestamp(first) + pd.to_timedelta(seconds, unit="s")})


def _flights() -> DataSet:
    rows = flights.load_flights()
    rows = rows[rows[flights.TIME] < pd.Timestamp("2013-07-01", tz="UTC")]
    return DataSet(
        "flights",
        rows[flights.FEATURES].assign(**{TRUTH: rows[flights.TARGET].to_numpy()}),
        metric="roc_auc",
        movable=("scheduled_departure", "temp", "distance"),
        categories=("carrier", "origin", "dest"),
        related=("dewp", "scheduled_arrival", "humid"),
        swaps=(("humid", "pressure"), ("distance", "temp"), ("scheduled_departure", "distance")),
        units=(("temp", 1 / 1.8, -32 / 1.8), ("distance", 1.609344, 0.0), ("wind_speed", 1.609344, 0.0)),
        prior=0.5,
    )


def _employment() -> DataSet:
    """Who is employed in Massachusetts: American Community Survey 2015, as NannyML bundles it."""
    import nannyml

    file = Path(nannyml.__file__).parent / "datasets" / "data" / "employment_MA_reference.pq"
    rows = pd.read_parquet(file)
    texts = ["MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "SEX", "RAC1P"]
    features = rows[texts].astype(str).assign(age=rows["AGEP"], schooling=rows["SCHL"].astype(float))
    return DataSet(
        "employment",
        features.assign(**{TRUTH: rows["employed"].to_numpy() == 1}),
        metric="roc_auc",
        movable=("age", "schooling"),
        categories=("MAR", "RELP", "RAC1P"),
        related=("age", "schooling"),
        swaps=(("age", "schooling"), ("MAR", "RELP")),
        units=(("age", 12.0, 0.0), ("schooling", 10.0, 0.0)),
        prior=0.7,
    )


def _wine() -> DataSet:
    """Chemistry of wines of three growers: each row mixes two bottles of a grower, 178 in all; colour as a category."""
    from sklearn.datasets import load_wine

    table = load_wine(as_frame=True)
    bottles, growers = table.data.rename(columns=lambda name: name.replace("/", "_")), table.target.to_numpy()
    random = np.random.default_rng(0)
    size = REFERENCE_ROWS + LIVE_ROWS
    one = random.integers(len(bottles), size=size)
    other = np.array([random.choice(np.flatnonzero(growers == grower)) for grower in growers[one]])
    share = random.random((size, 1))
    mixed = share * bottles.to_numpy()[one] + (1 - share) * bottles.to_numpy()[other]
    # A little more than the distance of two bottles, so that the growers overlap and a model can get worse.
    mixed += random.normal(size=mixed.shape) * bottles.std().to_numpy() * 0.7
    rows = pd.DataFrame(mixed, columns=bottles.columns)
    colour = pd.cut(rows.pop("color_intensity"), [-np.inf, 3.5, 5.5, np.inf], labels=["light", "medium", "deep"])
    return DataSet(
        "wine",
        rows.assign(colour=colour.astype(str), **{TRUTH: np.array(["north", "south", "west"])[growers[one]]}),
        metric="accuracy",
        movable=("alcohol", "hue", "magnesium"),
        categories=("colour",),
        related=("flavanoids", "total_phenols", "proline"),
        swaps=(("alcohol", "proline"), ("magnesium", "hue"), ("ash", "alcalinity_of_ash")),
        units=(("proline", 0.001, 0.0), ("alcohol", 10.0, 0.0), ("magnesium", 1000.0, 0.0)),
        prior=0.5,
    )
