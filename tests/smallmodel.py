"""A small real model of flights, for the tests that package, verify and serve one."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftloop.stages.frame import frame_to_model_frame
from driftloop.stages.modelfile import save_model
from driftloop.stages.package import ModelFiles
from driftloop.stages.predict import build_sample
from tests.flightschema import SCHEMA

ROWS = 300


def flights() -> pd.DataFrame:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "flight": np.arange(ROWS),
            "distance": random.normal(size=ROWS),
            "wind": random.normal(size=ROWS),
            "carrier": np.array(random.choice(["UA", "DL", None], ROWS), dtype=object),
            "night": random.random(ROWS) < 0.3,
            "booked": pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 999, ROWS), unit="h"),
        }
    )
    table.loc[::10, "wind"] = np.nan
    table["late"] = table["distance"] + random.normal(size=ROWS) > 0
    return table


def fit(table: pd.DataFrame) -> Pipeline:
    numbers, texts = ["distance", "wind", "night", "booked"], ["carrier"]
    clean = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), numbers),
            ("texts", SimpleImputer(missing_values=None, strategy="constant", fill_value="?"), texts),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    transform = ColumnTransformer(
        [("numbers", StandardScaler(), numbers), ("texts", OneHotEncoder(handle_unknown="ignore"), texts)]
    )
    chain = Pipeline([("clean", clean), ("transform", transform), ("estimator", LogisticRegression())])
    return chain.fit(frame_to_model_frame(table, SCHEMA), table["late"])


def write_model_files(folder: Path) -> ModelFiles:
    table = flights()
    model = fit(table)
    files = ModelFiles(*(folder / field.name for field in dataclasses.fields(ModelFiles)))
    save_model(model, files.model)
    files.schema.write_text(SCHEMA.model_dump_json(by_alias=True))
    files.baseline.write_text("{}")
    files.sample.write_text(json.dumps(build_sample(model, table, SCHEMA)))
    for file in (files.training, files.explanation, files.assessment):
        file.write_text("{}")
    return files
