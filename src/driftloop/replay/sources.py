"""Where loop, models and traffic of a replay come from: a workspace, a prediction log, or a table and a ModelLoop."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from driftloop.controller.ledger import read_ledger
from driftloop.controller.localrun import LocalRun
from driftloop.controller.loopfile import load_for_laptop
from driftloop.controller.workspace import Workspace
from driftloop.errors import DriftloopError, InvalidInputError
from driftloop.loop.decide import first_pipeline
from driftloop.loop.history import (
    LedgerEntry,
    Model,
    Muted,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    Unmuted,
    model_of,
)
from driftloop.loop.history import replay as state_of
from driftloop.replay.generation import generate
from driftloop.replay.lab import ReplayPlan, successions
from driftloop.replay.models import PackagedModel
from driftloop.replay.traffic import Traffic, recorded_traffic, table_traffic
from driftloop.spec import ModelLoop, RunResult, Task
from driftloop.spec.loading import read_modelloop

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_RUN = "replay-first"


class NoModelError(InvalidInputError):
    """Nothing can answer the rows."""


class RewardsBelongToActionsError(InvalidInputError):
    """Decisions can't be replayed."""

    def __init__(self, loop: str) -> None:
        super().__init__(
            f"A replay must have labels that hold whatever was answered. Those of the Decision '{loop}' are what its "
            "own actions earned; of another action nobody knows. See what a policy would have earned in a run's report "
            "(reports/evaluate.html), and what the monitor saw in `driftloop history`."
        )


@dataclass(frozen=True)
class Generation:
    """Traffic to make rather than to replay."""

    months: float
    rows_per_hour: float | None


@dataclass(frozen=True)
class Question:
    """What a person asked to replay."""

    where: Path
    """A workspace, a prediction log, or a table."""
    loop_file: Path | None = None
    workspace: Path | None = None
    generation: Generation | None = None
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """What there is to replay, without injections."""

    plan: ReplayPlan
    source: str
    training_seconds: float | None
    """How long the first training took, where that is known."""


def find(question: Question, spare: Path, say: Callable[[str], None]) -> Found:
    """Return what is to be replayed; trains a first model where there is none.

    Args:
        question: what a person asked.
        spare: folder for a model that is trained for this replay only.
        say: gets told what is under way.

    Raises:
        DriftloopError: something is missing, or the first training failed.
    """
    log = _log_of(question.where)
    return _recorded(question, log) if log else _tabled(question, spare, say)


def _log_of(where: Path) -> Path | None:
    """Return the prediction log that a folder is or has."""
    return next((folder for folder in (where, where / "log") if (folder / "predictions").is_dir()), None)


def _recorded(question: Question, log: Path) -> Found:
    home = Workspace((question.workspace or log.parent).resolve())
    loop = _loop(question, home)
    entries = read_ledger(home.ledger)
    succession = successions(entries)
    if not succession:
        raise NoModelError(
            f"The workspace '{home.root}' must hold the history of the loop whose log is replayed. Its ledger has no "
            "model. Name the loop's own with --workspace."
        )
    traffic = recorded_traffic(log, loop.spec.data)
    models = {entry.model.version: PackagedModel(entry.model) for entry in succession}
    start, source = entries.index(succession[0]), f"what {log} recorded"
    recorded = [entry for entry in entries[start + 1 :] if isinstance(entry, Promoted | RolledBack | Muted | Unmuted)]
    if question.generation:
        champion = succession[-1].model
        traffic = _generated(traffic, question.generation, champion.version, question.seed)
        traffic = traffic.in_whole_windows(loop.spec.monitoring.window.duration, at_start=True)
        return Found(
            ReplayPlan(loop, traffic, models, _as_first(champion), seed=question.seed),
            f"traffic generated from {log}",
            _training_seconds(home, champion),
        )
    traffic = traffic.in_whole_windows(loop.spec.monitoring.window.duration, at_start=False)
    plan = ReplayPlan(loop, traffic, models, entries[: start + 1], recorded, seed=question.seed)
    return Found(plan, source, _training_seconds(home, succession[0].model))


