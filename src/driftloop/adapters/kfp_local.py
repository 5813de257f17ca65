"""The laptop's pipeline runner: a compiled package under kfp.local, in a process group of its own.

Tells of stages as they run, and trusts nothing: a run counts only when every stage's artifacts and its result exist.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from driftloop.adapters.objectstore import FsspecStore
from driftloop.errors import DriftloopError
from driftloop.spec import FeasibilityResult, RunResult
from driftloop.stages.searchplan import Plan
from driftloop.stages.snapshot import claim_uri

LOG_FILE = "run.log"
REPORTS_FOLDER = "reports"
"""Of a run: one page per stage that draws one."""
_HTML = "system.HTML"
_POLL_SECONDS = 0.2
# Runs once for each algorithm that `plan` tries.
_LOOP_STAGE = "train"
TRAINING, ADOPTION, FEASIBILITY = "training", "adoption", "feasibility"
"""Names of the compiled packages."""


class PipelineFailedError(DriftloopError):
    """A stage failed; says which, and what it said."""

    def __init__(self, stage: str, message: str, log: Path) -> None:
        super().__init__(f"The stage '{stage}' failed: {message}\nThe full log is in {log}.")
        self.stage = stage
        self.message = message
        self.log = log


class IncompleteRunError(DriftloopError):
    """A run that says it succeeded and left something out."""

    def __init__(self, missing: list[str], log: Path) -> None:
        super().__init__(
            f"A run must leave every artifact and its result. Missing: {', '.join(missing)}. The full log is in {log}."
        )


class RunInProgressError(DriftloopError):
    """The same run is under way in another process."""

    def __init__(self, run_key: str) -> None:
        super().__init__(f"The run '{run_key}' must not run twice at a time. It is under way; wait for its result.")


class RunCancelledError(DriftloopError):
    """Somebody stopped the run."""

    def __init__(self, run_key: str) -> None:
        super().__init__(f"The run '{run_key}' was stopped. Nothing was registered; the same run can be started again.")


class StageState(StrEnum):
    """What happened to a stage."""

    STARTED = "started"
    FINISHED = "finished"
    CACHED = "cached"
    FAILED = "failed"


@dataclass(frozen=True)
class StageEvent:
    """A stage started or ended."""

    stage: str
    state: StageState
    at: float
    """Epoch seconds."""
    seconds: float = 0.0
    """How long it took; 0 for a start and for a cached stage."""
    error: str = ""
    """Message of a failed stage."""

    def __str__(self) -> str:
        duration = f" after {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.stage} {self.state}{duration}"


@dataclass(frozen=True)
class RunOutcome:
    """What a run left."""

    result: RunResult | FeasibilityResult
    events: tuple[StageEvent, ...]
    """In order; empty when the run had a result already."""
    seconds: float
    folder: Path
    """Log and artifacts of the run."""

    @property
    def log(self) -> Path:
        """Everything that was printed."""
        return self.folder / LOG_FILE

    def artifacts(self, stage: str, name: str) -> list[Path]:
        """Return files of an output that this run made: none for a cached stage, several for `train`."""
        return sorted(self.folder.glob(f"artifacts/**/{stage}/{name}"))


def compiled_package(name: str = TRAINING) -> Path:
    """Return a compiled pipeline that this installation ships."""
    return Path(str(files("driftloop.compiled") / f"{name}.yaml"))


def pipeline_spec(package: str) -> dict[str, Any]:
    """Return the pipeline of a package; what it asks of Kubernetes stands in a document behind it."""
    spec: dict[str, Any] = next(yaml.safe_load_all(compiled_package(package).read_text()))
    return spec


def stage_names(package: str = TRAINING) -> tuple[str, ...]:
    """Return the stages of a package."""
    return tuple(_stage_outputs(package))


def read_result(uri: Path | str, package: str = TRAINING) -> RunResult | FeasibilityResult:
    """Read the result that a run of a package left.

    Raises:
        FileNotFoundError: there is none.
    """
    kind = FeasibilityResult if package == FEASIBILITY else RunResult
    return kind.model_validate_json(FsspecStore().read(str(uri)))


def _has_result(uri: str) -> bool:
    try:
        FsspecStore().read(uri)
    except FileNotFoundError:
        return False
    return True


def run_training(
    parameters: Mapping[str, Any],
    *,
    runs_dir: Path,
    cache_dir: Path,
    on_event: Callable[[StageEvent], None] = lambda _: None,
    bentoml_home: Path | None = None,
    cancelled: threading.Event | None = None,
    package: str = TRAINING,
) -> RunOutcome:
    """Run a package and return its outcome. A run that has a result already is not run again.

    Args:
        parameters: of the pipeline (`loop.parameters`); addresses are local paths, or of an object store.
        runs_dir: gets a folder per run key, with log and artifacts. Later runs take cached artifacts from here.
        cache_dir: what was computed before, by content of the inputs.
        on_event: called in this thread as stages start and end.
        bentoml_home: BentoML's store; its own default if absent.
        cancelled: set it from another thread to stop the run.
        package: name of the compiled package.

    Raises:
        PipelineFailedError: a stage failed.
        IncompleteRunError: the run ended well and left something out.
        RunInProgressError: another process is at the same run.
        RunCancelledError: `cancelled` was set.
    """
    run_key, result_uri = str(parameters["run_key"]), str(parameters["result_uri"])
    folder = runs_dir.resolve() / run_key
    folder.mkdir(parents=True, exist_ok=True)
    is_here = "://" not in result_uri
    started = time.monotonic()
    with _only_process(Path(result_uri) if is_here else folder / "result", run_key):
        events: list[StageEvent] = []
        if not _has_result(result_uri):
            if is_here:
                # Nobody else is at this run: a claim without a result is left from a process that died. Elsewhere
                # that can't be told, and the parameter `claimant` says whose claim it is.
                Path(claim_uri(result_uri)).unlink(missing_ok=True)
            for event in _run_child(
                package, parameters, folder, cache_dir.resolve(), bentoml_home=bentoml_home, cancelled=cancelled
            ):
                events.append(event)
                on_event(event)
            _check_complete(package, events, parameters, folder)
            _gather_pages(package, folder)
        result = read_result(result_uri, package)
    return RunOutcome(result=result, events=tuple(events), seconds=time.monotonic() - started, folder=folder)


@contextmanager
def _only_process(result_path: Path, run_key: str) -> Iterator[None]:
    result_path.parent.mkdir(parents=True, exist_ok=True)
    with result_path.with_name(f"{result_path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunInProgressError(run_key) from error
        yield


def _run_child(
    package: str,
    parameters: Mapping[str, Any],
    folder: Path,
    cache: Path,
    *,
    bentoml_home: Path | None,
    cancelled: threading.Event | None,
) -> Iterator[StageEvent]:
    request = folder / "request.json"
    request.write_text(
        json.dumps(
            {
                "package": str(compiled_package(package)),
                "parameters": dict(parameters),
                "artifacts": str(folder / "artifacts"),
                "cache": str(cache),
            }
        )
    )
    environment = {**os.environ, "BENTOML_DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    if bentoml_home:
        environment["BENTOML_HOME"] = str(bentoml_home.resolve())
    reader, writer = os.pipe()
    with (folder / LOG_FILE).open("wb") as log, os.fdopen(reader, "rb", buffering=0) as pipe:
        child = subprocess.Popen(
            [sys.executable, "-m", "driftloop.adapters.kfp_child", str(request), str(writer), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        failure: StageEvent | None = None
        try:
            for line in _lines(pipe, cancelled):
                fields = json.loads(line)
                event = StageEvent(**{**fields, "state": StageState(fields["state"])})
                if event.state is StageState.FAILED and failure is None:
                    failure = event
                yield event
            if cancelled is not None and cancelled.is_set():
                raise RunCancelledError(str(parameters["run_key"]))
            code = child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if failure:
        raise PipelineFailedError(failure.stage, failure.error, folder / LOG_FILE)
    if code != 0:
        last = (folder / LOG_FILE).read_text(errors="replace").strip().splitlines()[-1:]
        raise PipelineFailedError("pipeline", " ".join(last) or f"exit code {code}", folder / LOG_FILE)


def _lines(pipe: Any, cancelled: threading.Event | None) -> Iterator[bytes]:
    """Read lines until the other end closes or `cancelled` is set."""
    rest = b""
    while not (cancelled is not None and cancelled.is_set()):
        if not select.select([pipe], [], [], _POLL_SECONDS)[0]:
            continue
        if not (data := pipe.read(65536)):
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _check_complete(package: str, events: list[StageEvent], parameters: Mapping[str, Any], folder: Path) -> None:
    done = Counter(event.stage for event in events if event.state in (StageState.FINISHED, StageState.CACHED))
    made = Counter(event.stage for event in events if event.state is StageState.FINISHED)
    missing = []
    for stage, outputs in _stage_outputs(package).items():
        expected = _planned(folder) if stage == _LOOP_STAGE else 1
        if done[stage] < expected:
            missing.append(f"the stage {stage}")
        missing += [
            f"{stage}/{name}"
            for name in outputs
            if len(list(folder.glob(f"artifacts/**/{stage}/{name}"))) < made[stage]
        ]
    if not _has_result(parameters["result_uri"]):
        missing.append(parameters["result_uri"])
    if missing:
        raise IncompleteRunError(missing, folder / LOG_FILE)


def _planned(folder: Path) -> int:
    """Return how many candidates the run's plan has; at least one where the plan came from the cache."""
    plans = [Plan.model_validate_json(path.read_bytes()) for path in folder.glob("artifacts/**/plan/plan")]
    return max((len(plan.candidates) for plan in plans), default=1)


def report_page(folder: Path, stage: str) -> Path:
    """Return where `run_training` puts the page that a stage of a run made."""
    return folder / REPORTS_FOLDER / f"{stage}.html"


def _gather_pages(package: str, folder: Path) -> None:
    """Put a copy of each page where a person finds it: `reports/<stage>.html`. A cached stage's is in its own run."""
    for stage, outputs in _stage_outputs(package, _HTML).items():
        for name in outputs:
            for page in folder.glob(f"artifacts/**/{stage}/{name}"):
                (folder / REPORTS_FOLDER).mkdir(exist_ok=True)
                shutil.copyfile(page, report_page(folder, stage))


def _stage_outputs(package: str, kind: str = "") -> dict[str, list[str]]:
    """Return the stages of the package and the files that each must leave, or those of one kind."""
    components = pipeline_spec(package)["components"]
    return {
        name.removeprefix("comp-"): [
            output
            for output, artifact in component.get("outputDefinitions", {}).get("artifacts", {}).items()
            if not kind or artifact["artifactType"]["schemaTitle"] == kind
        ]
        for name, component in components.items()
        if "executorLabel" in component
    }
