"""What each way of cleaning does."""

import numpy as np
import pandas as pd
import pytest

from driftloop.spec import PreparationSpec, Task
from driftloop.stages.clean import CleaningError, clean_training_rows
from driftloop.stages.filling import missing_flag
from driftloop.stages.noise import smooth
from driftloop.stages.outliers import UNUSUAL_ROW, extreme_flag
from driftloop.stages.preparationpages import build_cleaning_page
from tests.pagecheck import check_page
from tests.stages.preparing import ROWS, read


@pytest.fixture(scope="module")
def rows():
    return read()


def clean(rows, *, seed=0, **choices):
    schema, frame, labels = rows
    return clean_training_rows(frame, labels, schema, PreparationSpec.model_validate(choices), seed=seed)


def planted(rows, values, *, column="steady"):
    """The rows with extreme numbers in the first places."""
    schema, frame, labels = rows
    frame = frame.copy()
    frame.loc[: len(values) - 1, column] = values
    return schema, frame, labels


def test_a_constant_fills_numbers_and_raises_a_flag(rows):
    cleaned = clean(rows, missing="Constant", missingConstant=-7.0)
    gaps = rows[1]["size"].isna()
    assert (cleaned.frame.loc[gaps, "size"] == -7).all()
    assert (cleaned.frame[missing_flag("size")] == gaps).all()
    assert cleaned.frame.loc[rows[1]["day"].isna(), "day"].iloc[0] == rows[1]["day"].median()


def test_neighbours_and_regression_fill_what_other_columns_tell(rows):
    schema, frame, labels = rows
    frame = frame.copy()
    frame["wealth"] = 3 * frame["steady"] + 5  # known but where it is missing
    truth = frame["wealth"].copy()
    frame.loc[::10, "wealth"] = np.nan
    errors = {}
    for missing in ("Median", "KNN", "Iterative"):
        cleaned = clean((schema, frame, labels), missing=missing)
        errors[missing] = (cleaned.frame["wealth"] - truth)[::10].abs().mean()
        assert set(cleaned.frame.loc[frame["flag"].isna(), "flag"]) <= {0.0, 1.0}
    assert errors["KNN"] < errors["Median"] / 2
    assert errors["Iterative"] < errors["Median"] / 10


def test_rows_with_gaps_are_left_out_and_their_positions_kept(rows):
    cleaned = clean(rows, missing="DropRows")
    complete = rows[1][["size", "wealth", "steady", "flag", "day"]].notna().all(axis=1)
    assert cleaned.rows.tolist() == np.flatnonzero(complete).tolist()
    assert cleaned.record.rows == complete.sum() < cleaned.record.rows_before == ROWS
    (left_out,) = cleaned.record.left_out
    assert (left_out.field, left_out.rows) == ("missing", ROWS - complete.sum())
    assert f"{left_out.rows:,} training rows" in " ".join(check_page(build_cleaning_page(cleaned.record)).texts)
    assert not cleaned.cleaner.transform(rows[1]).isna().to_numpy().any(), "a request is answered nevertheless"


def test_columns_with_gaps_are_left_out(rows):
    cleaned = clean(rows, missing="DropColumns")
    assert [*cleaned.frame] == ["steady", "city", "kind", "note"]
    assert [column.name for column in cleaned.record.columns if column.is_dropped] == ["size", "wealth", "flag", "day"]


def test_the_running_median_looks_at_no_later_row():
    frame = pd.DataFrame({"x": [1.0, 2.0, 90.0, 3.0, np.nan, 4.0, 5.0]})
    assert smooth(frame, ["x"])["x"].tolist() == pytest.approx([1, 1.5, 2, 2.5, np.nan, 3.5, 4.5], nan_ok=True)


@pytest.mark.parametrize("outliers", ["ZScore", "IQR", "Clip"])
def test_extreme_numbers_are_drawn_in_dropped_or_flagged(rows, outliers):
    wild = planted(rows, [1e4, -1e4])
    clipped = clean(wild, outliers=outliers)
    low, high = clipped.cleaner.limits["steady"]
    assert clipped.frame["steady"].iloc[:2].tolist() == [high, low]
    asked = wild[1].iloc[:1].assign(steady=5e5)
    assert clipped.cleaner.transform(asked)["steady"].tolist() == [high], "requests, too"

    dropped = clean(wild, outliers=outliers, outlierAction="Drop")
    assert {0, 1}.isdisjoint(dropped.rows)
    assert dropped.cleaner.transform(asked)["steady"].tolist() == [5e5]

    flagged = clean(wild, outliers=outliers, outlierAction="Flag")
    assert flagged.frame["steady"].iloc[:2].tolist() == [1e4, -1e4]
    assert flagged.frame[extreme_flag("steady")].iloc[:2].tolist() == [1, 1]
    assert flagged.frame[extreme_flag("steady")].mean() < 0.2


