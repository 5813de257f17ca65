"""What every choice of cleaning and transformation promises, whatever else it does."""

from typing import get_args

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

from driftloop.spec import Task, preparation
from driftloop.stages.clean import Cleaner
from driftloop.stages.frame import to_model_frame
from driftloop.stages.modelfile import load_model, save_model
from driftloop.stages.preparationpages import build_cleaning_page, build_transformation_page
from driftloop.stages.train import build_chain
from tests.pagecheck import check_page
from tests.stages.preparing import INPUTS, prepare

FIELDS = {
    "missing": preparation.MissingName,
    "noise": preparation.NoiseName,
    "outliers": preparation.OutlierName,
    "scaling": preparation.ScalingName,
    "normalization": preparation.NormalizationName,
    "encoding": preparation.EncodingName,
    "dates": preparation.DatesName,
    "text": preparation.TextName,
    "extraction": preparation.ExtractionName,
    "selection": preparation.SelectionName,
}
OPTIONS = [{field: option} for field, names in FIELDS.items() for option in get_args(names)] + [
    {"outliers": outliers, "outlierAction": action}
    for outliers in ("IQR", "IsolationForest", "LocalOutlierFactor")
    for action in ("Drop", "Flag")
]
EVERYTHING_AT_ONCE = [
    {
        "missing": "KNN",
        "noise": "LabelFilter",
        "outliers": "LocalOutlierFactor",
        "normalization": "Quantile",
        "encoding": "Target",
        "dates": "Cyclic",
        "extraction": "PCA",
        "selection": "MutualInformation",
    },
    {"missing": "DropRows", "noise": "Smooth", "outliers": "ZScore", "outlierAction": "Drop", "extraction": "TruncatedSVD"},
]


@pytest.mark.parametrize("choices", OPTIONS + EVERYTHING_AT_ONCE, ids=lambda choices: "-".join(choices.values()))
def test_every_choice_answers_whatever_is_asked_and_survives_its_files(choices, tmp_path):
    prepared = prepare(**choices)
    matrix, labels = prepared.made.matrix, prepared.labels[prepared.cleaned.rows]
    assert matrix.dtype == np.float64
    assert matrix.shape == (len(labels), len(prepared.made.columns))
    assert np.isfinite(matrix).all()

    estimator = RandomForestClassifier(10, random_state=0).fit(matrix, labels)
    prepared.cleaner.save(tmp_path / "cleaner")
    again, once_more = Cleaner.load(tmp_path / "cleaner"), prepare(**choices)
    save_model(build_chain(again, prepared.made.transformer, estimator), tmp_path / "first")
    save_model(build_chain(once_more.cleaner, once_more.made.transformer, estimator), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()

    asked = {
        "the training rows": prepared.frame,
        "one row": prepared.frame.iloc[:1],
        "nothing known": to_model_frame({name: [None] for name in INPUTS}, prepared.schema),
        "never seen": to_model_frame(
            {
                "size": [1e9, -1e9],
                "wealth": [1e12, -5.0],
                "steady": [0.0, 1e6],
                "city": ["elsewhere", ""],
                "kind": ["new", None],
                "flag": [True, None],
                "day": ["2199-01-01T00:00:00Z", "1901-01-01"],
                "note": ["unheard of words", ""],
            },
            prepared.schema,
        ),
    }
    chain = build_chain(prepared.cleaner, prepared.made.transformer, estimator)
    answers = {name: chain.predict_proba(rows) for name, rows in asked.items()}
    assert all(np.isfinite(answer).all() for answer in answers.values())
    alone, among_others = (prepared.apply(asked[name])[0] for name in ("one row", "the training rows"))
    assert alone == pytest.approx(among_others, abs=1e-9)
    loaded = load_model(tmp_path / "first")
    for name, rows in asked.items():
        np.testing.assert_allclose(loaded.predict_proba(rows), answers[name], rtol=1e-9)

    check_page(build_cleaning_page(prepared.cleaned.record))
    check_page(build_transformation_page(prepared.made.record))


@pytest.mark.parametrize(
    "choices",
    [choices for choices in OPTIONS if choices.get("noise") != "LabelFilter"],
    ids=lambda choices: "-".join(choices.values()),
)
def test_every_choice_serves_a_regression(choices):
    prepared = prepare(Task.REGRESSION, **choices)
    ridge = Ridge().fit(prepared.made.matrix, prepared.labels[prepared.cleaned.rows])
    assert np.isfinite(ridge.predict(prepared.apply(prepared.frame))).all()
