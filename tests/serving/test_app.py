import asyncio
import json
import logging
import time

import pytest

from driftloop.serving.app import ServingApp
from driftloop.serving.predictor import Predictor
from driftloop.serving.settings import ServingSettings
from tests.flightschema import ROW, SCHEMA

EVENT_TIME = {"driftloop-event-time": "2013-07-01T12:00:00Z"}
JSON = {"content-type": "application/json"}


class Recorder:
    """Stands at the tap's socket end: what the application hands over."""

    def __init__(self):
        self.messages = []

    async def serve(self, path):
        async def read(reader, writer):
            while line := await reader.readline():
                message = json.loads(line)
                if message["type"] == "hello":
                    writer.write(b'{"type": "hello", "sequence": 0}\n')
                elif message["type"] != "goodbye":
                    self.messages.append(message)
                    writer.write(b'{"type": "acknowledged", "sequence": %d}\n' % message["sequence"])
            writer.close()

        return await asyncio.start_unix_server(read, path)


async def ask(app, method, path, body=b"", headers=None, *, chunk=None):
    """Send one request as an ASGI server does; return status, headers and body."""
    chunks = [body[start : start + chunk] for start in range(0, len(body), chunk)] if chunk else [body]
    incoming = [
        {"type": "http.request", "body": part, "more_body": number < len(chunks) - 1}
        for number, part in enumerate(chunks)
    ]
    sent = []

    async def receive():
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await app({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
    start, end = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"]


def serve(predictor, scenario, **settings):
    """Run a scenario against an application of the model."""

    async def run():
        app = ServingApp()
        app.open(predictor, ServingSettings(**settings))
        try:
            return await scenario(app)
        finally:
            await asyncio.to_thread(app.close)

    return asyncio.run(run())


def post(predictor, payload, path="/predict", headers=JSON, chunk=None, **settings):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return serve(predictor, lambda app: ask(app, "POST", path, body, headers, chunk=chunk), **settings)


def test_rows_are_answered_with_predictions_probabilities_and_ids(predictor):
    status, headers, body = post(predictor, {"rows": [ROW, ROW | {"distance": -3}]})
    answer = json.loads(body)
    assert status == 200
    assert headers["driftloop-model-version"] == answer["modelVersion"] == "0123456789ab"
    assert headers["content-length"] == str(len(body))
    assert answer["predictions"] == [True, False]
    assert [sum(row) for row in answer["probabilities"]] == pytest.approx([1, 1])
    assert len(set(answer["predictionIds"])) == 2


def test_the_schema_can_be_asked(predictor):
    status, _, body = serve(predictor, lambda app: ask(app, "GET", "/schema"))
    assert status == 200
    assert type(SCHEMA).model_validate_json(body) == SCHEMA


@pytest.mark.parametrize(
    ("payload", "headers", "status", "field"),
    [
        (b"{", JSON, 400, None),
        ({"rows": []}, JSON, 422, "rows"),
        ({"rows": [ROW | {"distance": "far"}]}, JSON, 422, "distance"),
        ({"rows": [ROW] * 11}, JSON, 413, "rows"),
        ({"rows": [ROW | {"carrier": "x" * 5000}]}, JSON, 413, None),
        (b"\x80\x04N.", {"content-type": "application/vnd.bentoml+pickle"}, 415, "content-type"),
        (b"--x--", {"content-type": "multipart/form-data; boundary=x"}, 415, "content-type"),
        (b"\x1f\x8b", JSON | {"content-encoding": "gzip"}, 415, "content-encoding"),
    ],
)
def test_a_wrong_request_is_refused_with_message_and_field(predictor, payload, headers, status, field):
    got, answer_headers, body = post(predictor, payload, headers=headers, max_body_bytes=4000, max_rows=10)
    error = json.loads(body)["error"]
    assert (got, error["field"]) == (status, field)
    assert error["message"]
    assert answer_headers["driftloop-model-version"] == "0123456789ab"


@pytest.mark.parametrize("size", [1001, 3000, 50_000])
@pytest.mark.parametrize("states_size", [True, False])
def test_a_body_too_large_is_refused_stated_or_not(predictor, size, states_size):
    headers = JSON | ({"content-length": str(size)} if states_size else {})
    status, answer_headers, _ = post(predictor, b" " * size, headers=headers, chunk=500, max_body_bytes=1000)
    assert status == 413
    assert answer_headers["connection"] == "close"


def test_a_body_in_pieces_is_put_together(predictor):
    assert post(predictor, {"rows": [ROW]}, chunk=7)[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/predikt", 404)])
def test_a_wrong_address_names_the_right_ones(predictor, method, path, status):
    got, _, body = serve(predictor, lambda app: ask(app, method, path))
    assert got == status
    assert "POST" in json.loads(body)["error"]["message"]


def test_a_failing_model_is_a_500_without_a_prediction_and_is_logged(caplog):
    class Broken:
        def predict_proba(self, _frame):
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        status, _, body = post(Predictor(Broken(), SCHEMA, "v"), {"rows": [ROW]})
    assert status == 500
    assert "there is no prediction" in json.loads(body)["error"]["message"]
    assert "ZeroDivisionError" in caplog.text


def test_probes_are_answered_while_the_model_works():
    class Slow:
        def predict_proba(self, _frame):
            time.sleep(0.5)
            raise ZeroDivisionError

    async def scenario(app):
        slow = asyncio.create_task(ask(app, "POST", "/predict", json.dumps({"rows": [ROW]}).encode()))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        assert (await ask(app, "GET", "/schema"))[0] == 200
        assert time.monotonic() - start < 0.3
        await slow

    serve(Predictor(Slow(), SCHEMA, "v"), scenario)


def record(predictor, tmp_path, scenario, **settings):
    """Run a scenario with a monitor at the socket; return the messages it got."""
    path, recorder = tmp_path / "tap.sock", Recorder()

    async def run():
        server = await recorder.serve(path)
        app = ServingApp()
        app.open(predictor, ServingSettings(tap_socket=path, **settings))
        await scenario(app)
        await asyncio.to_thread(app.close)
        await asyncio.sleep(0.05)
        server.close()

    asyncio.run(run())
    return recorder.messages


def test_every_answer_is_recorded_with_the_raw_features(predictor, tmp_path):
    answers = []

    async def scenario(app):
        for _ in range(3):
            rows = [ROW | {"flight": 7}, ROW | {"flight": 8}]
            answers.append(await ask(app, "POST", "/predict", json.dumps({"rows": rows}).encode()))

    messages = [m for m in record(predictor, tmp_path, scenario) if m["type"] == "predictions"]
    assert [m["predictionIds"] for m in messages] == [json.loads(body)["predictionIds"] for _, _, body in answers]
    assert messages[0]["keys"] == ["7", "8"]
    assert messages[0]["features"] == {name: [value, value] for name, value in ROW.items()}
    first = json.loads(answers[0][2])
    assert messages[0]["outputs"]["prediction"] == first["predictions"]
    assert messages[0]["outputs"]["probability"] == [row[1] for row in first["probabilities"]]


def test_probes_and_refused_requests_are_not_recorded(predictor, tmp_path):
    async def scenario(app):
        probe = {"driftloop-probe": "1"}
        assert (await ask(app, "POST", "/predict", json.dumps({"rows": [ROW]}).encode(), probe))[0] == 200
        assert (await ask(app, "POST", "/predict", b"{}"))[0] == 422

    assert [m for m in record(predictor, tmp_path, scenario, clock="replay") if m["type"] == "predictions"] == []


def test_the_replay_clock_takes_times_and_watermarks_from_the_traffic(predictor, tmp_path):
    body = json.dumps({"rows": [ROW]}).encode()

    async def scenario(app):
        assert (await ask(app, "POST", "/predict", body, EVENT_TIME))[0] == 200
        assert (await ask(app, "POST", "/watermark", b'{"time": "2013-07-01T13:00:00+01:00"}'))[0] == 200
        status, _, answer = await ask(app, "POST", "/predict", body)
        assert (status, json.loads(answer)["error"]["field"]) == (422, "driftloop-event-time")
        status, _, answer = await ask(app, "POST", "/predict", body, {"driftloop-event-time": "noon"})
        assert (status, json.loads(answer)["error"]["field"]) == (422, "driftloop-event-time")

    messages = record(predictor, tmp_path, scenario, clock="replay")
    noon = "2013-07-01T12:00:00+00:00"
    assert [(m["type"], m["time"]) for m in messages] == [("predictions", noon), ("watermark", noon)]


def test_the_wall_clock_takes_neither(predictor, tmp_path):
    async def scenario(app):
        assert (await ask(app, "POST", "/watermark", b'{"time": "2013-07-01T12:00:00Z"}'))[0] == 409
        assert (await ask(app, "POST", "/predict", json.dumps({"rows": [ROW]}).encode(), EVENT_TIME))[0] == 200

    messages = record(predictor, tmp_path, scenario)
    assert not any(m["time"].startswith("2013") for m in messages)


def test_a_client_that_goes_away_is_no_failure_of_the_model(predictor, caplog):
    async def scenario(app):
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        await app({"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send)

    serve(predictor, scenario)
    assert not caplog.records
