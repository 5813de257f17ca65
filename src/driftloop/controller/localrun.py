"""One pipeline run on this machine, in a thread of the controller: started, followed, cancelled, its outcome read."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from driftloop.adapters.codeidentity import code_digest
from driftloop.adapters.kfp_local import (
    ADOPTION,
    FEASIBILITY,
    TRAINING,
    StageEvent,
    StageState,
    read_result,
    run_training,
    stage_names,
)
from driftloop.adapters.modelsource import locate_model
from driftloop.algorithms import resolve_algorithms
from driftloop.controller.charterfile import write_charter
from driftloop.controller.workspace import Workspace
from driftloop.loop.parameters import adoption_parameters, feasibility_parameters, pipeline_parameters
from driftloop.spec import FeasibilityResult, ModelLoop, RunResult
from driftloop.spec.training import Effort

RUNTIME_IMAGE = "driftloop-pipeline"
"""Image name that local runs note in the result; nothing is pulled."""


class LocalRun:
    """A run of one of the pipelines, begun when made.

    A claim left by a controller that died is removed first: the workspace's lock proves that nobody else works on it.

    Args:
        loop: what to train.
        workspace: where artifacts, results and Bentos go.
        run_key: identity of the run.
        data_uri: table to learn from.
        time_column: column that orders its rows, if any.
        champion_uri: Bento to compare with; empty for a first model.
        pipeline: which one: training, adoption or feasibility.
        effort: rung of the ladder of improvement; None for a first model.
        say: gets told which stage is under way.
    """

    def __init__(
        self,
        loop: ModelLoop,
        workspace: Workspace,
        *,
        run_key: str,
        data_uri: str,
        time_column: str | None,
        champion_uri: str,
        pipeline: str = TRAINING,
        effort: Effort | None = None,
        say: Callable[[str], None],
    ) -> None:
        self.stage = ""
        self._say = say
        self._begun: list[str] = []
        self._cancelled = threading.Event()
        self._result = workspace.result(run_key)
        write_charter(loop, workspace, workspace.runs / run_key / "charter.html")
        self._pipeline, self._effort = pipeline, effort
        run = {
            "data_uri": data_uri,
            "time_column": time_column,
            "run_key": run_key,
            "result_uri": str(self._result),
            "store_uri": str(workspace.store),
            "runtime_image": RUNTIME_IMAGE,
            "image": RUNTIME_IMAGE,
            "code_digest": code_digest(),
        }
        self._future: Future[None] = Future()
        if self._result.exists():
            self._future.set_result(None)
            return
        self._result.with_suffix(".claim.json").unlink(missing_ok=True)
        parameters = self._parameters(loop, run, champion_uri)
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run")
        self._future = pool.submit(self._work, parameters, workspace)
        pool.shutdown(wait=False)

    @property
    def is_done(self) -> bool:
        """Whether `wait` returns at once."""
        return self._future.done()

    @property
    def progress(self) -> str:
        """What is being done, and how far the run is."""
        return (
            f"stage {self.stage}, {len(self._begun)} of {len(stage_names(self._pipeline))}"
            if self._begun
            else "its first stage"
        )

    def wait(self) -> RunResult | FeasibilityResult:
        """Return the result when the run has ended.

        Raises:
            DriftloopError: the run failed or was cancelled.
        """
        self._future.result()
        return read_result(self._result, self._pipeline)

    def cancel(self) -> None:
        """End the run's processes; the ledger keeps it open, and the next controller runs it again."""
        self._cancelled.set()

    def _parameters(self, loop: ModelLoop, run: dict[str, Any], champion_uri: str) -> dict[str, Any]:
        if self._pipeline == ADOPTION and loop.spec.model:
            uri = locate_model(loop.spec.model.uri, Path.cwd())
            return adoption_parameters(loop, loop.spec.model.model_copy(update={"uri": uri}), **run)
        algorithms = resolve_algorithms(loop.spec.training.algorithms, loop.spec.problem.task)
        if self._pipeline == FEASIBILITY:
            return feasibility_parameters(loop, algorithms=algorithms, **run)
        return pipeline_parameters(loop, algorithms=algorithms, champion_uri=champion_uri, effort=self._effort, **run)

    def _work(self, parameters: dict[str, object], workspace: Workspace) -> None:
        run_training(
            parameters,
            runs_dir=workspace.runs,
            cache_dir=workspace.cache,
            bentoml_home=workspace.bentoml_home,
            on_event=self._follow,
            cancelled=self._cancelled,
            package=self._pipeline,
        )

    def _follow(self, event: StageEvent) -> None:
        if event.state not in (StageState.STARTED, StageState.CACHED) or event.stage in self._begun:
            return
        self.stage = event.stage
        self._begun.append(event.stage)
        self._say(self.progress)
