"""What the monitor says of itself, and the rows that a retraining is told to learn from."""

from datetime import UTC, date, datetime, timedelta

from driftloop.spec import LabelledWindow, MonitorState, TrainingRows

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def state(**changes):
    return MonitorState(
        time=DAY,
        evaluator="pod-a",
        labelled_by_date={date(2026, 3, 1): 70, date(2026, 3, 2): 30},
        faulty_windows=(
            LabelledWindow(start=DAY, end=DAY + timedelta(hours=1), labelled_rows=20),
            LabelledWindow(start=DAY + timedelta(hours=5), end=DAY + timedelta(hours=6), labelled_rows=7),
        ),
        **changes,
    )


def test_rows_of_quarantined_windows_are_not_trained_on():
    assert state().labelled_rows == 100
    assert state().rows_to_train_on(frozenset()) == 100
    assert state().rows_to_train_on({DAY}) == 80
    assert state().rows_to_train_on({DAY, DAY + timedelta(hours=5), DAY + timedelta(days=9)}) == 73


def test_state_and_training_rows_come_back_from_json_as_they_were():
    rows = TrainingRows(log_uri="s3://b/log", view={"pod-a": 7}, through=DAY, leave_out=((DAY, DAY),))
    assert TrainingRows.model_validate_json(rows.model_dump_json(by_alias=True)) == rows
    assert MonitorState.model_validate_json(state().model_dump_json(by_alias=True)) == state()
