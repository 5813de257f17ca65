"""The supervisor with small children of its own; the last test runs the real ones."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from driftloop.adapters.processes import MAX_BACKOFF_SECONDS, STABLE_SECONDS
from driftloop.sidecar.supervisor import Child
from tests.sidecar.conftest import environment, wait_until

# A child writes its process id to a new file at each start, and a word when it is asked to end.
SUPERVISOR = """
import sys
from pathlib import Path
from driftloop.sidecar.supervisor import Child, supervise

folder = sys.argv[1]
child = '''
import os, signal, sys, time
from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[2]
def end(*_):
    (folder / f"{name}.ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(folder / f"{name}.{os.getpid()}").touch()
while True:
    time.sleep(0.05)
'''
commands = [[sys.executable, "-c", child, folder, name] for name in ("intake", "evaluator")]
supervise([Child("intake", commands[0]), Child("evaluator", commands[1]), Child("ghost", ["/no/such/program"])])
"""


@pytest.fixture
def supervisor(tmp_path):
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path)]) as process:
        yield process
        process.terminate()


def started(folder, name):
    """Return the process ids of all starts of a child."""
    return {int(path.suffix[1:]) for path in folder.glob(f"{name}.[0-9]*")}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_supervisor_is_up_before_anything_heavy_is_loaded():
    """It starts the intake, and what it loads first delays the first record."""
    code = "import sys, driftloop.sidecar.__main__, driftloop.sidecar.supervisor; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert loaded.isdisjoint({"numpy", "pandas", "pyarrow", "starlette", "driftloop.spec", "driftloop.monitor"})


def test_a_killed_child_is_started_again_and_the_other_left_alone(supervisor, tmp_path):
    (intake,) = wait_until(lambda: started(tmp_path, "intake"))
    (evaluator,) = wait_until(lambda: started(tmp_path, "evaluator"))
    os.kill(evaluator, signal.SIGKILL)
    wait_until(lambda: len(started(tmp_path, "evaluator")) == 2)
    assert started(tmp_path, "intake") == {intake}
    assert is_alive(intake)
    assert supervisor.poll() is None


def test_sigterm_ends_the_children_in_order_and_then_the_supervisor(supervisor, tmp_path):
    wait_until(lambda: started(tmp_path, "intake") and started(tmp_path, "evaluator"))
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert (tmp_path / "intake.ended").exists()
    assert (tmp_path / "evaluator.ended").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of a parent is Linux's")
def test_a_killed_supervisor_leaves_no_orphans(supervisor, tmp_path):
    wait_until(lambda: started(tmp_path, "intake") and started(tmp_path, "evaluator"))
    children = started(tmp_path, "intake") | started(tmp_path, "evaluator")
    supervisor.kill()
    wait_until(lambda: not any(map(is_alive, children)))


def test_the_pause_doubles_while_a_child_dies_young_and_is_gone_once_it_lived_long_enough():
    child = Child("evaluator", ["true"])
    pauses = []
    for now in range(8):
        child.note_death(now)
        pauses.append(child.backoff.seconds)
    assert pauses == [0.5, 1, 2, 4, 8, 16, MAX_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS]
    assert child.start_at == 7 + MAX_BACKOFF_SECONDS
    child.note_death(STABLE_SECONDS)
    assert child.start_at == STABLE_SECONDS


def test_a_child_that_has_nothing_to_do_is_not_started_again_and_one_that_fails_is():
    for code, starts_again in ((0, False), (1, True)):
        child = Child("label process", [sys.executable, "-c", f"raise SystemExit({code})"], may_finish=True)
        child.start(0)
        child.process.wait(20)
        child.note_death(1)
        assert (child.start_at < 100) is starts_again


def test_a_child_can_not_take_more_memory_than_its_limit():
    greedy = "try:\n bytearray(600 * 2**20)\nexcept MemoryError:\n raise SystemExit(7)"
    child = Child("evaluator", [sys.executable, "-c", greedy], memory_bytes=512 * 2**20)
    child.start(0)
    assert child.process.wait(20) == 7


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        ([], {"DRIFTLOOP_MONITOR_CLOCK": "sundial"}, "DRIFTLOOP_MONITOR_CLOCK"),
        (["juggler"], {}, "Got 'juggler'"),
    ],
)
def test_settings_that_can_not_work_are_named(monitor_settings, arguments, changes, message):
    answer = subprocess.run(
        [sys.executable, "-m", "driftloop.sidecar", *arguments],
        env=environment(monitor_settings) | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2
    assert message in answer.stderr


@pytest.mark.local
def test_the_monitor_starts_recovers_and_stops(monitor_settings):
    """The loop file is missing: the evaluator dies again and again, and neither supervisor nor intake care."""
    health = f"http://127.0.0.1:{monitor_settings.labels_port}/healthz"

    def is_healthy():
        try:
            return httpx.get(health).is_success
        except httpx.TransportError:
            return False

    with subprocess.Popen([sys.executable, "-m", "driftloop.sidecar"], env=environment(monitor_settings)) as process:
        try:
            wait_until(is_healthy)
            (intake,) = children(process.pid, "intake")
            os.kill(intake, signal.SIGKILL)
            wait_until(lambda: not is_healthy())
            wait_until(is_healthy)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    assert not is_healthy()


def children(pid, role):
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [child for child in pids if role.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")]
