import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from driftloop.stages.modelfile import UnreadableModelError, UntrustedModelError, load_model, save_model

ROWS = 120


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "distance": random.normal(size=ROWS),
            "wind": random.normal(size=ROWS),
            "carrier": np.array(random.choice(["UA", "DL", None], ROWS), dtype=object),
            "dest": np.array(random.choice(list("abcdefgh"), ROWS), dtype=object),
        }
    )
    frame.loc[3, "distance"] = np.nan
    return frame


def chain(estimator):
    clean = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median", add_indicator=True), ["distance", "wind"]),
            ("texts", SimpleImputer(missing_values=None, strategy="constant", fill_value="?"), ["carrier", "dest"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    transform = ColumnTransformer(
        [
            ("scale", StandardScaler(), ["distance", "wind"]),
            ("one_hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["carrier"]),
            ("target", TargetEncoder(cv=KFold(3)), ["dest"]),
            ("ordinal", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["carrier"]),
        ]
    )
    return Pipeline([("clean", clean), ("transform", transform), ("estimator", estimator)])


CLASSIFIERS = [
    HistGradientBoostingClassifier(max_iter=3, random_state=0),
    RandomForestClassifier(3, random_state=0),
    LogisticRegression(),
]
REGRESSORS = [HistGradientBoostingRegressor(max_iter=3), RandomForestRegressor(3, random_state=0), Ridge()]


@pytest.mark.parametrize("estimator", CLASSIFIERS + REGRESSORS, ids=lambda e: type(e).__name__)
def test_a_chain_answers_exactly_alike_after_a_round_trip(estimator, frame, tmp_path):
    target = frame["wind"] > 0 if estimator in CLASSIFIERS else frame["wind"]
    model = chain(estimator).fit(frame, target)
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    method = "predict_proba" if estimator in CLASSIFIERS else "predict"
    np.testing.assert_array_equal(getattr(loaded, method)(frame), getattr(model, method)(frame))


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda e: type(e).__name__)
def test_equal_models_give_equal_bytes(estimator, frame, tmp_path):
    for name in ("a", "b"):
        save_model(chain(estimator).fit(frame, frame["wind"] > 0), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_type_outside_the_list_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(UntrustedModelError, match=r"subprocess\.run"):
        save_model(FunctionTransformer(subprocess.run), tmp_path / "model.skops")
    assert not (tmp_path / "model.skops").exists()


def test_a_file_with_a_type_outside_the_list_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(FunctionTransformer(subprocess.run), path)
    with pytest.raises(UntrustedModelError, match=r"subprocess\.run"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x80\x04\x95pickle"])
def test_another_kind_of_file_is_refused(content, tmp_path):
    path = tmp_path / "model.skops"
    path.write_bytes(content)
    with pytest.raises(UnreadableModelError, match=r"model\.skops"):
        load_model(path)


def test_importing_it_does_not_import_scikit_learn():
    code = "import driftloop.stages.modelfile, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
