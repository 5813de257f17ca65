import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from driftloop.predictionlog import PredictionLogReader
from driftloop.sidecar import tap
from tests.sidecar.conftest import ModelServer, at, environment, predictions, wait_until, watermark

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2013, 1, 1, tzinfo=UTC)


def logged(running):
    return list(running.reader.predictions(EARLIEST, FOREVER).prediction_id)


def committed_through(running, hours):
    return running.status()["completeThrough"] == at(hours)


def test_a_watermark_of_the_replay_commits_at_once(start_intake):
    running = start_intake()
    server = running.connect()
    server.send(predictions(0), predictions(2, hours=1), watermark(2))
    wait_until(lambda: committed_through(running, 2))
    assert logged(running) == ["p0", "p1", "p2", "p3"]
    assert running.reader.complete_through().isoformat() == at(2)


def test_the_wall_clock_commits_every_interval(start_intake):
    running = start_intake(clock="wall", commit_interval_seconds=1.5)
    running.connect().send(predictions(0), watermark(2))
    wait_until(lambda: running.status()["pending"]["rows"] == 2)
    assert running.status()["completeThrough"] is None
    wait_until(lambda: committed_through(running, 2))
    assert logged(running) == ["p0", "p1"]


def test_rows_that_the_tap_dropped_are_counted(start_intake):
    running = start_intake()
    running.connect().send(predictions(0, dropped=3), watermark(1, dropped=4), watermark(2))
    wait_until(lambda: committed_through(running, 2))
    assert running.status()["dropped"] == 7
    assert running.reader.counts().dropped == 7


MALFORMED = [
    b"no JSON\n",
    b"\xff\xfe\n",
    b"[]\n",
    b'{"type": "unheard of"}\n',
    b'{"type": "watermark", "time": "2013", "dropped": 0}\n',
    b'{"type": "watermark", "time": "2013-03-01T00:00:00", "dropped": 0}\n',
    b'{"type": "predictions", "modelVersion": "v1"}\n',
    b"\n",
]


def test_malformed_lines_are_counted_and_harm_nothing(start_intake):
    running = start_intake()
    server = running.connect()
    for number, line in enumerate(MALFORMED):
        server.send_bytes(line)
        server.send(predictions(number, rows=1))
    server.send(watermark(1))
    wait_until(lambda: committed_through(running, 1))
    assert running.status()["malformed"] == len(MALFORMED)
    assert len(logged(running)) == len(MALFORMED)


def test_a_batch_whose_columns_do_not_fit_is_malformed(start_intake):
    running = start_intake()
    running.connect().send(predictions(0, keys=["only one"]), watermark(1))
    wait_until(lambda: committed_through(running, 1))
    assert running.status()["malformed"] == 1


def test_a_line_without_end_is_malformed_and_the_connection_goes_on(start_intake, monkeypatch):
    monkeypatch.setattr(tap, "MAX_LINE_BYTES", 10_000)
    running = start_intake()
    server = running.connect()
    server.send_bytes(b"x" * 100_000 + b"\n")
    server.send(predictions(0), watermark(1))
    wait_until(lambda: committed_through(running, 1))
    assert running.status()["malformed"] >= 1
    assert logged(running) == ["p0", "p1"]


def test_half_a_line_of_a_dying_server_is_malformed(start_intake):
    running = start_intake()
    server = running.connect()
    server.send_bytes(b'{"type": "watermark", "ti')
    server.close()
    wait_until(lambda: running.status()["malformed"] == 1)
    wait_until(lambda: running.status()["connections"] == 0)


def test_the_old_server_holds_the_watermark_until_it_is_gone(start_intake):
    running = start_intake()
    old, new = running.connect(), running.connect()
    old.send(predictions(0), watermark(1))
    wait_until(lambda: committed_through(running, 1))
    new.send(predictions(2, hours=1, modelVersion="v2"), watermark(3))
    wait_until(lambda: running.status()["watermark"] == at(3))
    assert committed_through(running, 1)
    old.send(predictions(4, hours=2))
    old.close()
    wait_until(lambda: committed_through(running, 3))
    assert logged(running) == ["p0", "p1", "p2", "p3", "p4", "p5"]


def test_labels_join_by_key_and_by_prediction_id(start_intake):
    running = start_intake()
    server = running.connect()
    server.send(predictions(0, keys=["17", "seventeen"]), predictions(2, keys=None))
    answer = running.post(
        {"key": 17, "label": True, "time": at(24)},
        {"key": "seventeen", "label": False, "time": at(24)},
        {"predictionId": "p2", "label": True, "time": at(24)},
    )
    assert (answer.status_code, answer.json()) == (200, {"accepted": 3})
    server.send(watermark(25))
    wait_until(lambda: committed_through(running, 25))
    joined = running.reader.joined(EARLIEST, FOREVER)
    assert joined.label.tolist()[:3] == [True, False, True]
    assert running.status()["labels"] == 3


