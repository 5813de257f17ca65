import json
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from typer.testing import CliRunner

from driftloop.cli import checkup
from driftloop.cli.app import build_app
from driftloop.cli.checkup import State, check_installation, check_licence, check_ports, check_workspace
from driftloop.controller.workspace import Workspace

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: small}
spec:
  problem: {task: Classification}
  data: {uri: small.csv, targetColumn: late}
"""
METADATA = """Metadata-Version: 2.4
Name: driftloop
Version: 0.1.0
Requires-Python: >=3.11
Requires-Dist: typer>=0.1
Requires-Dist: not-there-kfp>=2; extra == 'pipeline'
Requires-Dist: pandas>=99; extra == 'monitor'
Requires-Dist: alibi-detect-not-there; extra == 'monitor'
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(*arguments):
    outcome = CliRunner().invoke(build_app(), ["doctor", "--json", *arguments])
    return outcome.exit_code, json.loads(outcome.stdout)


def find(told, subject):
    return next(one for one in told["findings"] if one["subject"] == subject)


def test_this_machine_is_looked_at_as_a_whole():
    code, told = doctor()
    subjects = {one["subject"] for one in told["findings"]}
    assert code == 0
    assert {
        "Python",
        "driftloop",
        "packages",
        "extra monitor",
        "licence",
        "disk",
        "cores",
        "clock",
        "port 3000",
    } <= subjects


def test_the_licence_of_alibi_detect_is_named_with_the_way_around_it():
    _, told = doctor()
    licence = find(told, "licence")
    assert "Business Source License 1.1" in licence["message"]
    assert licence["remedy"] == "To do without: monitoring.engine: SciPy (the same tests, BSD licence)."


@pytest.fixture
def installation(tmp_path, monkeypatch):
    folder = tmp_path / "driftloop-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)


def test_missing_and_wrong_packages_are_faults_only_for_who_needs_them(installation):
    idle = {one.subject: one for one in check_installation((), ())}
    needy = {one.subject: one for one in check_installation(("pipeline", "monitor"), ("alibi-detect-not-there",))}
    assert (idle["extra pipeline"].state, needy["extra pipeline"].state) == (State.NOTE, State.FAULT)
    assert needy["extra pipeline"].message == "not installed: not-there-kfp"
    assert needy["extra pipeline"].remedy == "Install: pip install 'driftloop[pipeline]'"
    assert "asked for: >=99" in needy["extra monitor"].message
    assert "not-there" in idle["extra monitor"].message


def test_without_alibi_detect_there_is_no_licence_to_mind(monkeypatch):
    monkeypatch.setattr(checkup, "_version_of", lambda package: None)
    assert [one.state for one in check_licence(is_needed=False)] == [State.OK]


def test_a_taken_port_is_a_fault_for_a_loop_that_wants_it(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(checkup, "PORTS", {port: "--port"})
        [fault], [note] = (list(check_ports([], is_needed=needed)) for needed in (True, False))
    assert (fault.state, note.state) == (State.FAULT, State.NOTE)
    assert fault.remedy == "Stop that one, or choose another with --port."


def test_a_loop_without_its_data_is_a_fault(workplace):
    (workplace / "small.yaml").write_text(LOOP)
    code, told = doctor("small.yaml")
    assert (code, told["healthy"]) == (1, False)
    assert find(told, "loop small")["message"] == f"there are no data at {workplace / 'small.csv'}"


def test_a_loop_that_is_wrong_is_a_fault_in_its_own_words(workplace):
    (workplace / "small.yaml").write_text(LOOP.replace("late", "''"))
    code, told = doctor("small.yaml")
    assert code == 1
    assert find(told, "loop")["message"].endswith("Name the column to predict.")


def test_a_stopped_loop_is_told_with_how_to_go_on(workplace):
    workspace = Workspace(workplace / ".driftloop" / "small")
    workspace.create()
    workspace.lock().close()
    workspace.status.write_text(json.dumps({"champion": {"label": "v2"}, "run": {"stage": "train"}, "addresses": {}}))
    code, told = doctor()
    assert code == 0
    assert find(told, "workspace small")["message"] == (
        "stopped; champion: v2. A run was cut off; it goes on when the loop is started again."
    )


def test_a_running_loop_is_asked_whether_it_is_well(workplace):
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        status = {"champion": {"label": "v1"}, "addresses": {"predict": url, "labels": f"{url}/labels"}}
        (workplace / "status.json").write_text(json.dumps(status))
        well, ill = check_workspace(workplace, is_running=True)
        server.shutdown()
    assert (well.state, well.message) == (State.OK, f"{url} answers; champion: v1")
    assert (ill.state, ill.message) == (State.FAULT, f"{url}/labels does not answer: HTTP Error 404: Not Found")