def _tabled(question: Question, spare: Path, say: Callable[[str], None]) -> Found:
    if question.where.is_dir():
        raise NoModelError(
            f"The folder '{question.where}' must be a workspace or a prediction log. It has neither 'log/predictions' "
            "nor 'predictions'. Name another, or a table."
        )
    home = Workspace((question.workspace or spare).resolve())
    loop = _loop(question, home)
    table_traffic(question.where, loop.spec.data, loop.spec.monitoring.labels.expected_delay, "")  # before a training
    champion = state_of(read_ledger(home.ledger)).champion
    seconds = None if champion is None else _training_seconds(home, champion)
    if champion is None:
        champion, seconds = _train_first(loop, home, say)
    delay = loop.spec.monitoring.labels.expected_delay
    traffic = table_traffic(question.where, loop.spec.data, delay, champion.version)
    if question.generation:
        traffic = _generated(traffic, question.generation, champion.version, question.seed)
        traffic = traffic.in_whole_windows(loop.spec.monitoring.window.duration, at_start=True)
        source = f"traffic generated from {question.where}"
    else:
        traffic = traffic.in_whole_windows(loop.spec.monitoring.window.duration, at_start=True)
        source = f"the rows of {question.where}"
    models = {champion.version: PackagedModel(champion)}
    return Found(ReplayPlan(loop, traffic, models, _as_first(champion), seed=question.seed), source, seconds)


def _generated(traffic: Traffic, asked: Generation, version: str, seed: int) -> Traffic:
    return generate(traffic, months=asked.months, rows_per_hour=asked.rows_per_hour, version=version, seed=seed)


def _loop(question: Question, home: Workspace) -> ModelLoop:
    loop = _read_loop(question, home)
    if loop.spec.problem.task is Task.DECISION:
        raise RewardsBelongToActionsError(loop.metadata.name)
    return loop


def _read_loop(question: Question, home: Workspace) -> ModelLoop:
    if question.loop_file:
        return load_for_laptop(question.loop_file)
    if home.loop_file.is_file():
        return read_modelloop(home.loop_file)
    raise InvalidInputError(
        f"A replay must know the ModelLoop. '{home.loop_file}' does not exist. Name the file with -f, or the loop's "
        "workspace with --workspace."
    )


def _train_first(loop: ModelLoop, home: Workspace, say: Callable[[str], None]) -> tuple[Model, float | None]:
    """Run the loop's first pipeline; return its model, accepted or not, and how long it took."""
    home.create()
    run = LocalRun(
        loop,
        home,
        run_key=FIRST_RUN,
        data_uri=loop.spec.data.uri,
        time_column=loop.spec.data.time_column,
        champion_uri="",
        pipeline=first_pipeline(loop.spec),
        say=lambda progress: say(f"training a first model: {progress}"),
    )
    try:
        result = run.wait()
    except KeyboardInterrupt:
        run.cancel()
        with contextlib.suppress(DriftloopError):
            run.wait()  # its processes are gone before their folder is
        raise
    if not isinstance(result, RunResult):
        raise NoModelError(
            "A replay must have a model to answer the rows, and a ProofOfConcept makes none. Set spec.maturity to "
            "Production."
        )
    model = model_of(RunStarted(at=_EPOCH, run_key=FIRST_RUN, number=1, reason="", data_uri=""), result)
    return model, _training_seconds(home, model)


def _as_first(model: Model) -> list[LedgerEntry]:
    """Return the ledger of a loop that has had this model from the beginning."""
    run = RunStarted(at=_EPOCH, run_key=FIRST_RUN, number=1, reason="the model of the replay", data_uri="")
    finished = RunFinished(at=_EPOCH, run_key=FIRST_RUN, result=model.result)
    return [run, finished, Promoted(at=_EPOCH, model=model, reason="the model of the replay")]


def _training_seconds(home: Workspace, model: Model) -> float | None:
    """Return how long a model's run took, by its files."""
    folder, result = home.runs / model.result.run_key, home.result(model.result.run_key)
    try:
        return max(result.stat().st_mtime - (folder / "request.json").stat().st_mtime, 0.0)
    except OSError:
        return None
