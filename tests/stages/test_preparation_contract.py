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
ALONE = [{field: option} for field, names in FIELDS.items() for option in get_args(names)] + [
    {"outliers": outliers, "outlierAction": action}
    for outliers in ("IQR", "IsolationForest", "LocalOutlierFactor")
    for action in ("Drop", "Flag")
]
# So few that together have every option.
TOGETHER = [
    {field: get_args(names)[turn % len(get_args(names))] for field, names in FIELDS.items()}
    for turn in range(max(len(get_args(names)) for names in FIELDS.values()))
]


def named(choices):
    return "-".join(choices.values())


def is_fit_for_regression(choices):
    return choices.get("noise") != "LabelFilter"


@pytest.mark.slow
@pytest.mark.parametrize("choices", ALONE, ids=named)
def test_every_choice_alone_keeps_the_contract(choices, tmp_path):
    check_contract(choices, tmp_path)


@pytest.mark.parametrize("choices", TOGETHER, ids=named)
def test_every_choice_keeps_the_contract(choices, tmp_path):
    check_contract(choices, tmp_path)


def check_contract(choices, tmp_path):
    """What is asked gets an answer, whatever it is; files and bytes are equal where the choices are."""
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


@pytest.mark.parametrize("choices", [*filter(is_fit_for_regression, TOGETHER)], ids=named)
def test_every_choice_serves_a_regression(choices):
    prepared = prepare(Task.REGRESSION, **choices)
    ridge = Ridge().fit(prepared.made.matrix, prepared.labels[prepared.cleaned.rows])
    assert np.isfinite(ridge.predict(prepared.apply(prepared.frame))).all()
