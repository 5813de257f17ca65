"""The process in which kfp.local runs a compiled package: started by `kfp_local`, one per run, killed as a whole.

Writes one JSON event a line to a pipe as stages start and end; everything printed goes to the run's log unchanged.
"""

import ctypes
import io
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

_PR_SET_PDEATHSIG = 1
NICENESS = 5
"""A run takes what serving and watching leave of the processor."""
_TAIL_WRITES = 400
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '(?P<stage>[^']+)'")
_ENDED = re.compile(r"Task '(?P<stage>[^']+)' finished with status (?P<status>SUCCESS|FAILURE)")
_CACHED = re.compile(r"Task (?P<stage>\S+) cache hit")
_ERROR = re.compile(r"^\s*(?P<type>(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit))(?:: (?P<message>.*))?$")
_NO_ERROR = "Its process ended without a word; the machine may have run out of memory."


def main() -> None:
    """Run one pipeline: `python -m driftloop.adapters.kfp_child REQUEST EVENTS_FD PARENT_PID`."""
    request_path, events_fd, parent = sys.argv[1:]
    _die_with(int(parent))
    os.nice(NICENESS)
    request = json.loads(Path(request_path).read_text())
    with os.fdopen(int(events_fd), "w", buffering=1) as events:
        sys.stdout = output = StageOutput(sys.stdout)
        logging.basicConfig(level=logging.INFO, stream=output, format="%(asctime)s %(message)s")
        logging.getLogger().addFilter(StageWatch(output, events))
        _run(request)


def _run(request: dict[str, Any]) -> None:
    # Runs on this machine ignore images and resources; that is what a laptop is for.
    warnings.filterwarnings("ignore", message="You may be attemping to run a task that uses custom")
    from kfp import components, local

    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=request["artifacts"],
        enable_caching=True,
        cache_root=request["cache"],
    )
    components.load_component_from_file(request["package"])(**request["parameters"])


def _die_with(parent: int) -> None:
    """Take the whole process group along when the parent dies, however it dies."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


class StageOutput(io.TextIOBase):
    """Standard output that remembers the last of what each thread wrote; kfp.local runs a stage in one thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tails: defaultdict[int, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL_WRITES))

    def write(self, text: str) -> int:
        """Pass on and remember."""
        self._tails[threading.get_ident()].append(text)
        self._stream.write(text)
        self._stream.flush()
        return len(text)

    def take_tail(self) -> str:
        """Return what this thread wrote since the last call, or the end of it."""
        return "".join(self._tails.pop(threading.get_ident(), ()))


@dataclass
class StageWatch(logging.Filter):
    """Turns kfp.local's log records into events. A filter, because kfp.local replaces the handlers."""

    output: StageOutput
    events: TextIO
    _started: dict[int, float] = field(default_factory=dict)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        text = _ANSI.sub("", record.getMessage())
        thread = threading.get_ident()
        if match := _CACHED.search(text):
            self._send(stage=match["stage"], state="cached")
        elif match := _STARTED.search(text):
            self._started[thread] = time.monotonic()
            self.output.take_tail()
            self._send(stage=match["stage"], state="started")
        elif match := _ENDED.search(text):
            seconds = time.monotonic() - self._started[thread]
            if match["status"] == "SUCCESS":
                self._send(stage=match["stage"], state="finished", seconds=seconds)
            else:
                error = find_error(self.output.take_tail())
                self._send(stage=match["stage"], state="failed", seconds=seconds, error=error)
        return True

    def _send(self, **event: Any) -> None:
        self.events.write(json.dumps({"at": time.time(), **event}) + "\n")


def find_error(output: str) -> str:
    """Return the message of the last traceback in a stage's output; driftloop's own errors without their type."""
    lines = [_ANSI.sub("", line) for line in output.splitlines()]
    for number in range(len(lines) - 1, -1, -1):
        if match := _ERROR.match(lines[number]):
            more = [line.strip() for line in lines[number + 1 :] if line.strip()]
            message = "\n".join([match["message"] or "", *more]).strip()
            is_ours = match["type"].startswith("driftloop.")
            return message if is_ours and message else f"{match['type']}: {message}".rstrip(": ")
    return _NO_ERROR


if __name__ == "__main__":
    main()
