"""The run that the ledger says is open: started, followed, its result read. Every call may be repeated."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from driftloop.adapters.kubeapi import RejectedError
from driftloop.adapters.kubeflowapi import KubeflowRefusedError
from driftloop.algorithms import resolve_algorithms
from driftloop.errors import DriftloopError
from driftloop.loop.history import FeasibilityJudged, LoopState, RunFinished, RunStarted
from driftloop.loop.parameters import adoption_parameters, feasibility_parameters, pipeline_parameters
from driftloop.loop.runner import Runner, RunnerUnavailableError, RunOrder, RunPhase, RunView
from driftloop.loop.trainingdata import time_column
from driftloop.operator.guardedstore import GuardedStore
from driftloop.spec import FeasibilityResult, ModelLoop, RunResult
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload.platform import Platform

FAULTY_ORDER = (400, 422)
"""What a server answers to an order that it will never take."""


@dataclass
class RunDesk:
    """Follows the runs of one loop."""

    store: GuardedStore
    layout: StoreLayout
    platform: Platform
    runner_of: Callable[[ModelLoop], Runner]
    """The runner that a loop's spec names."""
    code_digest: str
    """Identity of the code that steps run: part of every cache key."""
    view: RunView | None = field(default=None, init=False)
    """What the runner said last of the open run."""
    was_started: bool = field(default=False, init=False)
    """Whether the last call of `follow` started it."""

    def follow(
        self, loop: ModelLoop, state: LoopState, run: RunStarted, now: datetime
    ) -> RunFinished | FeasibilityJudged | None:
        """Start the open run unless it was, and return how it ended; None while it goes on.

        Raises:
            RunnerUnavailableError: the runner can't be reached now.
            DriftloopError: neither can the API server or the store.
        """
        order = self.order_of(loop, state, run)
        runner = self.runner_of(loop)
        self.was_started = False
        self.view = runner.look(order)
        if self.view is None:
            result = self._result(run)  # it may have ended so long ago that the runner has forgotten it
            if result is not None:
                return self._end(run, result, now)
            return self._start(runner, order, now)
        if self.view.phase in (RunPhase.PENDING, RunPhase.RUNNING):
            return None
        result = self._result(run)
        if result is not None:
            return self._end(run, result, now)
        error = self.view.error or "it ended without a word"
        if self.view.phase is RunPhase.SUCCEEDED:
            error = f"it succeeded without a result at '{self.layout.result(run.run_key)}'"
        return RunFinished(at=now, run_key=run.run_key, error=error)

    def cancel(self, loop: ModelLoop, state: LoopState, run: RunStarted) -> None:
        """End the run if it is under way."""
        self.runner_of(loop).cancel(self.order_of(loop, state, run))

    def order_of(self, loop: ModelLoop, state: LoopState, run: RunStarted) -> RunOrder:
        """Return a run as runners take it: a function of the ledger, the loop and the platform."""
        data = loop.spec.data
        champion = state.model(run.champion)
        parts: dict[str, Any] = {
            "data_uri": run.data_uri,
            "time_column": time_column(data) if run.data_through else data.time_column,
            "run_key": run.run_key,
            "result_uri": self.layout.result(run.run_key),
            "store_uri": self.layout.root,
            "runtime_image": self.platform.images.serving,
            "image": self.platform.images.pipeline,
            "code_digest": self.code_digest,
        }
        if run.pipeline == "adoption" and loop.spec.model:
            parameters = adoption_parameters(loop, loop.spec.model, **parts)
        else:
            algorithms = resolve_algorithms(loop.spec.training.algorithms, loop.spec.problem.task)
            if run.pipeline == "feasibility":
                parameters = feasibility_parameters(loop, algorithms=algorithms, **parts)
            else:
                uri = champion.result.bento_uri if champion else ""
                parameters = pipeline_parameters(
                    loop, algorithms=algorithms, champion_uri=uri, effort=run.effort, **parts
                )
        return RunOrder(
            loop=loop,
            run_key=run.run_key,
            number=run.number,
            pipeline=run.pipeline,
            parameters=parameters,
            reason=run.reason,
            report=run.report,
        )

    def _start(self, runner: Runner, order: RunOrder, now: datetime) -> RunFinished | None:
        try:
            runner.start(order)
        except RunnerUnavailableError:
            raise
        except (RejectedError, KubeflowRefusedError) as error:
            if error.status not in FAULTY_ORDER:  # a right or a quota is missing
                raise
            return RunFinished(at=now, run_key=order.run_key, error=str(error))
        self.view = RunView(RunPhase.PENDING)
        self.was_started = True
        return None

    def _result(self, run: RunStarted) -> RunResult | FeasibilityResult | None:
        kind = FeasibilityResult if run.pipeline == "feasibility" else RunResult
        uri = self.layout.result(run.run_key)
        try:
            content = self.store.read(uri)
        except FileNotFoundError:
            return None
        try:
            return kind.model_validate_json(content)
        except ValueError as error:
            raise UnreadableResultError(uri, error) from error

    def _end(
        self, run: RunStarted, result: RunResult | FeasibilityResult, now: datetime
    ) -> RunFinished | FeasibilityJudged:
        if isinstance(result, FeasibilityResult):
            page = self.view.url if self.view and self.view.url else self.layout.result(run.run_key)
            return FeasibilityJudged(at=now, run_key=run.run_key, result=result, report=page)
        return RunFinished(at=now, run_key=run.run_key, result=result)


class UnreadableResultError(DriftloopError):
    """A run's result is there and is none."""

    def __init__(self, uri: str, error: Exception) -> None:
        super().__init__(
            f"The result '{uri}' must be one of this version's. It can't be read: {error}. "
            "Are operator and pipeline image of one version?"
        )
