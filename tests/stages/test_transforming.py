"""What each way of making numbers does."""

import numpy as np
import pandas as pd
import pytest

from driftloop.spec import PreparationSpec, Task
from driftloop.stages.datenumbers import date_cycles
from driftloop.stages.matrices import MatrixColumnKind
from driftloop.stages.preparationpages import build_transformation_page
from driftloop.stages.reduction import ReductionError
from driftloop.stages.transform import TransformationError, fit_transformer
from tests.pagecheck import check_page
from tests.stages.preparing import prepare, read


@pytest.mark.parametrize(
    ("scaling", "figures"),
    [
        ("Standard", lambda x: (x.mean(), x.std(), 0, 1)),
        ("MinMax", lambda x: (x.min(), x.max(), 0, 1)),
        ("MaxAbs", lambda x: (np.abs(x).max(), 1, 1, 1)),
        ("Robust", lambda x: (np.median(x), np.subtract(*np.quantile(x, (0.75, 0.25))), 0, 1)),
        ("None", lambda x: (x.mean() > 9, x.std() < 2, True, True)),
    ],
)
def test_numbers_are_scaled_as_asked(scaling, figures):
    first, second, wanted_first, wanted_second = figures(prepare(scaling=scaling).column("steady"))
    assert (first, second) == pytest.approx((wanted_first, wanted_second), abs=1e-9)


def skewness(values):
    centred = values - values.mean()
    return abs(np.mean(centred**3)) / np.mean(centred**2) ** 1.5


def test_skewed_numbers_get_a_shape():
    assert skewness(prepare(normalization="None").column("wealth")) > 2
    auto = prepare()
    assert skewness(auto.column("wealth")) < 0.5
    assert [part.inputs for part in auto.made.record.parts if "skewness" in part.why] == [("wealth",)]
    assert skewness(prepare(normalization="YeoJohnson").column("wealth")) < 0.5
    by_ranks = prepare(normalization="Quantile").column("wealth")
    assert skewness(by_ranks) < 0.5
    unit = prepare(normalization="L2")
    numbers = [place for place, c in enumerate(unit.made.columns) if c.name in ("size", "wealth", "steady")]
    assert np.linalg.norm(unit.made.matrix[:, numbers], axis=1) == pytest.approx(1.0)


def kinds(prepared, feature):
    return [column.kind for column in prepared.made.columns if column.feature == feature]


def test_categories_are_encoded_as_asked():
    auto = prepare()
    assert kinds(auto, "kind") == [MatrixColumnKind.ONE_HOT] * 3
    assert kinds(auto, "city") == [MatrixColumnKind.NUMBER]
    assert kinds(prepare(maxOneHotCategories=30), "city") == [MatrixColumnKind.ONE_HOT] * 20
    assert kinds(prepare(encoding="OneHot"), "city") == [MatrixColumnKind.ONE_HOT] * 20
    assert kinds(prepare(encoding="Ordinal"), "kind") == [MatrixColumnKind.ORDINAL]
    assert kinds(prepare(encoding="Target"), "kind") == [MatrixColumnKind.NUMBER]


def test_no_row_sees_its_own_target_in_a_target_encoding():
    schema, frame, labels = read()
    random = np.random.default_rng(3)
    frame["city"] = [f"city {index}" for index in random.integers(80, size=len(frame))]  # says nothing of the target
    made = fit_transformer(frame.assign(**filled(frame)), labels, schema, PreparationSpec(encoding="Target"), seed=0)
    place = [column.name for column in made.columns].index("city by target")
    assert abs(np.corrcoef(made.matrix[:, place], labels)[0, 1]) < 0.2
    seen = made.transformer.transform(frame.assign(**filled(frame)))[:, place]
    assert np.corrcoef(seen, labels)[0, 1] > 0.3, "without cross-fitting it would seem to"


def filled(frame):
    return {name: frame[name].fillna(0.0 if frame[name].dtype == float else "(missing)") for name in frame}


def test_without_a_target_rare_categories_share_a_column():
    schema, frame, _ = read()
    clustering = schema.model_copy(update={"task": Task.CLUSTERING})
    made = fit_transformer(frame.assign(**filled(frame)), None, clustering, PreparationSpec(), seed=0)
    cities = [column.name for column in made.columns if column.feature == "city"]
    assert len(cities) == 12
    assert cities[-1] == "city = (others)"


def test_december_lies_beside_january_in_cycles():
    moments = pd.to_datetime(["2023-12-31T23:00Z", "2024-01-01T00:00Z", "2023-07-01T12:00Z"], utc=True)
    numbers = date_cycles(pd.DataFrame({"d": moments.astype("int64") / 1e9}))
    assert numbers.shape == (3, 7)
    year, day = numbers[:, 1:3], numbers[:, 5:7]
    for cycle, near in ((year, 0.1), (day, 0.3)):
        assert np.linalg.norm(cycle[0] - cycle[1]) < near
        assert np.linalg.norm(cycle[2] - cycle[1]) > 1.9
    names = [column.name for column in prepare(dates="Cyclic").made.columns if column.feature == "day"]
    assert names[1] == "day: sine of the year"


