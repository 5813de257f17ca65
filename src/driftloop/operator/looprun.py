"""One loop in the cluster, step by step: gather facts, let `loop.decide` decide, carry it out, tell.

The counterpart of `controller.laptop`. A step may be cut off anywhere and taken again, by this process or the next: the
ledger is written before traffic moves and before a run starts, and every effect can be repeated. Never two steps of one
loop at once; appending to the ledger is the fence against another operator.
"""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from driftloop.adapters.kubeapi import ApiUnavailableError, ConflictError, KubeApi, RejectedError
from driftloop.errors import DriftloopError
from driftloop.loop.basis import Basis, basis_of
from driftloop.loop.decide import decide
from driftloop.loop.decisions import Decision, Facts, Promote, Refuse, Reject, RollBack, StartRun, Wait
from driftloop.loop.history import LedgerEntry, LoopState, Model, RunFinished, RunStarted, replay
from driftloop.loop.recording import entry_of
from driftloop.loop.runner import Runner, RunnerUnavailableError
from driftloop.loop.trainingdata import faulty_windows
from driftloop.operator.annotations import requests_of
from driftloop.operator.capacity import Capacity
from driftloop.operator.conditions import INVALID_SPEC, date_conditions, find_conditions, recall
from driftloop.operator.guardedstore import GuardedStore, StoreUnavailableError
from driftloop.operator.ledger import LedgerMovedError, StoreLedger
from driftloop.operator.loopobject import read_loop
from driftloop.operator.metrics import Metrics
from driftloop.operator.notify import Announcer, Webhook, notice_of, notice_of_report
from driftloop.operator.reports import decide_on, is_settled, outdated, why_unpaged
from driftloop.operator.requestfolder import RequestFolder
from driftloop.operator.rollout import REAPPLY_SECONDS, Readiness, Rollout, Stage
from driftloop.operator.runs import RunDesk
from driftloop.operator.settings import OperatorSettings
from driftloop.operator.status import Picture, build_status
from driftloop.operator.traffic import TrafficView
from driftloop.spec import ModelLoop, TrainingRows, Verdict
from driftloop.spec.loopstatus import DriftReportStatus, ModelLoopStatus
from driftloop.spec.problems import InvalidModelLoopError
from driftloop.spec.storelayout import StoreLayout
from driftloop.stages.package import BASELINE_FILE, SCHEMA_FILE
from driftloop.workload.names import loop_labels
from driftloop.workload.owner import Owner

if TYPE_CHECKING:
    from driftloop.loop.requests import Request