def test_limits_are_those_of_the_textbook(rows):
    values = rows[1]["steady"]
    by_deviation = clean(rows, outliers="ZScore").cleaner.limits["steady"]
    assert by_deviation == pytest.approx(
        [values.mean() - 3 * values.std(ddof=0), values.mean() + 3 * values.std(ddof=0)]
    )
    first, third = values.quantile(0.25), values.quantile(0.75)
    fences = [first - 1.5 * (third - first), third + 1.5 * (third - first)]
    assert clean(rows, outliers="IQR").cleaner.limits["steady"] == pytest.approx(fences)


@pytest.mark.parametrize("outliers", ["IsolationForest", "LocalOutlierFactor"])
def test_rows_unlike_the_others_are_flagged_or_dropped(rows, outliers):
    schema, frame, labels = rows
    frame = frame.copy()
    frame.loc[0, ["size", "wealth", "steady"]] = [9.0, 1e5, -40.0]
    flagged = clean((schema, frame, labels), outliers=outliers)
    assert flagged.frame[UNUSUAL_ROW].iloc[0] == 1
    assert 0 < flagged.frame[UNUSUAL_ROW].sum() <= 0.02 * ROWS
    assert flagged.cleaner.transform(frame.iloc[:2])[UNUSUAL_ROW].tolist() == [1, 0]
    dropped = clean((schema, frame, labels), outliers=outliers, outlierAction="Drop")
    assert 0 not in dropped.rows
    assert UNUSUAL_ROW not in dropped.frame


def test_labels_that_all_models_contradict_are_left_out():
    schema, frame, labels = read()
    frame["size"] = np.where(labels, 2.0, -2.0) + np.random.default_rng(1).normal(size=ROWS) / 3
    wrong = labels.copy()
    wrong[[3, 50, 111]] = ~wrong[[3, 50, 111]]
    cleaned = clean((schema, frame, wrong), noise="LabelFilter")
    assert {3, 50, 111}.isdisjoint(cleaned.rows)
    assert len(cleaned.rows) >= ROWS - 8


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"missing": "DropRows"}, r"must leave at least 20 training rows\. Got 0 of 240.*Choose another 'missing'"),
        ({"missing": "DropColumns"}, "must leave at least one column"),
    ],
)
def test_cleaning_that_leaves_nothing_is_refused(rows, choices, message):
    schema, frame, labels = rows
    names = ["size", "wealth", "steady", "flag", "day"]
    only = schema.model_copy(update={"features": tuple(f for f in schema.features if f.name in names)})
    frame = frame.copy()
    for place, name in enumerate(names):
        frame.loc[place :: len(names), name] = np.nan
    with pytest.raises(CleaningError, match=message):
        clean((only, frame, labels), **choices)


def test_what_does_not_fit_the_rows_is_refused_with_the_fix(rows):
    schema, frame, labels = rows
    undated = schema.model_copy(update={"time_column": None})
    with pytest.raises(CleaningError, match=r"'Smooth' needs rows in the order of time.*Name it, or remove Smooth"):
        clean((undated, frame, labels), noise="Smooth")
    with pytest.raises(CleaningError, match=r"LabelFilter.*Got the task Regression"):
        clean(read(Task.REGRESSION), noise="LabelFilter")
    lonely = np.arange(ROWS) == 7
    with pytest.raises(CleaningError, match=r"needs two rows of each class. Got 1 training row of True"):
        clean((schema, frame, lonely), noise="LabelFilter")
    with pytest.raises(CleaningError, match=r"must leave rows of every class. Got none of True"):
        clean(planted((schema, frame, np.arange(ROWS) == 0), [1e4]), outliers="ZScore", outlierAction="Drop")
    wordy = schema.model_copy(update={"features": tuple(f for f in schema.features if f.type == "categorical")})
    with pytest.raises(CleaningError, match="needs at least one column of numbers"):
        clean((wordy, frame, labels), outliers="IsolationForest")


def test_a_column_without_a_value_or_with_one_value_breaks_nothing(rows):
    schema, frame, labels = rows
    frame = frame.assign(size=np.nan, steady=5.0)
    for missing in ("Auto", "Mean", "KNN", "Iterative"):
        for outliers in ("ZScore", "IQR", "Clip", "IsolationForest", "LocalOutlierFactor"):
            cleaned = clean((schema, frame, labels), missing=missing, outliers=outliers)
            assert not cleaned.frame.isna().to_numpy().any()
