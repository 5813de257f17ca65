from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.predictionlog import Label, PredictionBatch, PredictionLogReader, PredictionLogWriter
from tests.predictionlog.samples import FOREVER, START, at, batch, label


@pytest.fixture
def log(tmp_path):
    with PredictionLogWriter(tmp_path, writer_id="monitor", sync=False) as opened:
        yield opened


@pytest.fixture
def reader(tmp_path):
    return PredictionLogReader(tmp_path)


def labels_of(joined):
    return {row.prediction_id: row.label for row in joined.itertuples() if pd.notna(row.label)}


def test_the_joined_view_has_the_columns_of_the_contract(log, reader):
    log.append_predictions([batch(0, features={"distance": [1, 2], "carrier": ["AA", "UA"]})])
    log.append_labels([label(False, hours=5, key="k0")])
    log.commit(at(6))
    joined = reader.joined(START, FOREVER)
    assert list(joined.columns) == [
        "prediction_id",
        "key",
        "time",
        "model_version",
        "feature.carrier",
        "feature.distance",
        "output.prediction",
        "output.probability",
        "label",
        "label_time",
    ]
    assert str(joined.time.dtype) == str(joined.label_time.dtype) == "datetime64[us, UTC]"
    assert joined.time[0] == START
    assert joined.label[0] is False
    assert joined.label[1] is None or pd.isna(joined.label[1])


def test_an_empty_view_has_the_columns_that_every_view_has(reader):
    assert list(reader.joined(START, FOREVER).columns) == [
        "prediction_id",
        "key",
        "time",
        "model_version",
        "label",
        "label_time",
    ]


def test_values_keep_their_kind(log, reader):
    features = {
        "number": [1, None, 2.5],
        "flag": [True, False, True],
        "maybe": [True, None, False],
        "word": ["a", None, "c"],
        "nothing": [None, None, None],
        "mixed": [1.5, "a", True],
        "huge": [10**400, 1, 2],
    }
    outputs = {"prediction": ["x", "y", "z"], "probability": [[0.25, 0.75]] * 3}
    log.append_predictions([batch(0, rows=3, features=features, outputs=outputs)])
    log.commit(at(1))
    frame = reader.predictions(START, FOREVER)
    assert frame["feature.number"].dtype == np.float64
    assert frame["feature.number"].isna().tolist() == [False, True, False]
    assert frame["feature.flag"].dtype == np.bool_
    assert frame["feature.maybe"].tolist() == [True, None, False]
    assert frame["feature.word"].tolist() == ["a", None, "c"]
    assert frame["feature.nothing"].isna().all()
    assert frame["feature.mixed"].tolist() == ["1.5", "a", "true"]
    assert frame["feature.huge"].tolist() == ["1" + "0" * 400, "1", "2"]
    assert frame["output.probability"][0].tolist() == [0.25, 0.75]


def test_segments_of_different_shape_unite(log, reader):
    versions = [
        {"a": [None, None], "b": [1, 2]},
        {"a": [3, 4], "b": [True, False]},
        {"a": [5, 6], "c": ["x", "y"]},
    ]
    for number, features in enumerate(versions):
        log.append_predictions([batch(2 * number, hours=number, features=features)])
        log.commit(at(number + 1))
    frame = reader.predictions(START, FOREVER)
    assert list(frame.columns[4:]) == ["feature.a", "feature.b", "feature.c", "output.prediction", "output.probability"]
    assert frame["feature.a"].dtype == np.float64
    assert frame["feature.a"].tolist()[2:] == [3, 4, 5, 6]
    assert frame["feature.b"].tolist()[:4] == [1.0, 2.0, 1.0, 0.0]
    assert frame["feature.c"].tolist() == [None] * 4 + ["x", "y"]


def test_numbers_and_words_in_different_segments_meet_as_text(log, reader):
    for number, values in enumerate(([1.0, None], ["x", "y"])):
        log.append_predictions([batch(2 * number, hours=number, features={"a": values})])
        log.commit(at(number + 1))
    assert reader.predictions(START, FOREVER)["feature.a"].tolist() == ["1.0", None, "x", "y"]


