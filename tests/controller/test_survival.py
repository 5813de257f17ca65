"""One real loop whose processes are killed and whose disk fills up: it goes on, and says what happened."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from driftloop.controller.ledger import read_ledger
from driftloop.loop.history import Promoted, RunStarted, Started
from tests.controller.test_up import DAY, LOOP, START, Loop, champion, parcels

pytestmark = pytest.mark.local

PROBE = {"driftloop-probe": "1"}


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survival")
    rows = parcels(1000, START - 30 * DAY, DAY / 36, seed=1)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (folder / "parcels.csv").write_text("\n".join(lines))
    (folder / "parcels.yaml").write_text(LOOP)
    loop = Loop(folder)
    loop.start()
    yield loop
    if loop.process.poll() is None:
        loop.stop()


def pids(loop: Loop, word: str) -> list[int]:
    """Return the children of the host whose command holds a word, oldest first."""
    host = loop.process.pid
    children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
    return [int(pid) for pid in children if word in Path(f"/proc/{pid}/cmdline").read_text()]


def until(condition, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def said(loop: Loop) -> str:
    return (loop.folder / "up.log").read_text()


def row() -> list[dict]:
    rows = parcels(1, START, DAY, seed=3)
    del rows[0]["late"]
    return rows


def has_standby(loop: Loop) -> bool:
    """Whether both servers answer by themselves."""
    servers = pids(loop, "bento_server.py")
    ports = [Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")[-1] for pid in servers]

    def answers(port: str) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
        except requests.ConnectionError:
            return False

    return len(ports) == 2 and all(map(answers, ports))


def test_a_killed_controller_comes_back_to_its_servers_and_no_request_fails(loop):
    until(lambda: has_standby(loop))
    servers, monitor = pids(loop, "bento_server.py"), pids(loop, "driftloop.sidecar")
    (controller,) = pids(loop, "driftloop.controller")
    failures, stop = [], threading.Event()

    def keep_asking():
        with requests.Session() as session:
            while not stop.wait(0.02):
                answer = session.post(f"{loop.url}/predict", json={"rows": row()}, headers=PROBE, timeout=30)
                if answer.status_code != 200:
                    failures.append(answer.text)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    starts = len([entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Started)])
    os.kill(controller, signal.SIGKILL)
    until(lambda: sum(isinstance(e, Started) for e in read_ledger(loop.workspace.ledger)) > starts)
    loop.live_through_day(0)
    stop.set()
    asking.join()
    assert failures == []
    assert pids(loop, "bento_server.py") == servers
    assert pids(loop, "driftloop.sidecar") == monitor
    assert sum(isinstance(entry, RunStarted) for entry in read_ledger(loop.workspace.ledger)) == 1
    assert "the controller was killed by signal 9; it starts again" in said(loop)


def test_a_request_at_a_killed_server_is_told_that_its_fate_is_unknown_and_the_next_is_answered(loop):
    until(lambda: has_standby(loop))
    first, second = pids(loop, "bento_server.py")
    for server in (first, second):  # whoever serves, the request reaches it and is not answered
        os.kill(server, signal.SIGSTOP)
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(
            requests.post(f"{loop.url}/predict", json={"rows": row()}, headers=PROBE, timeout=30)
        )
    )
    asking.start()
    time.sleep(1)
    for server in (first, second):
        os.kill(server, signal.SIGKILL)
    asking.join()
    assert answers[0].status_code == 502
    assert "Whether it did the work is unknown. Try again." in answers[0].json()["error"]["message"]

    def is_answered() -> bool:  # at the first try, unless the machine is too busy to start a server in half a minute
        return requests.post(f"{loop.url}/predict", json={"rows": row()}, headers=PROBE, timeout=60).ok

    until(is_answered, 180)
    assert "ended with code -9; it is started again" in said(loop)


def test_a_killed_monitor_comes_back_and_labels_wait_for_it(loop):
    (monitor,) = pids(loop, "driftloop.sidecar")
    os.kill(monitor, signal.SIGKILL)
    labels = [{"key": "unknown", "label": True, "time": START.isoformat()}]
    answer = requests.post(f"http://127.0.0.1:{loop.labels_port}/labels", json={"labels": labels}, timeout=60)
    assert answer.json() == {"accepted": 1}, "it waited for the monitor that was being started again"
    assert "the monitor ended with code -9; it is started again, requests wait" in said(loop)


def test_a_full_disk_is_told_and_the_same_controller_goes_on_when_there_is_space(loop):
    (controller,) = pids(loop, "driftloop.controller")
    draft = loop.workspace.status.with_name("status.json.draft")
    draft.symlink_to("/dev/full")  # every write fails for lack of space
    loop.live_through_day(1)
    assert f"the disk of '{loop.workspace.root}' is full" in said(loop)
    assert "Free some space, and the loop goes on by itself" in said(loop)
    assert pids(loop, "driftloop.controller") == [controller]


def test_a_controller_that_breaks_leaves_its_servers_alone_and_is_started_again(loop):
    until(lambda: has_standby(loop))
    servers = pids(loop, "bento_server.py")
    draft = loop.workspace.status.with_name("status.json.draft")
    draft.mkdir()  # nobody has thought of that
    loop.ask(row(), START + 2 * DAY).raise_for_status()
    watermark = {"time": (START + 3 * DAY).isoformat()}
    requests.post(f"{loop.url}/watermark", json=watermark, timeout=30).raise_for_status()
    until(lambda: "the controller ended with code 70, see its log; it starts again" in said(loop))
    draft.rmdir()
    loop.wait_for(lambda status: (status["settledThrough"] or "") >= watermark["time"])
    assert pids(loop, "bento_server.py") == servers
    assert "IsADirectoryError" in (loop.workspace.logs / "controller.log").read_text()


def test_what_the_controller_says_is_in_its_log_with_the_time(loop):
    log = (loop.workspace.logs / "controller.log").read_text()
    for part in ("controller", "host"):
        assert f" INFO {part} driftloop.controller." in log
    assert re.search(r"training v1: stage train, \d+ of 17", said(loop))
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d\d\d INFO ", log)


def test_a_corrupt_status_is_rebuilt_from_the_ledger(loop):
    before = champion(loop)
    assert loop.stop() == 0
    loop.workspace.status.write_text('{"champion": nobody')
    loop.start()
    assert champion(loop) == before


def test_a_broken_champion_without_a_predecessor_ends_with_what_to_do(loop):
    assert loop.stop(signal.SIGINT) == 0
    promoted = [entry for entry in read_ledger(loop.workspace.ledger) if isinstance(entry, Promoted)]
    bento = Path(promoted[-1].model.result.bento_uri)
    (bento / "src" / "model" / "schema.json").write_text("{}")
    command = [sys.executable, "-m", "driftloop", "up", str(loop.folder / "parcels.yaml"), "--clock", "replay"]
    command += ["--workspace", str(loop.workspace.root), "--port", str(loop.port)]
    command += ["--labels-port", str(loop.labels_port)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert "The file 'model/schema.json' has another content" in ended.stderr
    assert f"Restore '{bento}' from a backup, or begin again with another --workspace" in ended.stderr
    assert "Traceback" not in ended.stderr
