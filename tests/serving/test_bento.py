import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from driftloop.adapters.bento import BentoNotFoundError, BuiltBento, build, fetch, put, serving_requirements
from driftloop.stages.package import ContentDiffersError, verify_digests
from tests.flightcontent import assemble_flights
from tests.flightschema import ROW
from tests.smallmodel import write_model_files

pytestmark = [
    pytest.mark.local,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # bentoml's use of pathspec, pydantic and importlib
]
READY_SECONDS = 90


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A BentoML store of our own, named before bentoml is imported."""
    home = tmp_path_factory.mktemp("bentoml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home))
        patch.setenv("BENTOML_DO_NOT_TRACK", "1")
        yield home


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flights")
    return assemble_flights(folder / "content", write_model_files(folder))


@pytest.fixture(scope="module")
def bento(home, content):
    return build(content, "flights")


@pytest.fixture(scope="module")
def stored(bento, content, tmp_path_factory):
    return put(bento, content.digest, str(tmp_path_factory.mktemp("store")))


def bentoml(*arguments):
    command = [sys.executable, "-m", "bentoml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_bento_is_named_by_its_content_and_built_once(home, bento, content):
    assert bento.tag == f"flights:{content.digest[:12]}"
    assert verify_digests(bento.path / "src", content.digest) == content.digest
    made = (bento.path / "bento.yaml").stat().st_mtime_ns
    assert build(content, "flights") == bento
    assert (bento.path / "bento.yaml").stat().st_mtime_ns == made


def test_a_second_bento_can_be_built_in_the_same_process(home, content, tmp_path):
    files = write_model_files(tmp_path)
    files.training.write_text('{"trainedThrough": "2013-03-01T00:00:00Z"}')
    other = assemble_flights(tmp_path / "content", files)
    assert build(other, "flights").tag == f"flights:{other.digest[:12]}" != f"flights:{content.digest[:12]}"


def test_the_serving_packages_are_pinned():
    assert all("==" in requirement for requirement in serving_requirements())
    assert any(requirement.startswith("skops==") for requirement in serving_requirements())


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_a_bento_comes_back_from_a_store_as_it_was_put(scheme, bento, content, tmp_path):
    store = f"{scheme}{tmp_path}/store"
    uri = put(bento, content.digest, store)
    assert uri == f"{store}/bentos/{content.digest}"
    assert put(bento, content.digest, store) == uri
    folder = fetch(uri, content.digest, tmp_path / "here" / "bento")
    assert verify_digests(folder / "src") == content.digest
    assert (folder / "bento.yaml").read_bytes() == (bento.path / "bento.yaml").read_bytes()
    assert fetch(uri, content.digest, folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["bento"]


def test_a_changed_bento_is_not_fetched(bento, content, tmp_path):
    uri = put(bento, content.digest, str(tmp_path))
    (Path(uri) / "src" / "service.py").write_text("import os")
    with pytest.raises(ContentDiffersError, match=r"service\.py"):
        fetch(uri, content.digest, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_another_bento_than_the_one_wanted_is_not_fetched(stored, tmp_path):
    with pytest.raises(ContentDiffersError, match="has the digest"):
        fetch(stored, "0" * 64, tmp_path / "here")


def test_an_incomplete_bento_is_not_fetched(content, tmp_path):
    half = tmp_path / "store" / "bentos" / content.digest
    (half / "src").mkdir(parents=True)
    with pytest.raises(BentoNotFoundError, match="Run the training pipeline again"):
        fetch(str(half), content.digest, tmp_path / "here")


def test_two_runs_that_put_the_same_bento_end_in_the_same_place(bento, content, tmp_path):
    results = []
    puts = [
        threading.Thread(target=lambda: results.append(put(bento, content.digest, str(tmp_path)))) for _ in range(4)
    ]
    for thread in puts:
        thread.start()
    for thread in puts:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 4
    assert [path.name for path in (tmp_path / "bentos").iterdir()] == [content.digest]
    assert isinstance(bento, BuiltBento)


@pytest.mark.slow
def test_bentoml_lists_and_exports_it_without_our_command(home, bento, tmp_path):
    assert bento.tag in bentoml("list")
    bentoml("export", bento.tag, str(tmp_path / "flights.bento"))
    assert (tmp_path / "flights.bento").stat().st_size > 10_000


class Server:
    """A model server started by `bentoml serve`."""

    def __init__(self, what, log, **env):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        command = [sys.executable, "-m", "bentoml", "serve", str(what), "--host", "127.0.0.1", "--port", str(port)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=os.environ | env, stdout=output, stderr=output)

    def ask(self, path, body=None, headers=None, timeout=30):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers or {})  # noqa: S310 - our own server
        if data is not None and not headers:
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    def until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("/readyz")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the server did not become ready:\n{self.log.read_text()[-3000:]}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Monitor:
    """The monitor's end of the tap."""

    def __init__(self, path):
        self.path = path
        self.messages = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(READY_SECONDS)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with self._listener:
            connection, _ = self._listener.accept()
        with connection, connection.makefile() as lines:
            for message in map(json.loads, lines):
                self.messages.append(message)
                if message["type"] == "hello":
                    connection.sendall(b'{"type": "hello", "sequence": 0}\n')
                elif message["type"] != "goodbye":
                    connection.sendall(b'{"type": "acknowledged", "sequence": %d}\n' % message["sequence"])


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    return Monitor(tmp_path_factory.mktemp("tap") / "tap.sock")