def test_a_window_is_half_open_and_the_model_version_selects(log, reader):
    log.append_predictions([batch(0, hours=1), batch(2, hours=2, version="v2"), batch(4, hours=3)])
    log.commit(at(4))
    assert list(reader.predictions(at(1), at(3)).prediction_id) == ["p0", "p1", "p2", "p3"]
    assert list(reader.predictions(START, FOREVER, model_version="v2").prediction_id) == ["p2", "p3"]


def test_rows_come_in_order_of_time_then_id_however_they_arrived(log, reader):
    log.append_predictions([batch(4, hours=2), batch(2, hours=1)])
    log.commit(at(1))
    log.append_predictions([batch(0, hours=1)])
    log.commit(at(3))
    assert list(reader.predictions(START, FOREVER).prediction_id) == ["p0", "p1", "p2", "p3", "p4", "p5"]


def test_only_the_dates_of_the_window_are_read(log, reader, tmp_path):
    log.append_predictions([batch(0, hours=0), batch(2, hours=48)])
    log.commit(at(72))
    next((tmp_path / "predictions" / "date=2013-03-01").iterdir()).write_bytes(b"not Parquet")
    assert list(reader.predictions(at(48), at(72)).prediction_id) == ["p2", "p3"]


def test_a_batch_that_was_sent_twice_counts_once(log, reader):
    log.append_predictions([batch(0), batch(0)])
    log.append_labels([label(True, hours=1, key="k0"), label(True, hours=1, key="k0")])
    log.commit(at(2))
    assert list(reader.joined(START, FOREVER).prediction_id) == ["p0", "p1"]


