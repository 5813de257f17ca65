"""The controller of `driftloop up`: gathers facts, lets `loop.decide` decide, and carries it out on this machine.

It decides nothing itself. Every effect can be repeated: the ledger is written before traffic moves, a run's key before
the run starts, and a new controller goes on where the last one was cut off.
"""

import asyncio
import errno
import json
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import driftloop
from driftloop.adapters.kfp_local import FEASIBILITY, report_page
from driftloop.controller.datawatch import DataWatch
from driftloop.controller.hostclient import HostClient
from driftloop.controller.ledger import Ledger
from driftloop.controller.localrun import LocalRun
from driftloop.controller.logview import EPOCH, LogView
from driftloop.controller.monitorview import MonitorView
from driftloop.controller.orders import Door, HostView
from driftloop.controller.requestbox import RequestBox
from driftloop.controller.servers import Crew, server_name
from driftloop.controller.workspace import Workspace, write_atomically
from driftloop.errors import DriftloopError
from driftloop.loop.basis import basis_of
from driftloop.loop.decide import decide
from driftloop.loop.decisions import (
    Acknowledgement,
    Decision,
    Facts,
    Hold,
    Note,
    Promote,
    Quarantine,
    Refuse,
    Reject,
    RollBack,
    StartRun,
    Wait,
)
from driftloop.loop.history import (
    FeasibilityJudged,
    LedgerEntry,
    Model,
    RolledBack,
    RunFinished,
    RunStarted,
    Started,
    replay,
)
from driftloop.loop.recording import entry_of
from driftloop.loop.status import project_status
from driftloop.loop.telling import tell, tell_verdict
from driftloop.loop.trainingdata import faulty_windows, time_column
from driftloop.spec import FeasibilityResult, ModelLoop, RunResult
from driftloop.spec.trainingrows import TRAINING_ROWS_SUFFIX

POLL_SECONDS = 0.1
FAILED_STARTS_BEFORE_GIVING_WAY = 3
"""A champion whose server died and does not come up again so many times gives way to the one before it."""
DISK_FULL_SECONDS = 5.0
"""Time between two tries while the disk is full."""

_log = logging.getLogger(__name__)


