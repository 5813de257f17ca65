"""Evaluators of a loop in a cluster, on a real object store: whoever judges, and however often it dies, one verdict."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from driftloop.predictionlog.logstore import StoreUnavailableError
from driftloop.sidecar import clusterevaluator
from driftloop.spec import VerdictKind
from tests.monitor import traffic
from tests.sharedstore import Faulty, s3, store_uri
from tests.sidecar.sharedloop import SharedLoop
from tests.sidecar.test_any_evaluation import DAYS, LATE, expected, labels_of, predictions_of, traffic_of

__all__ = ["expected", "s3", "store_uri"]

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(hours=2)


@pytest.fixture
def shared(tmp_path, store_uri):
    return SharedLoop(tmp_path, store_uri)


def plain(verdicts):
    return [verdict.model_copy(update={"silent_writers": ()}) for verdict in verdicts]


def test_two_pods_get_the_verdicts_of_one_laptop(shared, expected):
    pods = [shared.pod("pod-a"), shared.pod("pod-b")]
    evaluator = shared.evaluator("pod-a")
    for number in range(DAYS):
        sent = predictions_of(number) + labels_of(number)
        for part, pod in enumerate(pods):
            pod.send(sent[part::2], through=number + 1)
        evaluator.step(NOW)
    for pod in pods:
        pod.send(through=DAYS + 1)
    evaluator.step(NOW)
    assert shared.verdicts() == expected


def test_windows_wait_for_every_live_pod(shared):
    one, other = shared.pod("pod-a"), shared.pod("pod-b")
    other.send()
    one.send(predictions_of(0), through=1)
    evaluator = shared.evaluator("pod-a")
    evaluator.step(NOW)
    assert shared.verdicts() == []
    other.send(through=1)
    evaluator.step(NOW)
    assert [verdict.window.rows for verdict in shared.verdicts()] == [60]


def test_another_evaluator_goes_on_from_what_is_in_the_store_alone(shared, expected):
    pod = shared.pod("pod-a")
    for number in range(DAYS + 1):
        sent = predictions_of(number) if number < DAYS else []
        pod.send(sent + (labels_of(number - 1) if number else []), through=number + 1)
        evaluator = shared.evaluator(f"evaluator-{number}")
        evaluator.step(NOW)
    assert shared.verdicts() == expected
    assert shared.state().evaluator == f"evaluator-{DAYS}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(seed=894, failures=[21])
@given(seed=st.integers(0, 2**32), failures=st.lists(st.integers(1, 25), max_size=10))
def test_any_failures_of_the_store_and_any_change_of_evaluator_give_the_same_verdicts(
    tmp_path_factory, s3, expected, seed, failures
):
    chance = random.Random(seed)  # drawn at once: how often it is asked depends on the machine's speed
    shared = SharedLoop(tmp_path_factory.mktemp("any"), f"{s3.uri}/{uuid.uuid4().hex}")
    store = Faulty()
    store.calls_until_failure = list(failures)
    pods = [shared.pod("pod-a"), shared.pod("pod-b")]
    for pod in pods:
        pod.send(through=0)
    evaluator, made = None, 0
    for number in range(DAYS + 1):
        parts = {pod.name: [] for pod in pods}
        for record in traffic_of(number, chance):
            parts[chance.choice(pods).name].append(record)
        for pod in pods:
            pod.send(parts[pod.name], through=number + 1)
        done = False
        while not done:
            if evaluator is None or chance.random() < 0.3:
                made += 1
                evaluator = None  # its process died, or its pod lost the Lease
            try:
                evaluator = evaluator or shared.evaluator(f"evaluator-{made}", store)
                evaluator.step(NOW)
                done = True
            except (ConnectionError, StoreUnavailableError):
                evaluator = None if chance.random() < 0.5 else evaluator
    assert shared.verdicts() == expected
    final = shared.evaluator("final")
    final.step(NOW)
    assert final._evaluator.progress.late_rows == len(LATE)
    assert len(shared.reports()) == len(set(shared.reports()))


def test_the_copy_of_the_log_holds_what_windows_need_and_no_more(shared):
    pod = shared.pod("pod-a")
    evaluator = shared.evaluator("pod-a")
    for number in range(8):
        pod.send(predictions_of(number) if number < DAYS else [], through=number + 1)
        evaluator._next_maintenance = 0.0
        for _ in range(4):
            evaluator.step(NOW)
            evaluator._next_maintenance = 0.0
    dates = {path.name for path in (shared.root / "pod-a" / "state" / "evaluator" / "log").rglob("date=*")}
    assert dates == set()
    evaluator._state_writer._next_sign = 0.0
    evaluator.step(NOW)
    copied = shared.evaluator("another")
    copied.step(NOW)
    fetched = {path.parent.name for path in (shared.root / "another").rglob("*.parquet")}
    days = {f"date={(traffic.START + number * traffic.DAY).date()}" for number in range(1, DAYS)}
    assert fetched <= days, "a new one fetches the three windows that the next may be judged with, no more"


def test_two_evaluators_at_once_agree(shared, expected):
    pod = shared.pod("pod-a")
    one, other = shared.evaluator("one"), shared.evaluator("other")
    for number in range(DAYS + 1):
        sent = predictions_of(number) if number < DAYS else []
        pod.send(sent + (labels_of(number - 1) if number else []), through=number + 1)
        one.step(NOW)
        other.step(NOW)
        one, other = other, one
    assert shared.verdicts() == expected


def test_a_dead_pod_is_waited_for_then_left_out_and_named(shared, monkeypatch):
    monkeypatch.setattr(clusterevaluator, "CONTACT_SECONDS", 0.0)
    dead, alive = shared.pod("dead"), shared.pod("alive")
    dead.send(predictions_of(0)[:10], through=0.5, heartbeat=traffic.START + timedelta(hours=12))
    alive.send(predictions_of(0)[10:], through=1)
    evaluator = shared.evaluator("alive")
    evaluator.step(traffic.START + timedelta(hours=12, minutes=14))
    assert shared.verdicts() == []
    evaluator._state_writer._next_count = 0.0
    evaluator.step(traffic.START + timedelta(hours=12, minutes=16))
    (verdict,) = shared.verdicts()
    assert verdict.silent_writers == ("dead",)
    assert verdict.window.rows == 60, "what it shipped before counts"
    assert [name for name, writer in shared.state().writers.items() if writer.silent] == ["dead"]


def test_nobody_counts_as_silent_before_the_store_has_answered_for_a_while(shared):
    """After an outage the last sign of life of every pod is old."""
    one, other = shared.pod("pod-a"), shared.pod("pod-b")
    other.send(through=0.5, heartbeat=LONG_AGO)
    one.send(predictions_of(0), through=1)
    evaluator = shared.evaluator("pod-a")
    evaluator.step(NOW)
    assert shared.verdicts() == []
    other.send(predictions_of(1)[:0] + labels_of(0), through=1)
    evaluator.step(NOW)
    assert [verdict.silent_writers for verdict in shared.verdicts()] == [()]


def test_a_pod_that_said_goodbye_is_not_waited_for_and_not_named(shared, monkeypatch):
    monkeypatch.setattr(clusterevaluator, "CONTACT_SECONDS", 0.0)
    gone, stays = shared.pod("gone"), shared.pod("stays")
    gone.send(predictions_of(0)[:10], through=0.5, heartbeat=LONG_AGO, ended=True)
    stays.send(predictions_of(0)[10:], through=1)
    shared.evaluator("stays").step(NOW)
    (verdict,) = shared.verdicts()
    assert (verdict.window.rows, verdict.silent_writers) == (60, ())
    assert shared.state().writers["gone"].ended


def test_rows_of_a_pod_that_comes_back_are_late_and_change_no_verdict(shared, monkeypatch):
    monkeypatch.setattr(clusterevaluator, "CONTACT_SECONDS", 0.0)
    lost, stays = shared.pod("lost"), shared.pod("stays")
    lost.send(through=0.5, heartbeat=traffic.START + timedelta(hours=12))
    lost.write(predictions_of(0)[:10])  # on its disk only: it is cut off from the store
    stays.send(predictions_of(0)[10:], through=1)
    evaluator = shared.evaluator("stays")
    evaluator.step(traffic.START + timedelta(days=1))
    (before,) = shared.verdicts()
    lost.send(labels_of(0), through=1)
    evaluator.step(NOW)
    stays.send(through=1.1)
    evaluator.step(NOW)
    assert shared.verdicts() == [before]
    assert before.window.rows == 50
    assert evaluator._evaluator.progress.late_rows == 10


def test_the_state_tells_what_a_decision_needs(shared, monkeypatch):
    monkeypatch.setattr("driftloop.sidecar.loopstate.LEAST_SECONDS", 0.0)
    pod = shared.pod("pod-a")
    evaluator = shared.evaluator("pod-a")
    for number in range(DAYS + 1):
        sent = predictions_of(number) if number < DAYS else []
        pod.send(sent + (labels_of(number - 1) if number else []), through=number + 1)
        evaluator.step(NOW)
        evaluator._state_writer._next_count = 0.0
        evaluator.step(NOW)
    state = shared.state()
    assert state.labelled_rows == 60 * DAYS
    assert state.complete_through == traffic.START + (DAYS + 1) * traffic.DAY
    assert (state.rows, state.labels, state.dropped) == (60 * DAYS, 60 * DAYS, 0)
    assert state.view == {"pod-a": state.writers["pod-a"].sequence}
    assert state.label_knowledge.predictions == 0
    again = shared.evaluator("another")
    again.step(NOW)
    again._state_writer._next_sign = 0.0
    again.step(NOW)
    assert shared.state().labelled_rows == 60 * DAYS, "dates that are not at hand keep their count"


def test_rows_of_a_faulty_window_are_told_apart(shared):
    batches = predictions_of(0)
    for batch in batches:
        batch.features["temp"][0] = None
    pod = shared.pod("pod-a")
    pod.send(batches + labels_of(0), through=2)
    shared.evaluator("pod-a").step(NOW)
    assert shared.verdicts()[0].verdict is VerdictKind.DATA_FAULT
    (window,) = shared.state().faulty_windows
    assert (window.start, window.labelled_rows) == (traffic.START, 60)
    assert shared.state().rows_to_train_on({traffic.START}) == 0


def test_a_model_without_baseline_is_not_judged_and_one_whose_store_is_away_is_asked_for_again(shared):
    shared.pod("pod-a").send(predictions_of(0), through=1)
    shared.store.remove(f"{shared.layout.baselines}/v1")
    shared.evaluator("pod-a").step(NOW)
    assert [verdict.verdict for verdict in shared.verdicts()] == [VerdictKind.NOT_ENOUGH_DATA]
