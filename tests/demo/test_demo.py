"""The demo as a user runs it: interrupted, run again, and to its end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.local]


def start(workspace: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "driftloop", "demo", "--workspace", str(workspace)]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


def processes_of(workspace: Path) -> list[str]:
    """Command lines of all processes that name the workspace."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(workspace) in command:
                found.append(command)
    return found


@pytest.mark.timeout(900)
def test_the_demo_can_be_interrupted_and_run_again_to_its_end(tmp_path):
    workspace, log = tmp_path / "demo", tmp_path / "log"
    interrupted = start(workspace, log)
    deadline = time.monotonic() + 240
    while "performance:" not in log.read_text():
        assert interrupted.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(90) == 130
    assert "Traceback" not in log.read_text()
    assert processes_of(workspace) == []

    whole = start(workspace, log)
    assert whole.wait(600) == 0, log.read_text()
    output = log.read_text()
    assert re.search(r"A client asked [\d,]+ times all the while: 0 requests failed\.", output)
    assert re.search(r"promote v\d", output)
    gain = re.search(r"All [\d,]+ flights of August 2013: .*: ([+-]\d\.\d+) \(95 % interval ([+-]\d\.\d+)", output)
    assert float(gain.group(1)) >= 0.02
    assert float(gain.group(2)) > 0
    assert (workspace / "timeline.html").stat().st_size < 2_000_000
    assert processes_of(workspace) == []