def test_texts_become_weights_or_few_numbers():
    weights = prepare(text="TFIDF")
    terms = [column.name for column in weights.made.columns if column.feature == "note"]
    assert {"note: refund", "note: broken refund"} <= set(terms)
    words = weights.column("note: refund")
    assert 0 <= words.min() < words.max() <= 1
    reduced = prepare(text="TFIDFSVD")
    numbers = [column for column in reduced.made.columns if column.feature == "note"]
    assert 2 < len(numbers) <= 100 < len(terms)
    assert "note" not in {column.feature for column in prepare(text="None").made.columns}
    (auto,) = [part for part in prepare().made.record.parts if part.inputs == ("note",)]
    assert "fewer than 1,000" in auto.why
    assert "Auto: fewer than 1,000" in " ".join(check_page(build_transformation_page(prepare().made.record)).texts)


def test_texts_without_a_word_in_common_are_left_out_and_said_to_be():
    schema, frame, labels = read()
    cleaned = frame.assign(**filled(frame) | {"note": ""})
    made = fit_transformer(cleaned, labels, schema, PreparationSpec(), seed=0)
    assert "note" not in {column.feature for column in made.columns}
    assert any(note.startswith("'note' is left out: no word") for note in made.record.notes)


def test_components_hold_most_of_the_variance():
    few = prepare(extraction="PCA", components=4)
    assert few.made.matrix.shape[1] == 4
    assert {column.kind for column in few.made.columns} == {MatrixColumnKind.COMPONENT}
    usual = prepare(extraction="PCA")
    assert 4 < usual.made.matrix.shape[1] <= 100
    assert any("by PCA, which hold 9" in note for note in usual.made.record.notes)
    assert any("by TruncatedSVD" in note for note in prepare(extraction="TruncatedSVD").made.record.notes)


def test_many_columns_are_combined_by_auto():
    schema, frame, labels = read()
    random = np.random.default_rng(0)
    wide = {f"x{place}": random.normal(size=len(frame)) for place in range(500)}
    number = next(feature for feature in schema.features if feature.name == "steady")
    features = tuple(number.model_copy(update={"name": name}) for name in wide)
    made = fit_transformer(
        pd.DataFrame(wide), labels, schema.model_copy(update={"features": features}), PreparationSpec(), seed=0
    )
    assert made.matrix.shape[1] == 100
    assert any("because there are 500 columns or more" in note for note in made.record.notes)


@pytest.mark.parametrize("selection", ["MutualInformation", "ANOVA"])
@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.REGRESSION])
def test_the_columns_that_tell_most_of_the_target_are_kept(selection, task):
    prepared = prepare(task, selection=selection, selectedColumns=2, text="None")
    assert {column.name for column in prepared.made.columns} == {"size", "wealth"}
    whole = prepare(task, text="None").made.matrix.shape[1]
    assert prepare(task, selection=selection, text="None").made.matrix.shape[1] == whole // 2


def test_columns_that_hardly_vary_are_left_out():
    schema, frame, labels = read()
    cleaned = frame.assign(**filled(frame) | {"flag": np.arange(len(frame)) == 3, "steady": 5.0})
    auto = fit_transformer(cleaned, labels, schema, PreparationSpec(), seed=0)
    assert "steady" not in {column.feature for column in auto.columns}
    assert "flag" in {column.feature for column in auto.columns}
    strict = fit_transformer(cleaned, labels, schema, PreparationSpec(selection="VarianceThreshold"), seed=0)
    assert "flag" not in {column.feature for column in strict.columns}


def test_what_does_not_fit_is_refused_with_the_fix():
    with pytest.raises(
        ReductionError, match=r"'preparation.components' must be at most \d+, the columns of the matrix"
    ):
        prepare(extraction="PCA", components=900)
    with pytest.raises(ReductionError, match=r"'preparation.selectedColumns' must be at most \d+, the columns"):
        prepare(selection="ANOVA", selectedColumns=900)
    schema, frame, _ = read()
    cleaned = frame.assign(**filled(frame))
    clustering = schema.model_copy(update={"task": Task.CLUSTERING})
    with pytest.raises(ReductionError, match=r"must not be ANOVA for the task Clustering.*Use VarianceThreshold"):
        fit_transformer(cleaned, None, clustering, PreparationSpec(selection="ANOVA"), seed=0)
    with pytest.raises(TransformationError, match=r"'Target' needs a target.*Use OneHot or Ordinal"):
        fit_transformer(cleaned, None, clustering, PreparationSpec(encoding="Target"), seed=0)
    wordless = schema.model_copy(update={"features": schema.features[:-1]})
    with pytest.raises(TransformationError, match="'TFIDF' needs a column of free text"):
        fit_transformer(cleaned.drop(columns="note"), None, wordless, PreparationSpec(text="TFIDF"), seed=0)
