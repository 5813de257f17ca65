"""Injections change what they say, where they say it, and refuse what they can't change."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.replay.injections import NEW_CATEGORY, Injection, InjectionError, InjectionKind, inject
from driftloop.replay.injectionspec import build_injection, parse_injection, read_injections

K = InjectionKind
ROWS = 4000
START, END = datetime(2024, 1, 11, tzinfo=UTC), datetime(2024, 1, 21, tzinfo=UTC)


def make_table(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=rows, freq=timedelta(days=30) / rows, tz="UTC"),
            "temp": rng.normal(10, 2, rows),
            "count": rng.integers(0, 50, rows),
            "city": rng.choice(["a", "b", "c"], rows),
            "flag": rng.random(rows) < 0.5,
            "late": rng.random(rows) < 0.25,
            "amount": rng.normal(100, 10, rows),
        }
    )


TABLE = make_table()
INSIDE = ((TABLE["at"] >= START) & (TABLE["at"] < END)).to_numpy()


def changed(kind: K, *columns: str, target: str = "late", **more: object) -> pd.DataFrame:
    injection = Injection(kind, columns, start=START, end=END, **more)  # type: ignore[arg-type]
    return inject(TABLE, injection, time_column="at", target_column=target, seed=0)


@pytest.mark.parametrize("kind", list(K))
def test_rows_outside_the_period_and_the_table_given_stay_as_they_are(kind: K) -> None:
    before = TABLE.copy()
    columns = {
        K.COLUMN_SWAP: ("temp", "count"),
        K.NEW_CATEGORY: ("city",),
        K.LABEL_SWAP: (),
        K.CLASS_PRIOR: (),
        K.DUPLICATED_FEED: (),
    }.get(kind, ("temp",))
    result = changed(kind, *columns)
    outside = result[~((result["at"] >= START) & (result["at"] < END))]
    pd.testing.assert_frame_equal(outside, before[~INSIDE], check_dtype=False)
    pd.testing.assert_frame_equal(TABLE, before)
    assert not result[(result["at"] >= START) & (result["at"] < END)].equals(before[INSIDE])


def test_a_mean_shift_is_in_standard_deviations() -> None:
    moved = changed(K.MEAN_SHIFT, "temp", size=0.5)["temp"] - TABLE["temp"]
    assert moved[INSIDE].mean() == pytest.approx(0.5 * TABLE["temp"].std(ddof=0))
    assert moved[~INSIDE].abs().max() == 0


def test_a_scale_shift_keeps_the_mean() -> None:
    result = changed(K.SCALE_SHIFT, "temp", size=3)["temp"][INSIDE]
    assert result.std() == pytest.approx(3 * TABLE["temp"][INSIDE].std())
    assert result.mean() == pytest.approx(TABLE["temp"].mean(), abs=0.3)


@pytest.mark.parametrize("column", ["temp", "count", "city", "flag"])
def test_a_null_burst_takes_its_share_of_any_type(column: str) -> None:
    missing = changed(K.NULL_BURST, column, size=0.3)[column].isna()
    assert missing[INSIDE].mean() == pytest.approx(0.3, abs=0.04)
    assert not missing[~INSIDE].any()


def test_a_unit_change_may_have_an_offset() -> None:
    result = changed(K.UNIT_CHANGE, "temp", size=1.8, offset=32)["temp"]
    np.testing.assert_allclose(result[INSIDE], TABLE["temp"][INSIDE] * 1.8 + 32)


def test_a_new_category_appears_in_its_share() -> None:
    assert (changed(K.NEW_CATEGORY, "city", size=0.1)["city"][INSIDE] == NEW_CATEGORY).mean() == pytest.approx(
        0.1, abs=0.03
    )


def test_swapped_columns_hold_each_others_values() -> None:
    result = changed(K.COLUMN_SWAP, "temp", "city")
    assert result["city"][INSIDE].tolist() == TABLE["temp"][INSIDE].tolist()
    assert result["temp"][INSIDE].tolist() == TABLE["city"][INSIDE].tolist()


@pytest.mark.parametrize("column", ["temp", "count", "city", "flag"])
def test_a_stuck_sensor_repeats_the_last_value_before(column: str) -> None:
    result = changed(K.STUCK_SENSOR, column)[column]
    assert set(result[INSIDE]) == {TABLE[column][np.flatnonzero(INSIDE)[0] - 1]}
    assert result.dtype == TABLE[column].dtype


def test_a_permutation_keeps_every_value_and_loses_its_row() -> None:
    result = changed(K.FEATURE_PERMUTATION, "temp")["temp"]
    assert sorted(result[INSIDE]) == sorted(TABLE["temp"][INSIDE])
    assert abs(np.corrcoef(result[INSIDE], TABLE["temp"][INSIDE])[0, 1]) < 0.15


def test_swapped_labels_are_the_other_class() -> None:
    result = changed(K.LABEL_SWAP)
    assert (result["late"][INSIDE] == ~TABLE["late"][INSIDE]).all()
    assert result["late"].dtype == bool


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_class_prior_is_reached_and_features_given_the_class_stay(share: float) -> None:
    result = changed(K.CLASS_PRIOR, size=share)
    inside = result[(result["at"] >= START) & (result["at"] < END)]
    assert inside["late"].mean() == pytest.approx(share, abs=0.05)
    assert len(inside) > 0.5 * INSIDE.sum()
    assert not inside.drop(columns="at").duplicated(["temp", "amount"]).any()


def test_a_duplicated_feed_brings_its_share_twice() -> None:
    result = changed(K.DUPLICATED_FEED, size=0.5)
    assert len(result) - ROWS == pytest.approx(0.5 * INSIDE.sum(), rel=0.1)
    assert result["at"].is_monotonic_increasing


def test_a_concept_change_relabels_one_half_of_the_feature_only() -> None:
    result = changed(K.CONCEPT, "temp")
    high = (TABLE["temp"] > TABLE["temp"].median()).to_numpy()
    assert (result["late"] != TABLE["late"]).to_numpy().tolist() == (INSIDE & high).tolist()
    amounts = changed(K.CONCEPT, "temp", target="amount", size=2)["amount"] - TABLE["amount"]
    np.testing.assert_allclose(amounts[INSIDE & high], 2 * TABLE["amount"].std(ddof=0))
    assert (amounts[~(INSIDE & high)] == 0).all()


def test_a_gradual_change_grows_and_a_recurring_one_comes_and_goes() -> None:
    ramped = changed(K.MEAN_SHIFT, "temp", ramp=timedelta(days=10))["temp"] - TABLE["temp"]
    found = ramped[INSIDE].to_numpy()
    assert (np.diff(found) >= -1e-9).all()
    assert found[0] < 0.01 < found[-1]
    recurring = changed(K.MEAN_SHIFT, "temp", period=timedelta(days=2))["temp"] - TABLE["temp"]
    days = (TABLE["at"][INSIDE] - pd.Timestamp(START)).dt.total_seconds() / 86400
    assert ((recurring[INSIDE] > 0) == (days % 2 < 1)).all()


def test_shares_of_time_and_text_times_work_like_dates() -> None:
    as_text = TABLE.assign(at=TABLE["at"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
    result = inject(as_text, Injection(K.MEAN_SHIFT, ("temp",), start=0.75), time_column="at")
    moved = (result["temp"] != TABLE["temp"]).to_numpy()
    assert moved.sum() == pytest.approx(ROWS / 4, abs=2)
    assert moved[-1]


def test_the_same_seed_gives_the_same_rows() -> None:
    injection = Injection(K.NULL_BURST, ("temp",), size=0.5)
    one, same, other = (inject(TABLE, injection, time_column="at", seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_missing_values_and_single_rows_are_no_obstacle() -> None:
    holes = TABLE.assign(temp=TABLE["temp"].where(np.arange(ROWS) % 2 == 0), city=None)
    for kind in (K.MEAN_SHIFT, K.SCALE_SHIFT, K.UNIT_CHANGE, K.STUCK_SENSOR, K.FEATURE_PERMUTATION, K.CONCEPT):
        result = inject(holes, Injection(kind, ("temp",)), time_column="at", target_column="late")
        assert len(result) == ROWS
    one = inject(TABLE[:1], Injection(K.STUCK_SENSOR, ("temp",), start=0.0), time_column="at")
    assert one["temp"].tolist() == TABLE["temp"][:1].tolist()
    assert inject(holes, Injection(K.STUCK_SENSOR, ("city",)), time_column="at")["city"].isna().all()


@pytest.mark.parametrize(
    ("injection", "target", "message"),
    [
        (
            Injection(K.UNIT_CHANGE, ("city",)),
            None,
            "needs a numeric column. 'city' is categorical. Choose one of temp, count",
        ),
        (
            Injection(K.NEW_CATEGORY, ("temp",)),
            None,
            "needs a categorical column. 'temp' is numeric. Choose one of city",
        ),
        (Injection(K.MEAN_SHIFT, ("tmp",)), None, "must name a column of the table. Got 'tmp'. Choose one of temp"),
        (Injection(K.LABEL_SWAP), None, "needs the truth about each row"),
        (Injection(K.CLASS_PRIOR), "amount", "needs a target of classes. 'amount' is numeric. Choose 'concept'"),
        (
            Injection(K.MEAN_SHIFT, ("temp",), start=datetime(2025, 1, 1, tzinfo=UTC)),
            None,
            "must lie within the traffic",
        ),
        (Injection(K.MEAN_SHIFT, ("temp",), start=0.5, end=0.2), None, "must end after it starts"),
    ],
)
def test_what_can_not_be_changed_is_refused_in_words(injection: Injection, target: str | None, message: str) -> None:
    with pytest.raises(InjectionError, match=message.replace("(", r"\(")):
        inject(TABLE, injection, time_column="at", target_column=target)


def test_a_table_without_time_or_rows_is_refused() -> None:
    injection = Injection(K.MEAN_SHIFT, ("temp",))
    with pytest.raises(InjectionError, match=re.escape("must have the time column 'when'. It has at, temp")):
        inject(TABLE, injection, time_column="when")
    with pytest.raises(InjectionError, match="must have rows"):
        inject(TABLE[:0], injection, time_column="at")


def test_an_injection_is_written_as_one_line(tmp_path: object) -> None:
    injection = parse_injection("mean_shift column='the temp' size=0.5sd start=2013-05-01 end=0.9 ramp=3d period=14d")
    assert injection == Injection(
        K.MEAN_SHIFT,
        ("the temp",),
        0.5,
        start=datetime(2013, 5, 1, tzinfo=UTC),
        end=0.9,
        ramp=timedelta(days=3),
        period=timedelta(days=14),
    )
    assert parse_injection("column_swap columns=a,b").columns == ("a", "b")
    assert parse_injection("null_burst column=a size=30%").size == pytest.approx(0.3)
    assert parse_injection("unit_change column=a size=1.8 offset=32").offset == 32


def test_a_yaml_file_holds_several(tmp_path: "pytest.TempPathFactory") -> None:
    path = tmp_path / "faults.yaml"  # type: ignore[operator]
    path.write_text("- {kind: mean_shift, column: temp, start: 2013-05-01}\n- {kind: column_swap, columns: [a, b]}\n")
    one, two = read_injections([str(path)])
    assert one.start == datetime(2013, 5, 1, tzinfo=UTC)
    assert two == build_injection({"kind": "column_swap", "columns": "a,b"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name its kind"),
        ("mean_shfit column=a", "must be one of mean_shift, .* Got 'mean_shfit'"),
        ("mean_shift temp", "must be name=value. Got 'temp'"),
        ("mean_shift colum=a", "must use the names .* Got 'colum'"),
        ("mean_shift", "must have one column. Got 0"),
        ("column_swap column=a", "must have two columns. Got 1"),
        ("stuck_sensor column=a size=2", "has no size. Got 2"),
        ("null_burst column=a size=2", "must be a share of the rows, 0 to 1. Got 2"),
        ("mean_shift column=a size=NaN", "must be a finite number. Got nan"),
        ("mean_shift column=a size=big", "must be a number. Got 'big'"),
        ("mean_shift column=a start=may", "must be a date .* Got 'may'"),
        ("mean_shift column=a start=1.5", "from 0 to 1. Got 1.5"),
        ("mean_shift column=a ramp=3", "must be a duration .* Got '3'"),
        ("mean_shift column=a column=b", "must be given once"),
        ("mean_shift column='a", "Close the quotes"),
        ("nothere.yaml", "must be readable YAML"),
    ],
)
def test_a_text_that_can_not_be_read_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(InjectionError, match=message):
        read_injections([text])