def test_by_wall_clock_a_label_gets_the_time_of_its_receipt(start_intake):
    running = start_intake(clock="wall")
    running.connect().send(predictions(0))
    wait_until(lambda: running.status()["pending"]["rows"] == 2)
    assert running.post({"key": "k0", "label": 1}).status_code == 200
    running.stop()
    received = running.reader.joined(EARLIEST, FOREVER).label_time[0]
    assert abs(datetime.now(UTC) - received.to_pydatetime()) < timedelta(minutes=1)


WRONG_LABELS = [
    (
        {"key": "k", "label": None, "time": at(1)},
        "labels[1].label",
        "must be a string, a boolean or a finite number",
    ),
    ({"key": "k", "label": [1], "time": at(1)}, "labels[1].label", "must be a string"),
    ({"key": "k", "time": at(1)}, "labels[1].label", "required"),
    ({"key": True, "label": 1, "time": at(1)}, "labels[1].key", "must be a string or a number"),
    ({"label": 1, "time": at(1)}, "labels[1]", "either 'key' or 'predictionId'"),
    ({"key": "k", "predictionId": "p", "label": 1, "time": at(1)}, "labels[1]", "either 'key' or 'predictionId'"),
    ({"key": "k", "label": 1, "time": "yesterday"}, "labels[1].time", "ISO 8601"),
    ({"key": "k", "label": 1}, "labels[1].time", "required in replay mode"),
    ({"key": "k", "label": 1, "time": at(1), "colour": "red"}, "labels[1].colour", "not permitted"),
]


def test_a_wrong_label_is_refused_by_field_and_index_and_none_is_kept(start_intake):
    running = start_intake()
    for wrong, field, message in WRONG_LABELS:
        answer = running.post({"key": "fine", "label": 1, "time": at(1)}, wrong)
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == field
        assert message in answer.json()["error"]["message"]
    assert running.status()["pending"]["labels"] == 0


def test_by_wall_clock_a_time_of_ones_own_is_refused(start_intake):
    running = start_intake(clock="wall")
    answer = running.post({"key": "k", "label": 1, "time": at(1)})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "labels[0].time")


def test_bodies_that_are_no_labels_are_refused(start_intake):
    running = start_intake()
    assert running.http.post("/labels", content=b"{").status_code == 400
    assert running.http.post("/labels", content=b"\xff").status_code == 400
    assert running.http.post("/labels", json=[]).status_code == 422
    assert running.http.post("/labels", json={"labels": []}).status_code == 422
    assert running.http.post("/labels", content=b" " * 9_000_000).status_code == 413
    assert running.http.get("/labels").status_code == 405


def test_health_and_metrics_tell_what_the_intake_does(start_intake):
    running = start_intake()
    running.connect().send(predictions(0), watermark(1))
    wait_until(lambda: committed_through(running, 1))
    assert running.http.get("/healthz").json() == {"status": "ok"}
    metrics = running.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "driftloop_monitor_predictions_total 2.0" in metrics.text
    assert "driftloop_monitor_tap_connections 1.0" in metrics.text


