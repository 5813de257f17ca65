"""Models made elsewhere, saved as their makers save them: MLflow, BentoML."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROWS = 400


def parcels(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "parcel": [f"p{row}" for row in range(rows)],
            "sent": pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"),
            "distance": random.normal(size=rows),
            "carrier": random.choice(["north", "south"], rows),
            "express": random.random(rows) < 0.5,
            "stops": random.integers(0, 5, rows),
        }
    )
    table["late"] = table["distance"] + 0.3 * random.normal(size=rows) > 0
    table["hours"] = 3 * table["distance"] + table["stops"] + random.normal(size=rows)
    return table


FEATURES = ["distance", "carrier", "express", "stops"]


def _preparation():
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (StandardScaler(), ["distance", "express", "stops"])
    )


def classifier(table: pd.DataFrame | None = None, *, target: str = "late"):
    table = parcels() if table is None else table
    return make_pipeline(_preparation(), LogisticRegression()).fit(table[FEATURES], table[target])


def regressor():
    table = parcels()
    return make_pipeline(_preparation(), LinearRegression()).fit(table[FEATURES], table["hours"])


def save_with_mlflow(model, folder: Path, serialization: str = "skops", **more) -> Path:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn

        mlflow.sklearn.save_model(model, str(folder), serialization_format=serialization, **more)
    return folder
