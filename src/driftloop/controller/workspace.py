"""The workspace: the folder of everything one loop has on a laptop, and the lock that keeps it to one process."""

import fcntl
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from driftloop.errors import DriftloopError

WORKSPACES = Path(".driftloop")
"""Folder of all workspaces, below the current one, unless `--workspace` says otherwise."""


LOCK_TRIES = 5
LOCK_PAUSE_SECONDS = 0.05


class WorkspaceInUseError(DriftloopError):
    """Another process runs this loop."""

    def __init__(self, root: Path, owner: str) -> None:
        super().__init__(
            f"The workspace '{root}' must be used by one process at a time. Process {owner} holds it. "
            "Stop that one, or choose another folder with --workspace."
        )


@dataclass(frozen=True)
class Workspace:
    """Paths of one loop's files below `root`."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The append-only history: the truth about champion and runs."""
        return self.root / "ledger.jsonl"

    @property
    def status(self) -> Path:
        """The newest status, for people and programs; can be rebuilt."""
        return self.root / "status.json"

    @property
    def loop_file(self) -> Path:
        """The ModelLoop in force, as the child processes read it."""
        return self.root / "loop.json"

    @property
    def log(self) -> Path:
        """The prediction log."""
        return self.root / "log"

    @property
    def monitor(self) -> Path:
        """Verdicts, drift reports and progress of the monitor."""
        return self.root / "monitor"

    @property
    def baselines(self) -> Path:
        """One folder per model version: what its traffic is compared with."""
        return self.root / "baselines"

    @property
    def store(self) -> Path:
        """The object store: Bentos and results of runs."""
        return self.root / "store"

    @property
    def data(self) -> Path:
        """Training tables exported from the prediction log."""
        return self.root / "data"

    @property
    def runs(self) -> Path:
        """One folder per pipeline run: log and artifacts."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """The local pipeline runner's cache."""
        return self.root / "cache"

    @property
    def bentoml_home(self) -> Path:
        """The BentoML store: `BENTOML_HOME` for `bentoml list` and `bentoml serve`."""
        return self.root / "bentoml"

    @property
    def logs(self) -> Path:
        """Output of the child processes."""
        return self.root / "logs"

    @property
    def controller_log(self) -> Path:
        """What the controller and its host say, with the time."""
        return self.logs / "controller.log"

    @property
    def requests(self) -> Path:
        """What people asked of the loop and the ledger has not answered: one file each."""
        return self.root / "requests"

    def result(self, run_key: str) -> Path:
        """Where a run's result is written."""
        return self.store / "runs" / run_key / "result.json"

    def create(self) -> None:
        """Make the folders that others write into.

        Raises:
            DriftloopError: the folder can't be written.
        """
        try:
            for folder in self._folders():
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"The workspace '{self.root}' can't be written: {error.strerror}. Choose another with --workspace."
            )
            raise DriftloopError(message) from error

    def _folders(self) -> tuple[Path, ...]:
        return (
            self.log,
            self.monitor,
            self.baselines,
            self.store,
            self.data,
            self.runs,
            self.logs,
            self.requests,
            self.bentoml_home,
        )

    def uid(self) -> str:
        """Return the loop's identity, made at the first call."""
        path = self.root / "uid"
        try:
            with path.open("x") as file:
                file.write(uuid.uuid4().hex)
        except FileExistsError:
            pass
        return path.read_text()

    def is_in_use(self) -> bool:
        """Whether a process runs this loop right now."""
        try:
            with (self.root / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def lock(self) -> IO[str]:
        """Take the workspace for this process until the returned file is closed or the process ends.

        Raises:
            WorkspaceInUseError: another process has it.
        """
        file = (self.root / "lock").open("a+")
        try:
            _lock_exclusively(file)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read()
            file.close()
            raise WorkspaceInUseError(self.root, owner or "unknown") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def holds(self, lock: IO[str]) -> bool:
        """Whether the folder is still the one whose lock was taken: neither deleted nor moved."""
        try:
            there = (self.root / "lock").stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(lock.fileno()))


def _lock_exclusively(file: IO[str]) -> None:
    """Take the lock; a command that merely asks whether the loop runs has it for a moment too."""
    for _ in range(LOCK_TRIES):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_SECONDS)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_workspace(loop: str, root: Path | None) -> Workspace:
    """Return the workspace of the loop with this name, its folders made; `root` where it isn't the usual one.

    Raises:
        DriftloopError: the folder can't be written.
    """
    workspace = Workspace((root or WORKSPACES / loop).resolve())
    workspace.create()
    return workspace


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that readers see the old or the new one, never a part.

    Raises:
        OSError: it can't be written; the old content is still there.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        draft.write_text(text)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)