def test_the_last_label_by_time_holds_whatever_order_they_came_in(log, reader):
    log.append_predictions([batch(0)])
    log.append_labels([label("new", hours=9, key="k0"), label("old", hours=8, key="k0")])
    log.commit(at(10))
    log.append_labels([label("older", hours=7, key="k0")])
    log.commit(at(11))
    assert labels_of(reader.joined(START, FOREVER)) == {"p0": "new"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_labels_and_of_records_at_one_time_the_content_decides_and_not_the_arrival(tmp_path, order):
    sent = [label("aye", hours=9, key="k0"), label("nay", hours=9, key="k0")]
    same_id = [batch(0, rows=1, features={"distance": [distance]}) for distance in (1.0, 2.0)]
    for number, writer_id in zip(order, ("monitor", "other"), strict=True):
        with PredictionLogWriter(tmp_path, writer_id=writer_id) as writer:
            writer.append_labels([sent[number]])
            writer.append_predictions([same_id[number]])
            writer.commit(at(10))
    joined = PredictionLogReader(tmp_path).joined(START, FOREVER)
    assert labels_of(joined) == {"p0": "nay"}
    assert joined["feature.distance"].tolist() == [1.0]


def test_of_records_with_one_id_the_earliest_holds(log, reader):
    log.append_predictions([batch(0, rows=1, hours=5, version="v2"), batch(0, rows=1, hours=4)])
    log.commit(at(6))
    assert reader.predictions(START, FOREVER).model_version.tolist() == ["v1"]


def test_a_label_by_prediction_id_goes_before_one_by_key(log, reader):
    log.append_predictions([batch(0)])
    log.append_labels([label("by id", hours=1, prediction_id="p0"), label("by key", hours=2, key="k0")])
    log.append_labels([label("by key", hours=2, key="k1")])
    log.commit(at(3))
    assert labels_of(reader.joined(START, FOREVER)) == {"p0": "by id", "p1": "by key"}


def test_labels_for_unknown_predictions_are_ignored(log, reader):
    log.append_predictions([batch(0)])
    log.append_labels([label(True, hours=1, key="stranger"), label(True, hours=1, prediction_id="stranger")])
    log.commit(at(3))
    assert labels_of(reader.joined(START, FOREVER)) == {}
    assert reader.counts().labels == 2


def test_labels_that_came_too_late_are_left_out(log, reader):
    log.append_predictions([batch(0)])
    log.append_labels([label(1, hours=5, key="k0"), label(0, hours=30, key="k0"), label(0, hours=30, key="k1")])
    log.commit(at(40))
    assert labels_of(reader.joined(START, at(1), labelled_by=at(29))) == {"p0": 1.0}
    assert labels_of(reader.joined(START, at(1), labelled_by=at(30))) == {"p0": 0.0, "p1": 0.0}


def test_the_truth_about_an_earlier_event_with_the_same_key_is_not_the_truth_about_a_later_one(log, reader):
    log.append_predictions([batch(0, hours=1), batch(0, hours=50, version="v2")])
    log.append_predictions([PredictionBatch("v2", at(51), ["later"], ["k0"], {}, {"prediction": [True]})])
    log.append_labels([label(True, hours=25, key="k0")])
    log.commit(at(60))
    assert labels_of(reader.joined(START, FOREVER)) == {"p0": True}


@pytest.mark.parametrize(
    ("values", "kind"), [([1, 0], "f"), ([True, False], "b"), (["late", "on time"], "O"), ([1.5, 2], "f")]
)
def test_labels_keep_their_kind_when_all_are_known(log, reader, values, kind):
    log.append_predictions([batch(0)])
    log.append_labels([label(value, hours=1, key=f"k{number}") for number, value in enumerate(values)])
    log.commit(at(2))
    joined = reader.joined(START, FOREVER)
    assert joined.label.tolist() == values
    assert joined.label.dtype.kind == kind


moments = st.integers(0, 200)
names = st.sampled_from(["a", "b", "c", "d"])


@settings(max_examples=40, deadline=None)
@given(
    predictions=st.lists(st.tuples(moments, st.none() | names), max_size=8),
    labels=st.lists(st.tuples(moments, st.booleans(), names), max_size=12),
    commits=st.integers(1, 4),
    bounds=st.tuples(moments, moments, st.none() | moments),
)
def test_the_join_agrees_with_its_definition(tmp_path_factory, predictions, labels, commits, bounds):
    root = tmp_path_factory.mktemp("log")
    batches = [
        PredictionBatch("v", at(hours), [f"p{number}"], [key], {"x": [1.0]}, {"prediction": [1]})
        for number, (hours, key) in enumerate(predictions)
    ]
    # Half of the labels go by prediction id: name a..d stands for p0..p3.
    records = [
        Label(label=float(number), time=at(hours), prediction_id=f"p{'abcd'.index(name)}")
        if by_id
        else Label(label=float(number), time=at(hours), key=name)
        for number, (hours, by_id, name) in enumerate(labels)
    ]
    with PredictionLogWriter(root, writer_id="m", sync=False) as log:
        for part in range(commits):
            log.append_predictions(batches[part::commits])
            log.commit()
        for part in range(commits):
            size = -(-len(records) // commits)
            log.append_labels(records[part * size : (part + 1) * size])
            log.commit()
    start, end, until = (None if bound is None else at(bound) for bound in bounds)

    expected = {}
    for prediction in sorted(batches, key=lambda b: (b.time, b.prediction_ids[0])):
        if start <= prediction.time < end:
            known = [r for r in records if r.time >= prediction.time and (until is None or r.time <= until)]
            by_id = [r for r in known if r.prediction_id == prediction.prediction_ids[0]]
            by_key = [r for r in known if r.key is not None and r.key == prediction.keys[0]]
            newest = max(by_id or by_key, key=lambda r: (r.time, str(r.label)), default=None)
            expected[prediction.prediction_ids[0]] = newest.label if newest else None
    joined = PredictionLogReader(root).joined(start, end, labelled_by=until)
    found = {row.prediction_id: None if pd.isna(row.label) else row.label for row in joined.itertuples()}
    assert list(found.items()) == list(expected.items())


def test_a_time_in_another_zone_goes_to_its_utc_date(log, reader, tmp_path):
    tokyo = timezone(timedelta(hours=9))
    log.append_predictions([replace(batch(0), time=datetime(2013, 3, 1, 8, tzinfo=tokyo))])
    log.commit(at(1))
    assert (tmp_path / "predictions" / "date=2013-02-28").is_dir()
    assert list(reader.predictions(at(-2), START).prediction_id) == ["p0", "p1"]
