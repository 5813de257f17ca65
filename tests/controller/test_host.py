"""The process host with small children of its own and a small controller; `test_up` runs the real ones."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from driftloop.controller.children import free_port
from driftloop.controller.frontdoor import PortInUseError
from driftloop.controller.host import ControllerFailedError, HostPlan, ProcessHost, WorkspaceGoneError
from driftloop.controller.orders import Door
from driftloop.controller.workspace import Workspace

# Answers every GET with its name and process id; notes the order in which it was asked to end.
CHILD = """
import http.server, os, signal, sys
name, port, notes = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{name} {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
def end(*_):
    with open(notes, "a") as file: file.write(f"{name} ended\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""

# Orders a server and a monitor, puts them behind their doors, and waits for its end.
CONTROLLER = """
import os, signal, sys, threading, time
from pathlib import Path
from driftloop.controller.hostclient import HostClient
from driftloop.controller.orders import ChildOrder, Door
from driftloop.errors import DriftloopError, InvalidInputError
child, folder, host = sys.argv[1], Path(sys.argv[2]), HostClient(Path(sys.argv[-1]))
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
if (folder / "fail").exists():
    host.fail(InvalidInputError("The first model can't be had. Read the log."))
    sys.exit(2)
if (folder / "crash").exists():
    (folder / "crash").unlink()
    raise RuntimeError("a bug")
for door, names in ((Door.PREDICT, ["server", *sys.argv[3:-1]]), (Door.LABELS, ["monitor"])):
    for name in names:
        command = (sys.executable, "-c", child, name, "{port}", str(folder / "notes"))
        host.start(ChildOrder(name, command, {}, "/", str(folder / "logs" / "children.log")))
        while not host.look().children[name].is_ready:
            time.sleep(0.02)
    host.serve(door, names)
host.say(f"controller {os.getpid()} is at work")
stop.wait()
host.close()
"""

# A host in a process of its own, which says who its processes are.
HOST = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from tests.controller.test_host import Door, play
async def scenario(scene):
    print(json.dumps([await scene.controller(), (await scene.ask())[1], (await scene.ask(Door.LABELS))[1]]), flush=True)
    await asyncio.sleep(60)
play(Path({root!r}), scenario)
"""


class Ears:
    """Hears what the host says."""

    def __init__(self):
        self.heard = []

    def say(self, sentence):
        self.heard.append(sentence)

    def show(self, activity, *, idle):
        self.heard.append(activity)


class Scene:
    """A host at work in an event loop of a test."""

    def __init__(self, root: Path, *more_servers: str):
        self.workspace = Workspace(root)
        self.workspace.create()
        self.lock = self.workspace.lock()
        self.ears = Ears()
        self.stop = asyncio.Event()
        self.ports = {door: free_port() for door in Door}
        controller = (sys.executable, "-c", CONTROLLER, CHILD, str(root), *more_servers)
        self.host = ProcessHost(HostPlan(self.workspace, self.lock, self.ports, controller), self.ears)

    async def ask(self, door=Door.PREDICT) -> tuple[str, int]:
        """Return name and process id of who answers."""
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.ports[door]}/") as answer:
            assert answer.status == 200, await answer.text()
            name, pid = (await answer.text()).split()
            return name, int(pid)

    async def until_heard(self, word: str, times: int = 1) -> str:
        await until(lambda: len(self.heard(word)) >= times)
        return self.heard(word)[-1]

    def heard(self, word: str) -> list[str]:
        return [sentence for sentence in self.ears.heard if word in sentence]

    async def controller(self, times: int = 1) -> int:
        """Return the process id of the controller at work."""
        return int((await self.until_heard("is at work", times)).split()[1])


def play(root, scenario, *more_servers):
    """Run a scenario beside a host, stop the host, and return what it said."""

    async def run():
        scene = Scene(root, *more_servers)
        hosting = asyncio.create_task(scene.host.run(scene.stop))
        playing = asyncio.create_task(scenario(scene))
        try:
            await asyncio.wait({hosting, playing}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
            scene.stop.set()
            await asyncio.wait_for(hosting, 60)
        finally:
            playing.cancel()
            scene.lock.close()
        return scene.ears.heard

    return asyncio.run(run())


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


def test_a_killed_controller_comes_back_and_its_children_serve_on(tmp_path):
    async def scenario(scene):
        first = await scene.controller()
        server, monitor = await scene.ask(), await scene.ask(Door.LABELS)
        os.kill(first, signal.SIGKILL)
        while len(scene.heard("is at work")) < 2:
            assert await scene.ask() == server
        assert await scene.controller(2) != first
        assert (await scene.ask(), await scene.ask(Door.LABELS)) == (server, monitor)

    heard = play(tmp_path / "loop", scenario)
    assert "the controller was killed by signal 9; it starts again in 0.5 s, and the model serves on" in heard


def test_a_controller_that_breaks_is_started_again_and_its_traceback_is_in_its_log(tmp_path):
    async def scenario(scene):
        (scene.workspace.root / "crash").touch()
        await scene.controller()

    heard = play(tmp_path / "loop", scenario)
    assert any("the controller ended with code 1, see its log; it starts again" in sentence for sentence in heard)
    log = (tmp_path / "loop" / "logs" / "controller.log").read_text()
    assert "RuntimeError: a bug" in log


def test_a_controller_that_can_not_go_on_ends_the_host_with_its_message_and_code(tmp_path):
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "fail").touch()
    with pytest.raises(ControllerFailedError, match="The first model can't be had") as failure:
        play(tmp_path / "loop", lambda scene: asyncio.sleep(30))
    assert failure.value.exit_code == 2


def test_a_killed_child_is_started_again_while_requests_wait(tmp_path):
    async def scenario(scene):
        await scene.controller()
        name, pid = await scene.ask()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid))
        again = await scene.ask()
        assert again[0] == name
        assert again[1] != pid

    heard = play(tmp_path / "loop", scenario)
    assert "the server ended with code -9; it is started again, requests wait" in heard


def test_a_standby_takes_over_at_once_and_keeps_serving_when_the_other_is_back(tmp_path):
    async def scenario(scene):
        await scene.controller()
        name, pid = await scene.ask()
        os.kill(pid, signal.SIGKILL)
        await scene.until_heard("the server ended with code -9; it is started again, the standby serves")
        standby, standby_pid = await scene.ask()
        assert (name, standby) == ("server", "standby")
        await until(lambda: scene.host._children["server"].state.is_ready)
        assert await scene.ask() == ("standby", standby_pid)
        os.kill(standby_pid, signal.SIGKILL)
        await scene.until_heard("the standby ended with code -9; it is started again, the server serves")
        assert (await scene.ask())[0] == "server"

    play(tmp_path / "loop", scenario, "standby")


def test_the_server_ends_before_the_monitor_so_that_what_was_answered_is_logged(tmp_path):
    async def scenario(scene):
        await scene.controller()

    play(tmp_path / "loop", scenario)
    assert (tmp_path / "loop" / "notes").read_text().splitlines() == ["server ended", "monitor ended"]


@pytest.mark.parametrize("fate", ["deleted", "moved"])
def test_a_vanished_workspace_ends_the_loop_and_nothing_takes_its_place(tmp_path, fate):
    root, pids = tmp_path / "loop", []

    async def scenario(scene):
        pids.append(await scene.controller())
        pids.append((await scene.ask())[1])
        pids.append((await scene.ask(Door.LABELS))[1])
        if fate == "deleted":
            shutil.rmtree(root)
        else:
            root.rename(tmp_path / "elsewhere")
        await asyncio.sleep(30)

    with pytest.raises(WorkspaceGoneError, match="was deleted or moved") as gone:
        play(root, scenario)
    assert str(root) in str(gone.value)
    assert gone.value.exit_code != 0
    assert not root.exists()
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize(("door", "option"), [(Door.PREDICT, "--port"), (Door.LABELS, "--labels-port")])
def test_a_port_in_use_is_told_with_its_option_before_anything_is_started(tmp_path, door, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def run():
            scene = Scene(tmp_path / "loop")
            scene.ports[door] = taken.getsockname()[1]
            with scene.lock:
                await scene.host.run(scene.stop)

        with pytest.raises(PortInUseError, match=f"must be free.*choose another with {option}"):
            asyncio.run(run())
    assert not (tmp_path / "loop" / "logs" / "controller.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of a parent is Linux's")
def test_a_killed_host_leaves_no_orphans(tmp_path):
    script = HOST.format(repository=str(Path(__file__).parents[2]), root=str(tmp_path / "loop"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as host:
        pids = json.loads(host.stdout.readline())
        assert all(map(is_alive, pids))
        host.kill()
    asyncio.run(until(lambda: not any(map(is_alive, pids))))