MOST_DECISIONS = 50
"""In one step; more would mean that a decision leaves no trace."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

_log = logging.getLogger(__name__)


class NotLeaderError(DriftloopError):
    """This operator does not hold the Lease."""

    def __init__(self) -> None:
        super().__init__("This operator must hold the Lease to act. Another one does, or the API server is away.")


@dataclass(frozen=True)
class Surroundings:
    """What all loops share."""

    api: KubeApi
    store: GuardedStore
    settings: OperatorSettings
    runner_of: Callable[[ModelLoop], Runner]
    read_part: Callable[[str, str, str], bytes]
    """Reads one part of a Bento: address, digest, name."""
    capacity: Capacity
    webhook: Webhook
    metrics: Metrics
    may_act: Callable[[], bool]
    """Whether the Lease is held."""
    code_digest: str
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class LoopRun:
    """Takes the steps of one loop.

    Args:
        around: shared by all loops.
        namespace: of the ModelLoop.
        name: of the ModelLoop.
    """

    def __init__(self, around: Surroundings, namespace: str, name: str) -> None:
        self._around = around
        self._namespace = namespace
        self._name = name
        self._key = f"{namespace}/{name}"
        settings = around.settings
        self._layout = StoreLayout(settings.platform.store.uri, namespace, name)
        self._ledger = StoreLedger(around.store, self._layout.ledger)
        self._traffic = TrafficView(around.store, self._layout)
        self._filed = RequestFolder(around.store, self._layout.requests)
        self._announcer = Announcer(around.api, around.store, self._layout, around.webhook)
        self._rollout = Rollout(
            around.api,
            settings.platform,
            available=timedelta(seconds=settings.available_seconds),
            drain=timedelta(seconds=settings.drain_seconds),
        )
        self._desk = RunDesk(around.store, self._layout, settings.platform, around.runner_of, around.code_digest)
        self._uid = ""
        self._state = LoopState()
        self._told = 0
        self._failures = 0
        self._coming = ""
        self._asked: tuple[Request, ...] = ()
        self._schedule = ("", 0.0)

    def step(self) -> float:  # noqa: PLR0911 (one return per way to end)
        """Take one step and return after how many seconds the next is due, unless something happens before.

        Failures of the surroundings end the step, show in the conditions and are tried again with growing pauses.
        """
        if not self._around.may_act():
            return self._around.settings.poll_seconds
        self._around.metrics.steps.inc()
        obj: dict[str, Any] | None = None
        with self._around.metrics.step_seconds.time():
            try:
                obj = self._around.api.get("ModelLoop", self._namespace, self._name)
                if obj is None or "deletionTimestamp" in obj["metadata"]:
                    return self._around.settings.poll_seconds
                pause = self._advance(obj, read_loop(obj))
            except InvalidModelLoopError as error:
                return self._refuse_spec(obj, error)
            except LedgerMovedError as error:
                _log.info("ledger moved, deciding again: loop=%s %s", self._key, error)
                return 0.0
            except NotLeaderError:
                return self._around.settings.poll_seconds
            except Exception as error:  # noqa: BLE001 (whatever it is: one loop's trouble must not end the others)
                return self._put_off(obj, error)
        self._failures = 0
        return pause

    # One step

    def _advance(self, obj: dict[str, Any], loop: ModelLoop) -> float:
        around = self._around
        self._catch_up(obj)
        around.capacity.note(self._key, has_run=self._state.open_run is not None)
        reports = around.api.list("DriftReport", self._namespace, loop_labels(self._name))
        verdicts = self._traffic.look(reports)
        self._asked = self._filed.look(self._state.handled) if loop.spec.retraining.schedule else ()
        owner = Owner(obj["metadata"]["uid"], self._uid)
        created = {report["metadata"]["name"]: report["metadata"]["creationTimestamp"] for report in reports}
        wait = self._decide_and_act(obj, loop, verdicts, owner, created)
        self._check_leader()
        serving = self._rollout.settle(loop, self._state, owner, around.clock(), keep=self._coming)
        picture = Picture(
            loop=loop,
            loop_uid=self._uid,
            state=self._state,
            entries=self._ledger.entries,
            verdicts=verdicts,
            wait=wait,
            traffic=self._traffic.state,
            view=self._desk.view if self._state.open_run else None,
            reports=frozenset(created),
            is_serving=serving.is_available,
            is_rolling_out=bool(self._coming),
        )
        self._publish(obj, self._status(picture, obj))
        self._keep_reports(loop, reports, verdicts, wait)
        self._announce(obj, reports, verdicts)
        self._keep_schedule(loop)
        is_starting = self._state.champion is not None and not serving.is_available
        is_busy = self._state.open_run or self._coming or is_starting or serving.is_draining
        return around.settings.busy_poll_seconds if is_busy else around.settings.poll_seconds

    def _decide_and_act(
        self,
        obj: dict[str, Any],
        loop: ModelLoop,
        verdicts: tuple[Verdict, ...],
        owner: Owner,
        created: dict[str, str],
    ) -> Wait:
        """Decide and act until there is something to wait for."""
        self._coming = ""
        for _ in range(MOST_DECISIONS):
            self._check_leader()
            decision = self._decide(obj, loop, verdicts)
            if not isinstance(decision, Wait):
                reason = self._carry_out(decision, loop, verdicts, owner)
                if reason:
                    return Wait((reason,))
                continue
            run = self._state.open_run
            if run is None or not self._follow(loop, run, created):
                return decision
        raise AssertionError(f"{self._key}: {MOST_DECISIONS} decisions in a row, the last one {decision}")

    def _decide(self, obj: dict[str, Any], loop: ModelLoop, verdicts: tuple[Verdict, ...]) -> Decision:
        traffic = self._traffic.state
        facts = Facts(
            loop_uid=self._uid,
            verdicts=verdicts,
            labelled_rows=traffic.rows_to_train_on(self._state.quarantined) if traffic else 0,
            requests=(*requests_of(obj, self._state), *self._asked),
            basis=basis_in_cluster(loop, self._state),
        )
        return decide(loop.spec, self._state, facts, self._around.clock())

    def _carry_out(self, decision: Decision, loop: ModelLoop, verdicts: tuple[Verdict, ...], owner: Owner) -> str:
        """Do what was decided and write it down; what it waits for, where it isn't done."""
        now = self._around.clock()
        match decision:
            case StartRun():
                return self._order_run(decision, loop, verdicts, now)
            case Promote(model=model) | RollBack(model=model):
                readiness = self._bring_up(loop, model, owner, now)
                if readiness.stage is Stage.COMING:
                    self._coming = model.version
                    return f"{model.label} is coming up beside what serves{readiness.words and f': {readiness.words}'}"
                if readiness.stage is Stage.FAILED:
                    reason = f"it can't be served: {readiness.words}"
                    if isinstance(decision, Promote):
                        self._record(entry_of(Reject(model, reason), self._state, now))
                    else:
                        told = f"{model.label} can't be served: {readiness.words}"
                        self._record(entry_of(Refuse(decision.request, told), self._state, now))
                    return ""
                self._record(entry_of(decision, self._state, now))
            case Wait():
                pass
            case _:
                self._record(entry_of(decision, self._state, now))
        return ""

    def _order_run(self, decision: StartRun, loop: ModelLoop, verdicts: tuple[Verdict, ...], now: datetime) -> str:
        """Write down the run and the rows it learns from; following it starts it."""
        around = self._around
        if not around.capacity.take(self._key):
            return (
                f"{around.capacity.limit} runs are in progress in the cluster, the most allowed (maxConcurrentRuns of "
                f"the operator); then: {decision.reason}"
            )
        try:
            data_uri = loop.spec.data.uri
            if decision.from_log:
                data_uri = self._layout.training_rows(decision.run_key)
                now = self._pin_rows(data_uri, verdicts, now)
            self._record(entry_of(decision, self._state, now, data_uri=data_uri))
        finally:
            around.capacity.note(self._key, has_run=self._state.open_run is not None)
        return ""

    def _pin_rows(self, uri: str, verdicts: tuple[Verdict, ...], now: datetime) -> datetime:
        """Write down, once, which logged rows a run learns from, and return through when they go."""
        traffic = self._traffic.state
        rows = TrainingRows(
            log_uri=self._layout.log,
            view=traffic.view if traffic else {},
            through=now,
            leave_out=tuple(faulty_windows(verdicts, self._state.quarantined)),
        )
        with contextlib.suppress(FileExistsError):
            self._around.store.create(uri, rows.model_dump_json(by_alias=True).encode())
            return now
        return TrainingRows.model_validate_json(self._around.store.read(uri)).through

    def _follow(self, loop: ModelLoop, run: RunStarted, created: dict[str, str]) -> bool:
        """Start the open run unless it was, and record its end; whether it ended."""
        around = self._around
        entry = self._desk.follow(loop, self._state, run, around.clock())
        if self._desk.was_started and run.report in created:
            asked = datetime.fromisoformat(created[run.report])
            around.metrics.report_to_run_seconds.observe(max(0.0, (around.clock() - asked).total_seconds()))
        if entry is None:
            return False
        self._record(entry)
        failed = isinstance(entry, RunFinished) and entry.result is None
        around.metrics.runs.labels(self._namespace, self._name, "failed" if failed else "succeeded").inc()
        around.capacity.note(self._key, has_run=False)
        return True

    def _keep_schedule(self, loop: ModelLoop) -> None:
        """Have what `retraining.schedule` says recur; a loop without one asks the runner once, for one that is left."""
        schedule = loop.spec.retraining.schedule
        wanted = f"{schedule} {loop.spec.pipeline.runner} {loop.spec.suspend}" if schedule else "none"
        known, seen = self._schedule
        if known == wanted and (schedule is None or time.monotonic() < seen + REAPPLY_SECONDS):
            return
        try:
            self._around.runner_of(loop).keep_schedule(loop)
        except DriftloopError as error:
            if schedule is not None:
                raise
            _log.info("a schedule that may be left is looked for again: loop=%s error=%s", self._key, error)
        else:
            self._schedule = (wanted, time.monotonic())

    # The model

    def _bring_up(self, loop: ModelLoop, model: Model, owner: Owner, now: datetime) -> Readiness:
        try:
            for name in (SCHEMA_FILE, BASELINE_FILE):
                content = self._around.read_part(model.result.bento_uri, model.result.bento_digest, name)
                with contextlib.suppress(FileExistsError):
                    self._around.store.create(f"{self._layout.baselines}/{model.version}/{name}", content)
        except StoreUnavailableError:
            raise
        except DriftloopError as error:  # the Bento is gone, or isn't what its digest names
            return Readiness(Stage.FAILED, str(error))
        return self._rollout.bring_up(loop, model, owner, now)

    # What is known and written down

    def _catch_up(self, obj: dict[str, Any]) -> None:
        if not self._uid:
            self._uid = identify(self._around.store, self._layout, obj["metadata"]["uid"])
        self._ledger.catch_up()
        self._state = replay(self._ledger.entries)

    def _record(self, entry: LedgerEntry) -> None:
        self._ledger.append(entry)
        self._state = replay(self._ledger.entries)
        self._around.metrics.decisions.labels(self._namespace, self._name, entry.entry).inc()

    def _check_leader(self) -> None:
        if not self._around.may_act():
            raise NotLeaderError

    # What is told

    def _keep_reports(
        self, loop: ModelLoop, reports: list[dict[str, Any]], verdicts: tuple[Verdict, ...], wait: Wait
    ) -> None:
        """Write into each report what was decided on it, and remove the oldest beyond the limit."""
        for report in reports:
            decision = decide_on(
                self._traffic.verdict_of(report),
                loop_uid=self._uid,
                verdicts=verdicts,
                state=self._state,
                entries=self._ledger.entries,
                waiting=wait.reasons,
                now=self._around.clock(),
            )
            if not is_settled(report.get("status"), decision):
                status = DriftReportStatus(decision=decision).to_dict()
                with contextlib.suppress(RejectedError):  # a monitor removed it
                    self._around.api.patch_status("DriftReport", self._namespace, report["metadata"]["name"], status)
                    report["status"] = status
        known = [(report, self._traffic.verdict_of(report)) for report in reports]
        for name in outdated(known, loop.spec.monitoring.report_history_limit, verdicts, self._state):
            self._around.api.delete("DriftReport", self._namespace, name)

    def _announce(self, obj: dict[str, Any], reports: list[dict[str, Any]], verdicts: tuple[Verdict, ...]) -> None:
        for number, entry in enumerate(self._ledger.entries[self._told :], start=self._told + 1):
            self._announcer.give(obj, notice_of(number, entry))
            self._told = number
        for report in reports:
            name, verdict = report["metadata"]["name"], self._traffic.verdict_of(report)
            if verdict.verdict.is_alarm:
                notice = notice_of_report(name, verdict, datetime.fromisoformat(report["spec"]["createdAt"]))
                if why_unpaged(verdict, self._uid, verdicts, self._state, self._around.clock()):
                    self._announcer.pass_over(notice)
                else:
                    self._announcer.give(obj, notice)

    def _status(self, picture: Picture, obj: dict[str, Any]) -> dict[str, Any]:
        silence = timedelta(seconds=3 * self._around.settings.platform.flush_interval_seconds)
        return build_status(picture, obj, self._around.clock(), silence=silence).to_dict()

    def _publish(self, obj: dict[str, Any], status: dict[str, Any]) -> None:
        """Write the status where it differs from the one that is there; what is no longer in it goes."""
        known = obj.get("status") or {}
        self._around.metrics.show_conditions(self._namespace, self._name, status.get("conditions", []))
        if status != known:
            self._around.api.patch_status("ModelLoop", self._namespace, self._name, removing(known, status))

    # What goes wrong

    def _refuse_spec(self, obj: dict[str, Any] | None, error: InvalidModelLoopError) -> float:
        """Show what is wrong with the spec; nothing is tried again before it changes. What serves goes on."""
        if obj is not None:
            try:
                self._show(obj, stalled=INVALID_SPEC, stalled_words=str(error))
            except DriftloopError as failure:
                return self._put_off(None, failure)
        return LONGEST_PAUSE_SECONDS

    def _put_off(self, obj: dict[str, Any] | None, error: Exception) -> float:
        """Show a failure of the surroundings, and return after which pause to try again."""
        reason = _reason_of(error)
        self._failures += 1
        self._around.metrics.step_errors.labels(self._namespace, self._name, reason).inc()
        if isinstance(error, ApiUnavailableError):
            self._around.metrics.api_errors.inc()
        log = _log.warning if isinstance(error, DriftloopError) else _log.exception
        log("step cut off: loop=%s reason=%s error=%s", self._key, reason, error)
        if obj is not None:
            with contextlib.suppress(DriftloopError):
                self._show(obj, trouble=reason, trouble_words=str(error))
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), LONGEST_PAUSE_SECONDS))

    def _show(self, obj: dict[str, Any], **news: str) -> None:
        """Set the conditions that the news change; what else was known stays as it was."""
        known, generation = obj.get("status") or {}, obj["metadata"].get("generation")
        conditions = known.get("conditions") or ()
        found = find_conditions(replace(recall(known.get("champion"), conditions), **news))  # type: ignore[arg-type]
        dated = date_conditions(found, conditions, generation=generation, at=self._around.clock())
        told = ModelLoopStatus(conditions=dated, observed_generation=generation).to_dict()
        self._publish(obj, known | {name: told[name] for name in ("conditions", "observedGeneration") if name in told})