def test_a_full_disk_refuses_labels_holds_rows_and_loses_none(start_intake):
    running = start_intake()
    server = running.connect(name="a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        server.send(predictions(0, rows=5, server="a", sequence=1), watermark(1))
        wait_until(lambda: running.status()["unlogged"] == 5)
        answer = running.post({"key": "k", "label": 1, "time": at(1)})
        health = running.http.get("/healthz")
        assert running.status()["acknowledged"] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer.status_code == 507
    assert "Free space" in answer.json()["error"]["message"]
    assert health.status_code == 503
    assert server.read() == {"type": "acknowledged", "sequence": 1}
    wait_until(lambda: committed_through(running, 1))
    assert logged(running) == ["p0", "p1", "p2", "p3", "p4"]
    assert running.reader.counts().dropped == 0
    assert running.http.get("/healthz").is_success


def test_a_hello_is_answered_and_what_is_on_disk_is_acknowledged(start_intake):
    running = start_intake()
    server = running.connect(name="a")
    server.send(predictions(0, server="a", sequence=1), watermark(1, server="a", sequence=2))
    assert server.read_through(2) == {"type": "acknowledged", "sequence": 2}
    assert running.status()["acknowledged"] == 2
    assert running.reader.counts().rows + running.status()["pending"]["rows"] == 2


def test_a_server_that_says_no_hello_hears_nothing(start_intake):
    running = start_intake()
    server = running.connect()
    server.send(predictions(0), watermark(1))
    wait_until(lambda: committed_through(running, 1))
    server.silent_for(0.2)


def test_what_is_sent_again_is_kept_once_and_its_drops_count_once_across_restarts(start_intake):
    running = start_intake()
    server = running.connect(name="a")
    messages = [
        predictions(0, dropped=3, server="a", sequence=1),
        watermark(1, dropped=4, server="a", sequence=2),
        predictions(2, server="a", sequence=3),
    ]
    server.send(*messages)
    server.read_through(3)
    again = running.connect(name="a")
    assert again.received == 3
    again.send(*messages)
    wait_until(lambda: running.status()["duplicates"] == 4)
    running.stop()
    running = start_intake()
    late = running.connect(name="a")
    assert late.received == 3
    late.send(*messages, predictions(4, server="a", sequence=4), watermark(2, server="a", sequence=5))
    wait_until(lambda: committed_through(running, 2))
    assert logged(running) == ["p0", "p1", "p2", "p3", "p4", "p5"]
    counts = running.reader.counts()
    assert (counts.rows, counts.dropped) == (6, 7)


def test_a_restarted_monitor_promises_nothing_before_servers_had_time_to_return(start_intake):
    running = start_intake(return_seconds=1.5)
    fast, slow = running.connect(name="fast"), running.connect(name="slow", through=at(1))
    fast.send(watermark(9, server="fast", sequence=1))
    wait_until(lambda: running.status()["watermark"] == at(9))
    assert running.status()["completeThrough"] is None
    slow.send(predictions(0, hours=1, server="slow", sequence=1))
    wait_until(lambda: committed_through(running, 1))
    slow.send(watermark(9, server="slow", sequence=2))
    wait_until(lambda: committed_through(running, 9))
    assert logged(running) == ["p0", "p1"]


@pytest.mark.parametrize("sync", ["always", "interval", "never"])
def test_whatever_is_waited_for_everything_is_logged(start_intake, sync):
    running = start_intake(sync=sync, sync_interval_seconds=0.1)
    server = running.connect(name="a")
    server.send(predictions(0, server="a", sequence=1), watermark(1, server="a", sequence=2))
    server.read_through(2)
    assert running.post({"key": "k0", "label": 1, "time": at(1)}).is_success
    server.send(watermark(2, server="a", sequence=3))
    wait_until(lambda: committed_through(running, 2))
    assert logged(running) == ["p0", "p1"]
    assert running.reader.counts().labels == 1


def test_a_stopped_intake_has_committed_what_it_took_and_goes_on_where_it_was(start_intake):
    running = start_intake(clock="wall")
    running.connect().send(predictions(0), watermark(1))
    wait_until(lambda: running.status()["pending"]["rows"] == 2)
    running.stop()
    assert logged(running) == ["p0", "p1"]
    again = start_intake(clock="wall")
    assert again.status()["rows"] == 2
    assert again.status()["completeThrough"] == at(1)


def test_a_busy_port_and_an_impossible_socket_are_explained(start_intake, monitor_settings, tmp_path):
    running = start_intake()
    other = monitor_settings.model_copy(update={"log_dir": tmp_path / "other"})
    answer = run_intake(other)
    assert (answer.returncode, "Free the port" in answer.stderr) == (1, True)
    answer = run_intake(other.model_copy(update={"tap_socket": tmp_path / ("x" * 120), "labels_port": 1024}))
    assert (answer.returncode, "short path" in answer.stderr) == (1, True)
    answer = run_intake(running.settings)
    assert (answer.returncode, "one writer 'monitor' at a time" in answer.stderr) == (1, True)


def test_the_intake_starts_without_pandas():
    code = "import sys, driftloop.sidecar.intake; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def run_intake(settings):
    return subprocess.run(
        [sys.executable, "-m", "driftloop.sidecar", "intake"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_labels_that_were_acknowledged_survive_kill_9(monitor_settings, start_intake):
    command = [sys.executable, "-m", "driftloop.sidecar", "intake"]
    with subprocess.Popen(command, env=environment(monitor_settings)) as process:
        wait_until(monitor_settings.tap_socket.exists)
        server = wait_until(lambda: connected(monitor_settings.tap_socket))
        server.send(predictions(0))
        with httpx.Client(base_url=f"http://127.0.0.1:{monitor_settings.labels_port}", timeout=30) as http:
            wait_until(lambda: http.get("/status").json()["pending"]["rows"] == 2)
            assert http.post("/labels", json={"labels": [{"key": "k0", "label": True, "time": at(1)}]}).is_success
        process.send_signal(signal.SIGKILL)
    server.close()
    running = start_intake()
    assert running.status()["pending"] == {"rows": 2, "labels": 1, "dropped": 0}
    running.stop()
    joined = PredictionLogReader(monitor_settings.log_dir).joined(EARLIEST, FOREVER)
    assert joined.label.tolist()[0] is True


def connected(path):
    try:
        return ModelServer(path)
    except ConnectionRefusedError:
        return None
