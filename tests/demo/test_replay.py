"""The replay's moments, and its client against a real server."""

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from driftloop.demo.replay import Bystander, Client, NoAnswerError, RequestFailedError, moments

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def test_moments_are_ends_of_whole_windows_and_of_their_labels():
    assert list(moments(MONDAY, MONDAY + 2.5 * DAY, DAY)) == [
        MONDAY + 1 * DAY,
        MONDAY + 2 * DAY,
        MONDAY + 2 * DAY,
        MONDAY + 3 * DAY,
        MONDAY + 3.5 * DAY,
    ]


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = b"{}" if self.path == "/predict" else b"no such thing"
            self.send_response(200 if self.path == "/predict" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_answer_other_than_200_is_an_error_with_its_text(server):
    with pytest.raises(RequestFailedError, match="404: no such thing"):
        Client(server).post("/labels", {})


def test_no_answer_is_an_error():
    with pytest.raises(NoAnswerError, match="must be answered"):
        Client("http://127.0.0.1:9").post("/predict", {})


def test_the_bystander_counts_what_fails(server):
    good, bad = Bystander(server, [{}], 0.001), Bystander("http://127.0.0.1:9", [{}], 0.001)
    for bystander in (good, bad):
        bystander.start()
    while good.requests < 5 or bad.requests < 5:
        pass
    for bystander in (good, bad):
        bystander.stop()
    assert good.failures == []
    assert len(bad.failures) == bad.requests
