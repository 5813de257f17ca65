"""The tutorial, command by command as it is written.

A comment above a block says what the text says in words: that the command runs in a second terminal (`background`), or
that its output is to be looked at until something stands in it (`until: ...`).
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pagecheck import check_page

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE_SECONDS = 300
BLOCK = re.compile(r"(?:<!-- (?P<remark>[^>]*) -->\n)?```sh\n(?P<commands>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One block of commands."""

    commands: str
    in_background: bool
    until: str


def read_steps(text: str) -> list[Step]:
    steps = []
    for match in BLOCK.finditer(text):
        remark = match["remark"] or ""
        until = remark.partition("until: ")[2]
        steps.append(Step(match["commands"], in_background=remark.startswith("background"), until=until))
    return steps


class Reader:
    """Somebody at two terminals in a folder with driftloop's documents, and with driftloop on the path."""

    def __init__(self, folder: Path) -> None:
        self._here = folder
        shutil.copytree(DOCS / "tutorial", folder / "docs" / "tutorial")
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name, words in (("driftloop", "-m driftloop"), ("python", "")):
            (bin_folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
            (bin_folder / name).chmod(0o755)
        self._environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "COLUMNS": "120"}
        self._second_terminal: subprocess.Popen | None = None
        self._log = folder / "second-terminal.log"

    @property
    def folder(self) -> Path:
        return self._here

    def do(self, step: Step) -> None:
        if step.in_background:
            with self._log.open("wb") as log:
                self._second_terminal = subprocess.Popen(
                    ["bash", "-c", f"exec {step.commands}"],
                    cwd=self._here,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                )
            self._wait(step, self._log.read_text)
        else:
            self._wait(step, lambda: self._run(step.commands))

    def _wait(self, step: Step, look) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while step.until not in (seen := look()):
            assert time.monotonic() < deadline, f"{step.commands}\nsaid:\n{seen}\nup said:\n{self._log.read_text()}"
            running = self._second_terminal
            assert running is None or running.poll() is None, self._log.read_text()
            time.sleep(2)

    def _run(self, commands: str) -> str:
        marker = self._here / ".here"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", f'{commands}\npwd > "{marker}"'],
            cwd=self._here,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        self._here = Path(marker.read_text().strip())
        return done.stdout

    def leave(self) -> int | None:
        """Press Ctrl-C in the second terminal; return the exit code."""
        if self._second_terminal is None:
            return None
        self._second_terminal.send_signal(signal.SIGINT)
        try:
            return self._second_terminal.wait(60)
        finally:
            self._second_terminal.kill()


def test_every_picture_and_page_that_the_tutorial_shows_exists():
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    for address in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS / address).exists(), address


@pytest.mark.local
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_messy_table_to_a_watched_model_in_ten_minutes(tmp_path):
    steps = read_steps((DOCS / "tutorial.md").read_text(encoding="utf-8"))
    reader = Reader(tmp_path)
    began = time.monotonic()
    try:
        for step in steps:
            reader.do(step)
    finally:
        code = reader.leave()
    minutes = (time.monotonic() - began) / 60
    workspace = reader.folder / ".driftloop" / "deliveries"
    pages = [
        workspace / "timeline.html",
        *workspace.glob("monitor/reports/*.html"),
        *workspace.glob("runs/*/reports/*"),
    ]
    assert len(pages) >= 5
    for page in pages:
        check_page(page.read_text(encoding="utf-8"))
    assert code in (0, 130)
    print(f"the tutorial took {minutes:.1f} minutes")
    assert minutes < 10