class LaptopController:
    """Runs one loop until told to stop; what runs already when it starts, it takes over.

    Args:
        loop: the loop; `data.uri` already made absolute.
        workspace: its folder, locked by the host.
        host: parent of the children, keeper of the public ports.
        tap_socket: where model servers hand their records to the monitor.
        clock: `wall`, or `replay` for a clock that the traffic sets.
    """

    def __init__(
        self, loop: ModelLoop, workspace: Workspace, host: HostClient, *, tap_socket: Path, clock: str
    ) -> None:
        self._loop = loop
        self._workspace = workspace
        self._host = host
        self._crew = Crew(host, workspace, tap_socket=tap_socket, clock=clock)
        self._clock = clock
        self._uid = workspace.uid()
        self._ledger = Ledger(workspace.ledger)
        self._state = replay(self._ledger.entries)
        self._view = MonitorView(workspace.monitor)
        self._log_view = LogView(workspace.log, loop.spec.monitoring, loop.spec.problem.task)
        self._requests = RequestBox(workspace.requests)
        self._data = DataWatch(loop.spec.data)
        self._children = HostView()
        self._run: LocalRun | None = None
        self._told = len(self._view.verdicts())
        self._status: dict[str, Any] = {}
        self._shown = ""
        self._is_over = False

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, or until a first model can't be had.

        Raises:
            DriftloopError: the first run failed, or the champion can't be served and there is no other.
        """
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        failure = None
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        except DriftloopError as error:
            failure = error
        finally:  # whatever else broke this controller, the next one takes over what runs
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
            if self._run:
                self._run.cancel()
        await self._shut_down()
        if failure:
            raise failure

    async def _work(self) -> None:
        await self._with_space(self._begin)
        while True:
            await self._with_space(self._step)
            if self._is_over:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _begin(self) -> None:
        self._record(Started(at=self._now(), driftloop_version=driftloop.__version__))
        if self._state.champion:  # serve first, decide later
            await self._keep_children_alive()
        await asyncio.to_thread(self._data.read)

    async def _step(self) -> None:
        if self._data.is_due(time.monotonic()):
            await asyncio.to_thread(self._data.read)
        self._children = await asyncio.to_thread(self._host.look)
        decision = self._take_stock()
        if isinstance(decision, Wait) and decision.stalled and self._state.champion is None:
            raise DriftloopError(decision.reasons[0])
        if isinstance(decision, Wait) and decision.is_over:
            self._say(decision.reasons[0])
            self._is_over = True
            return
        if isinstance(decision, Wait) and self._state.open_run is None:
            self._show(decision.reasons[0], idle=True)
        await self._carry_out(decision)
        self._keep_run_going()
        await self._keep_children_alive()

    async def _with_space(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something that may be repeated, again until there is space on the disk for it."""
        is_told = False
        while True:
            try:
                return await work()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                if not is_told:
                    self._say(
                        f"the disk of '{self._workspace.root}' is full, so nothing can be recorded or decided; the "
                        f"model serves on. Free some space, and the loop goes on by itself. ({error})"
                    )
                is_told = True
                await asyncio.sleep(DISK_FULL_SECONDS)

    def _say(self, sentence: str) -> None:
        """Tell people one plain sentence, and the log."""
        _log.info("%s", sentence)
        self._host.say(sentence)

    def _show(self, activity: str, *, idle: bool = False) -> None:
        """Tell people what is being waited for; idle: for something to happen, and not for something under way."""
        if activity == self._shown:
            return
        self._shown = activity
        if not idle:
            _log.info("%s", activity)
        self._host.show(activity, idle=idle)

    # What is known

    def _now(self) -> datetime:
        if self._clock == "wall":
            return datetime.now(UTC)
        return self._view.evaluated_through() or EPOCH

    def _take_stock(self) -> Decision:
        """Gather the facts, decide, and publish the status that results."""
        through = self._view.evaluated_through()  # read before the verdicts: they are at least as new
        verdicts = self._view.verdicts()
        for verdict in verdicts[self._told :]:
            self._say(tell_verdict(verdict))
        self._told = len(verdicts)
        self._log_view.count(through, self._faulty_windows())
        facts = Facts(
            loop_uid=self._uid,
            verdicts=verdicts,
            labelled_rows=self._log_view.labelled_rows,
            requests=self._requests.open_requests(self._state.handled),
            basis=basis_of(self._loop.spec, self._data.digest) if self._data.digest else None,
        )
        now = self._now()
        decision = decide(self._loop.spec, self._state, facts, now)
        settled = isinstance(decision, Wait) and self._state.open_run is None
        status = project_status(
            self._loop,
            self._state,
            facts,
            decision,
            now=now,
            settled_through=through if settled else None,
            serving=Door.PREDICT in self._children.active,
            watching=Door.LABELS in self._children.active,
            recent=self._ledger.entries,
            log=self._log_view.counts() | {"late": self._view.late_rows()},
            labels=self._log_view.labels,
            run_stage=self._run.stage if self._run else "",
            addresses={str(door): url for door, url in self._children.addresses.items()},
        )
        self._publish(status)
        return decision

    def _faulty_windows(self) -> list[tuple[datetime, datetime]]:
        return faulty_windows(self._view.verdicts(), self._state.quarantined)

    # What is done

    def _record(self, entry: LedgerEntry) -> None:
        self._ledger.append(entry)
        self._state = replay(self._ledger.entries)

    def _publish(self, status: dict[str, Any]) -> None:
        """Write the status when more than the time of day has changed."""
        news = status | {"time": ""}
        if news != self._status:
            write_atomically(self._workspace.status, json.dumps(status, indent=2))
            self._status = news

    async def _carry_out(self, decision: Decision) -> None:
        now = self._now()
        match decision:
            case StartRun():
                await asyncio.to_thread(self._order_run, decision, now)
            case Promote():
                await self._promote(decision, now)
            case RollBack():
                await self._roll_back(decision, now)
            case Reject():
                self._record(entry_of(decision, self._state, now))
                self._say(f"{decision.model.label} rejected: {decision.reason}")
            case Quarantine() | Hold() | Note() | Acknowledgement() | Refuse():
                self._answer(entry_of(decision, self._state, now))
            case Wait():
                pass

    def _order_run(self, decision: StartRun, now: datetime) -> None:
        """Write down the run and the rows it learns from; `_keep_run_going` starts it."""
        data_uri = self._loop.spec.data.uri
        if decision.from_log:
            rows = self._log_view.training_rows(now, self._faulty_windows())
            path = self._workspace.data / f"{decision.run_key}{TRAINING_ROWS_SUFFIX}"
            write_atomically(path, rows.model_dump_json(by_alias=True, indent=2))
            data_uri = str(path)
        entry = entry_of(decision, self._state, now, data_uri=data_uri)
        self._record(entry)
        self._say(tell(entry))

    def _keep_run_going(self) -> None:
        """Start the run that the ledger says is open, and record its end."""
        ordered = self._state.open_run
        if ordered is None:
            return
        if self._run is None:
            champion, data = self._state.model(ordered.champion), self._loop.spec.data
            self._run = LocalRun(
                self._loop,
                self._workspace,
                run_key=ordered.run_key,
                data_uri=ordered.data_uri,
                time_column=time_column(data) if ordered.data_through else data.time_column,
                champion_uri=champion.result.bento_uri if champion else "",
                pipeline=ordered.pipeline,
                effort=ordered.effort,
                say=lambda stage: self._show(f"{ordered.pipeline} v{ordered.number}: {stage}"),
            )
        if self._run.is_done:
            run, self._run = self._run, None
            try:
                result = run.wait()
            except DriftloopError as error:
                self._record(RunFinished(at=self._now(), run_key=ordered.run_key, error=str(error)))
                self._say(f"run v{ordered.number} failed: {error}")
            else:
                self._finish(ordered, result)

    def _finish(self, ordered: RunStarted, result: RunResult | FeasibilityResult) -> None:
        if isinstance(result, FeasibilityResult):
            report = report_page(self._workspace.runs / ordered.run_key, FEASIBILITY)
            entry = FeasibilityJudged(at=self._now(), run_key=ordered.run_key, result=result, report=str(report))
            self._answer(entry)
            return
        self._record(RunFinished(at=self._now(), run_key=ordered.run_key, result=result))
        done = "adopted" if ordered.pipeline == "adoption" else "trained"
        self._say(f"v{ordered.number} {done}: {result.algorithm}, {result.metric} {result.test_score:.3f}")

    async def _promote(self, decision: Promote, now: datetime) -> None:
        """Bring the candidate up beside the champion, then let `_keep_children_alive` switch: no request fails."""
        try:
            await self._bring_up_server(decision.model)
        except DriftloopError as error:
            stays = self._state.champion
            reason = f"it can't be served: {error}"
            self._record(entry_of(Reject(decision.model, reason), self._state, now))
            self._say(f"{decision.model.label} rejected, {stays.label if stays else 'nothing'} keeps serving: {reason}")
            return
        self._record(entry_of(decision, self._state, now))
        await self._keep_children_alive()
        self._say(f"{decision.model.label} is champion: {decision.reason}")

    async def _roll_back(self, decision: RollBack, now: datetime) -> None:
        """Bring the earlier champion up beside the present one, then switch; where it can't serve, nothing changes."""
        try:
            await self._bring_up_server(decision.model)
        except DriftloopError as error:
            refusal = Refuse(decision.request, f"{decision.model.label} can't be served: {error}")
            self._answer(entry_of(refusal, self._state, now))
            return
        self._answer(entry_of(decision, self._state, now))
        await self._keep_children_alive()

    def _answer(self, entry: LedgerEntry) -> None:
        self._record(entry)
        self._say(tell(entry))

    async def _bring_up_server(self, model: Model) -> None:
        if server_name(model) not in self._children.children:
            self._show(f"waiting for the {server_name(model)} to become ready")
        await self._crew.bring_up(model)

    async def _keep_children_alive(self) -> None:
        """Make the host run what the history says: the monitor, the champion's server behind the door, and no other.

        What runs already is taken over as it is; the host starts it again when it dies. A champion that can't come up
        gives way to the one before it.
        """
        view = await asyncio.to_thread(self._host.look)
        if Door.LABELS not in view.active:
            await asyncio.to_thread(self._crew.keep_monitor, view)
        champion = self._state.champion
        if champion is not None:
            server = view.children.get(server_name(champion))
            failed_starts = server.failed_starts if server else 0
            if server is None:
                await self._serve(champion)
            elif Door.PREDICT not in view.active and failed_starts >= FAILED_STARTS_BEFORE_GIVING_WAY:
                await self._give_way(champion, f"its server did not come up {failed_starts} times in a row")
            else:
                await asyncio.to_thread(self._crew.settle, champion)
        self._children = await asyncio.to_thread(self._host.look)

    async def _serve(self, champion: Model) -> None:
        try:
            await self._bring_up_server(champion)
        except DriftloopError as error:
            if self._state.previous is None:
                remedy = (
                    f"There is no earlier model to go back to. Restore '{champion.result.bento_uri}' from a backup, "
                    "or begin again with another --workspace."
                )
                raise DriftloopError(f"{champion.label} can't be served: {error} {remedy}") from error
            await self._give_way(champion, str(error))
        else:
            await asyncio.to_thread(self._crew.settle, champion)
            self._say(f"{champion.label} serves")

    async def _give_way(self, champion: Model, why: str) -> None:
        previous = self._state.previous
        if previous is None:
            return
        reason = f"{champion.label} can't be served: {why}"
        self._record(RolledBack(at=self._now(), model=previous, reason=reason))
        self._say(f"rolled back to {previous.label}: {reason}")

    async def _shut_down(self) -> None:
        """Stop in the order of the flow, so that what was answered is still logged."""
        await asyncio.to_thread(self._host.close)
        self._children = await asyncio.to_thread(self._host.look)
        self._take_stock()  # the last status says that nothing serves
