"""The controller of `driftloop up`: gathers facts, lets `loop.decide` decide, and carries it out on this machine.

It decides nothing itself. Every effect can be repeated: the ledger is written before traffic moves, a run's key before
the run starts, and a new controller goes on where the last one was cut off.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import driftloop
from driftloop.controller.children import (
    Child,
    ChildFailedError,
    place_baseline,
    probe_model_server,
    start_model_server,
    start_monitor,
    until_port_is_free,
)
from driftloop.controller.frontdoor import FrontDoor
from driftloop.controller.ledger import Ledger
from driftloop.controller.localrun import LocalRun
from driftloop.controller.monitorview import MonitorView
from driftloop.controller.workspace import Workspace, write_atomically
from driftloop.errors import DriftloopError
from driftloop.loop.decide import (
    Decision,
    Facts,
    Hold,
    Promote,
    Quarantine,
    Reject,
    StartRun,
    Wait,
    decide,
)
from driftloop.loop.history import (
    LedgerEntry,
    Model,
    Promoted,
    Quarantined,
    Rejected,
    RolledBack,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
    replay,
)
from driftloop.loop.status import project_status
from driftloop.loop.trainingdata import faulty_windows, labelled_rows, time_column, training_table
from driftloop.predictionlog import PredictionLogReader
from driftloop.spec import ModelLoop, Verdict
from driftloop.stages.package import verify_digests

if TYPE_CHECKING:
    import pandas as pd

POLL_SECONDS = 0.1
READY_SECONDS = 60.0
DRAIN_SECONDS = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LaptopController:
    """Runs one loop until told to stop.

    Args:
        loop: the loop; `data.uri` already made absolute.
        workspace: its folder, locked by the caller.
        port: public port of the predictions.
        labels_port: public port of the labels.
        clock: `wall`, or `replay` for a clock that the traffic sets.
        say: gets one plain sentence for each thing that happens.
    """

    def __init__(
        self,
        loop: ModelLoop,
        workspace: Workspace,
        *,
        port: int,
        labels_port: int,
        clock: str,
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._workspace = workspace
        self._clock = clock
        self._labels_port = labels_port
        self._say = say
        self._uid = workspace.uid()
        self._ledger = Ledger(workspace.ledger)
        self._state = replay(self._ledger.entries)
        self._view = MonitorView(workspace.monitor)
        self._log = PredictionLogReader(workspace.log)
        self._frontdoor = FrontDoor("127.0.0.1", port)
        self._sockets = Path(tempfile.mkdtemp(prefix="driftloop-"))  # a socket's path may have 107 bytes at most
        self._server: Child | None = None
        self._monitor: Child | None = None
        self._run: LocalRun | None = None
        self._counted_through: datetime | None = None
        self._labelled_rows = 0
        self._told = len(self._view.verdicts())
        self._status: dict[str, Any] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, or until a first model can't be had.

        Raises:
            DriftloopError: the first run failed, or a port is taken.
        """
        self._record(Started(at=self._now(), driftloop_version=driftloop.__version__))
        write_atomically(self._workspace.loop_file, self._loop.model_dump_json(by_alias=True, exclude_none=True))
        try:
            await self._frontdoor.start()
            if self._state.champion:  # serve first, decide later
                await self._keep_children_alive()
            while not stop.is_set():
                decision = self._take_stock()
                if isinstance(decision, Wait) and decision.stalled and self._state.champion is None:
                    raise DriftloopError(decision.reasons[0])
                await self._carry_out(decision)
                self._keep_run_going()
                await self._keep_children_alive()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._shut_down()

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
        facts = Facts(
            loop_uid=self._uid,
            verdicts=verdicts,
            labelled_rows=self._count_labelled_rows(through),
            approved=self._workspace.approved_runs(),
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
            serving=self._server is not None and self._server.is_running,
            watching=self._monitor is not None and self._monitor.is_running,
            recent=self._ledger.entries,
            log=asdict(self._log.counts()) | {"late": self._view.late_rows()},
            run_stage=self._run.stage if self._run else "",
            addresses={"predict": self._frontdoor.url, "labels": f"http://127.0.0.1:{self._labels_port}"},
        )
        self._publish(status)
        return decision

    def _count_labelled_rows(self, through: datetime | None) -> int:
        if through is not None and through != self._counted_through:
            self._labelled_rows = len(self._training_rows(through))
            self._counted_through = through
        return self._labelled_rows

    def _training_rows(self, through: datetime) -> "pd.DataFrame":
        faulty = faulty_windows(self._view.verdicts(), self._state.quarantined)
        return labelled_rows(self._log.joined(EPOCH, through, labelled_by=through), faulty)

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
            case Reject():
                self._record(Rejected(at=now, run_key=decision.model.result.run_key, reason=decision.reason))
                self._say(f"{decision.model.label} rejected: {decision.reason}")
            case Quarantine():
                window = decision.verdict.window
                self._record(
                    Quarantined(at=now, window_start=window.start, window_end=window.end, reason=decision.reason)
                )
                self._counted_through = None
                self._say(f"quarantined {window.start:%Y-%m-%d}: {decision.reason}")
            case Hold():
                self._record(RunHeld(at=now, run_key=decision.run_key, reason=decision.reason))
                self._say(f"retraining held back: {decision.reason}")
            case Wait():
                pass

    def _order_run(self, decision: StartRun, now: datetime) -> None:
        """Write down the run and the table it learns from; `_keep_run_going` starts it."""
        data_uri, through = self._loop.spec.data.uri, None
        if self._state.champion:
            table = training_table(self._training_rows(now), self._loop.spec.data)
            path = self._workspace.data / f"{decision.run_key}.parquet"
            table.to_parquet(path)
            data_uri, through = str(path), now
        number = self._state.next_number
        self._record(
            RunStarted(
                at=now,
                run_key=decision.run_key,
                number=number,
                reason=decision.reason,
                data_uri=data_uri,
                data_through=through,
            )
        )
        self._say(f"training v{number}: {decision.reason}")

    def _keep_run_going(self) -> None:
        """Start the run that the ledger says is open, and record its end."""
        ordered = self._state.open_run
        if ordered is None:
            return
        if self._run is None:
            champion, data = self._state.champion, self._loop.spec.data
            self._run = LocalRun(
                self._loop,
                self._workspace,
                run_key=ordered.run_key,
                data_uri=ordered.data_uri,
                time_column=time_column(data) if ordered.data_through else data.time_column,
                champion_uri=champion.result.bento_uri if champion else "",
                say=self._say,
            )
        if self._run.is_done:
            run, self._run = self._run, None
            try:
                result = run.wait()
            except DriftloopError as error:
                self._record(RunFinished(at=self._now(), run_key=ordered.run_key, error=str(error)))
                self._say(f"run v{ordered.number} failed: {error}")
            else:
                self._record(RunFinished(at=self._now(), run_key=ordered.run_key, result=result))
                self._say(f"v{ordered.number} trained: {result.algorithm}, {result.metric} {result.test_score:.3f}")

    async def _promote(self, decision: Promote, now: datetime) -> None:
        """Bring the candidate up beside the champion, then switch, drain and stop: no request fails."""
        try:
            server = await self._start_server(decision.model)
        except DriftloopError as error:
            stays = self._state.champion
            reason = f"it can't be served: {error}"
            self._record(Rejected(at=now, run_key=decision.model.result.run_key, reason=reason))
            self._say(f"{decision.model.label} rejected, {stays.label if stays else 'nothing'} keeps serving: {reason}")
            return
        self._record(Promoted(at=now, model=decision.model, reason=decision.reason))
        await self._switch(server)
        self._say(f"{decision.model.label} is champion: {decision.reason}")

    async def _start_server(self, model: Model) -> Child:
        bento = Path(model.result.bento_uri)
        await asyncio.to_thread(verify_digests, bento / "src", model.result.bento_digest)
        place_baseline(bento, self._workspace.baselines / model.version)
        server = await start_model_server(
            bento,
            tap_socket=self._sockets / "tap.sock",
            clock=self._clock,
            bentoml_home=self._workspace.bentoml_home,
            log=self._workspace.logs / f"server-{model.label}.log",
        )
        try:
            await server.until_ready("/readyz", READY_SECONDS)
            await asyncio.to_thread(probe_model_server, server, bento)
        except ChildFailedError:
            await server.stop()
            raise
        return server

    async def _switch(self, server: Child) -> None:
        old, self._server = self._server, server
        self._frontdoor.switch(server.url)
        if old:
            await self._frontdoor.drain(old.url, DRAIN_SECONDS)
            await old.stop()

    async def _keep_children_alive(self) -> None:
        """Restart what died; a champion that can't come up gives way to the one before it."""
        if self._monitor is None or not self._monitor.is_running:
            self._monitor = await self._start_monitor()
        champion = self._state.champion
        if champion is None or (self._server and self._server.is_running):
            return
        if self._server:
            self._say(
                f"the server of {champion.label} ended with code {self._server.process.returncode}; restarting it"
            )
        try:
            await self._switch(await self._start_server(champion))
        except DriftloopError as error:
            if self._state.previous is None:
                raise
            reason = f"{champion.label} can't be served: {error}"
            self._record(RolledBack(at=self._now(), model=self._state.previous, reason=reason))
            self._say(f"rolled back to {self._state.previous.label if self._state.previous else ''}: {reason}")

    async def _start_monitor(self) -> Child:
        settings = {
            "loop_file": str(self._workspace.loop_file),
            "loop_uid": self._uid,
            "log_dir": str(self._workspace.log),
            "state_dir": str(self._workspace.monitor),
            "baselines_dir": str(self._workspace.baselines),
            "tap_socket": str(self._sockets / "tap.sock"),
            "clock": self._clock,
            "poll_interval_seconds": str(POLL_SECONDS if self._clock == "replay" else 1.0),
            "commit_interval_seconds": "30",  # soon enough for a person who looks; a pod writes fewer, larger files
        }
        await until_port_is_free(self._labels_port, "--labels-port")
        monitor = await start_monitor(settings, port=self._labels_port, log=self._workspace.logs / "monitor.log")
        await monitor.until_ready("/healthz", READY_SECONDS)
        return monitor

    async def _shut_down(self) -> None:
        """Stop in the order of the flow, so that what was answered is still logged."""
        if self._run:
            await asyncio.to_thread(self._run.cancel)
        await self._frontdoor.stop()
        for child in (self._server, self._monitor):
            if child:
                await child.stop()
        self._take_stock()  # the last status says that nothing serves
        shutil.rmtree(self._sockets, ignore_errors=True)


def tell_verdict(verdict: Verdict) -> str:
    """Return one line about a verdict; of a quiet one the first sentence only."""
    window = verdict.window
    summary = verdict.summary if verdict.verdict.is_alarm else verdict.summary.split(". ")[0].rstrip(".") + "."
    return f"{window.start:%Y-%m-%d} to {window.end:%m-%d} {verdict.kind}: {verdict.verdict}. {summary}"
