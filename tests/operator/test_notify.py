import http.server
import json
import threading
import time

import pytest

from driftloop.operator.metrics import Metrics
from driftloop.operator.notify import Webhook
from driftloop.spec import VerdictKind


class Receiver:
    def __init__(self, *, delay=0.0, status=200):
        self.events = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                time.sleep(delay)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.events.append((self.headers["Content-Type"], json.loads(body)))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def end(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.end()


def test_every_notice_is_posted_once_across_restarts(world, receiver):
    webhook = Webhook(receiver.url, 5, Metrics())
    world.restart(webhook=webhook)
    world.serve_first()
    name = world.drift()
    world.steps(3)
    webhook.close()
    webhook = Webhook(receiver.url, 5, Metrics())
    world.restart(webhook=webhook)
    world.steps(2)
    webhook.close()

    kinds = [event["type"] for _, event in receiver.events]
    assert sorted(kinds) == sorted(
        [
            "dev.driftloop.RunStarted",
            "dev.driftloop.RunFinished",
            "dev.driftloop.Promoted",
            "dev.driftloop.RunStarted",
            "dev.driftloop.ConceptDrift",
        ]
    )
    content_type, event = next((t, e) for t, e in receiver.events if e["type"].endswith("ConceptDrift"))
    assert content_type == "application/cloudevents+json"
    assert event["specversion"] == "1.0"
    assert event["data"]["driftReport"] == name
    assert event["data"]["warning"] is True
    assert event["source"].endswith("/namespaces/default/modelloops/wine")
    assert len({e["id"] for _, e in receiver.events}) == len(receiver.events)


def test_a_quiet_report_is_no_notice(world, receiver):
    webhook = Webhook(receiver.url, 5, Metrics())
    world.serve_first()
    world.restart(webhook=webhook)
    world.drift(kind=VerdictKind.STABLE)
    world.step()
    webhook.close()

    assert receiver.events == []


def test_a_receiver_that_hangs_holds_no_step_up(world):
    receiver = Receiver(delay=3)
    metrics = Metrics()
    world.restart(webhook=Webhook(receiver.url, 0.2, metrics))
    world.apply()
    begun = time.monotonic()

    world.step()

    assert time.monotonic() - begun < 2
    assert world.runs.started
    deadline = time.monotonic() + 20
    while not metrics.notifications.labels("failed")._value.get():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    receiver.end()


def test_people_read_events_in_plain_words(world):
    world.serve_first()
    world.drift()
    world.steps(3)

    told = dict(world.events())
    assert told["Promoted"].startswith("v1 (aaaaaaaaaaaa) promoted")
    assert "ConceptDrift was seen" in told["RunStarted"] or "no model yet" in told["RunStarted"]
    assert "ConceptDrift" in told["ConceptDrift"]
    types = {one["reason"]: one["type"] for one in world.api.list("Event", world.namespace)}
    assert types["ConceptDrift"] == "Warning"
    assert types["Promoted"] == "Normal"