@pytest.fixture(scope="module")
def server(home, stored, content, monitor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    fetched = fetch(stored, content.digest, folder / "bento")
    server = Server(fetched, folder / "log", DRIFTLOOP_SERVING_TAP_SOCKET=str(monitor.path))
    yield server.until_ready()
    if server.process.poll() is None:
        server.stop()


def test_a_fetched_bento_serves_its_own_model(server, content):
    status, headers, body = server.ask("/predict", {"rows": [ROW, ROW]})
    assert status == 200
    assert headers["driftloop-model-version"] == content.version
    assert json.loads(body)["predictions"] == [True, True]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/schema"])
def test_the_probes_and_the_schema_answer(server, path):
    assert server.ask(path)[0] == 200


def test_the_metrics_count_the_tap(server):
    status, _, body = server.ask("/metrics")
    assert status == 200
    assert b"bentoml_service_request_total" in body
    assert b"driftloop_tap_rows_dropped_total 0" in body


def test_wrong_requests_are_refused_over_http(server):
    pickle = {"content-type": "application/vnd.bentoml+pickle"}
    assert server.ask("/predict", b"\x80\x04N.", pickle)[0] == 415
    assert server.ask("/predict", b"{")[0] == 400
    assert server.ask("/predict", b" " * 4_100_000)[0] == 413
    status, _, body = server.ask("/predict", {"rows": [ROW | {"distance": "far"}]})
    assert (status, json.loads(body)["error"]["field"]) == (422, "distance")


def test_a_server_told_to_stop_finishes_what_it_accepted_and_empties_its_tap(server, monitor):
    answered, refused = [], []

    def ask():
        while not refused:
            try:
                _, _, body = server.ask("/predict", {"rows": [ROW]})
                answered.extend(json.loads(body)["predictionIds"])
            except OSError as error:
                refused.append(error)

    client = threading.Thread(target=ask)
    client.start()
    time.sleep(1)
    assert server.stop() == 0
    client.join()
    monitor.thread.join(10)
    recorded = {id_ for message in monitor.messages for id_ in message.get("predictionIds", ())}
    assert len(answered) > 10
    assert set(answered) <= recorded
    assert "watermark" in {message["type"] for message in monitor.messages}
    assert monitor.messages[-1] == {"type": "goodbye"}


@pytest.mark.slow
def test_bentoml_serves_it_by_tag(home, bento, tmp_path):
    server = Server(bento.tag, tmp_path / "log").until_ready()
    assert server.ask("/predict", {"rows": [ROW]})[0] == 200
    assert server.stop() == 0
    assert verify_digests(bento.path / "src")


@pytest.mark.slow
def test_a_changed_model_never_becomes_ready(home, stored, content, tmp_path):
    folder = fetch(stored, content.digest, tmp_path / "bento")
    (folder / "src" / "model" / "baseline.json").write_text("changed")
    server = Server(folder, tmp_path / "log")
    deadline = time.monotonic() + READY_SECONDS
    while "model/baseline.json" not in server.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.2)
    with pytest.raises(OSError, match=r"refused|timed out|reset|closed"):
        server.ask("/readyz", timeout=0.5)
    server.process.kill()
    server.process.wait()