def identify(store: GuardedStore, layout: StoreLayout, object_uid: str) -> str:
    """Return the loop's identity: the uid of the object under which it was seen first, wherever it is now."""
    with contextlib.suppress(FileExistsError):
        store.create(layout.uid, object_uid.encode())
        return object_uid
    return store.read(layout.uid).decode()


def basis_in_cluster(loop: ModelLoop, state: LoopState) -> Basis:
    """Return what the user gives to learn from, without reading it: the operator has no right to people's data.

    The content counts as unchanged while the address is the one that was learned from last; another address counts as
    other content until a run has seen it. Who puts new data under the same address asks for a retraining.
    """
    uri = loop.spec.data.uri
    last = next((run for run in reversed(state.runs) if run.basis), None)
    if last and last.basis and last.data_uri == uri:
        return basis_of(loop.spec, last.basis.content)
    return basis_of(loop.spec, f"address:{hashlib.sha256(uri.encode()).hexdigest()[:16]}")


def removing(known: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch that turns a status into another, fields that are gone as null.

    >>> removing({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 3}})
    {'b': {'c': 3, 'd': None}, 'a': None}
    """
    patch: dict[str, Any] = {}
    for name, value in wanted.items():
        before = known.get(name)
        patch[name] = removing(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return patch | {name: None for name in known if name not in wanted}


def _reason_of(error: Exception) -> str:
    match error:
        case RunnerUnavailableError():
            return "RunnerUnavailable"
        case StoreUnavailableError():
            return "StoreUnavailable"
        case ApiUnavailableError() | ConflictError():
            return "ApiUnavailable"
        case RejectedError():
            return "RefusedByApi"
        case DriftloopError():
            return type(error).__name__.removesuffix("Error")
        case _:
            return "UnexpectedError"
