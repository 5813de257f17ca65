"""A cluster in small for tests of the operator: an API server, an object store, a runner that keeps its own books."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from driftloop.adapters.kubeapi import KubeApi
from driftloop.adapters.objectstore import FsspecStore
from driftloop.loop.history import LEDGER_ENTRY
from driftloop.loop.runner import RunOrder, RunPhase, RunView
from driftloop.operator.capacity import Capacity
from driftloop.operator.guardedstore import GuardedStore
from driftloop.operator.lookout import loops_with_runs
from driftloop.operator.looprun import LoopRun, Surroundings
from driftloop.operator.metrics import Metrics
from driftloop.operator.notify import Webhook
from driftloop.operator.settings import OperatorSettings
from driftloop.spec import MonitorState, ReportKind, RunResult, RunVerdict, Verdict, VerdictKind, Window
from driftloop.spec.driftreport import report_name
from driftloop.spec.storelayout import StoreLayout
from driftloop.workload.names import deployment_name, loop_labels, owner_reference
from driftloop.workload.rights import RBAC_RULES, AccessRole
from tests.cluster.apiserver import ApiServer

OPERATOR_USER = "operator"
NAME = "wine"
A, B, C = "a" * 64, "b" * 64, "c" * 64
HOUR = timedelta(hours=1)


@dataclass
class RunServer:
    """Where runs live: outlives every operator, and counts what was started."""

    started: list[str] = field(default_factory=list)
    views: dict[str, RunView] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    orders: dict[str, RunOrder] = field(default_factory=dict)
    refusal: Exception | None = None
    schedules: list[str] = field(default_factory=list)

    def start(self, order: RunOrder) -> None:
        if self.refusal:
            raise self.refusal
        if order.run_key not in self.views:
            self.started.append(order.run_key)
            self.orders[order.run_key] = order
            self.views[order.run_key] = RunView(RunPhase.RUNNING, stage="train", url=f"http://ui/{order.run_key}")

    def look(self, order: RunOrder) -> RunView | None:
        if self.refusal:
            raise self.refusal
        return self.views.get(order.run_key)

    def cancel(self, order: RunOrder) -> None:
        self.cancelled.append(order.run_key)

    def keep_schedule(self, loop) -> None:
        self.schedules.append(loop.spec.retraining.schedule or "")

    def drop_schedule(self, loop) -> None:
        self.schedules.append("dropped")


def make_settings(store_uri: str, **more) -> OperatorSettings:
    images = {role: f"registry/{role}:1" for role in ("controller", "monitor", "serving", "pipeline")}
    platform = {"images": images, "store": {"uri": store_uri}, "flush_interval_seconds": 60}
    facts = {"namespace": "driftloop", "identity": "operator-0", "drain_seconds": 60, "available_seconds": 600}
    return OperatorSettings.model_validate({"platform": platform, **facts, **more})


def make_spec(**spec):
    return {
        "problem": {"task": "Classification"},
        "data": {"uri": "s3://lake/wine.csv", "targetColumn": "late", "minRows": 100},
        "pipeline": {"runner": "Job"},
        "monitoring": {"window": {"duration": "1h"}},
        "retraining": {"cooldown": "1h", "limit": {"max": 5, "per": "7d"}},
    } | spec


def make_result(run_key: str, digest: str, *, verdict=RunVerdict.ACCEPTED, bento_uri: str = "") -> RunResult:
    return RunResult(
        loop=NAME,
        run_key=run_key,
        verdict=verdict,
        reasons=("Held: roc_auc 0.7000 on the test rows, at least 0.6 wanted.",),
        algorithm="HistGradientBoosting",
        metric="roc_auc",
        test_score=0.7,
        metrics={"roc_auc": 0.7},
        bento_tag=f"{NAME}:{digest[:12]}",
        bento_uri=bento_uri or f"s3://store/bentos/{digest}",
        bento_digest=digest,
        data_digest="d",
        rows=5000,
        runtime_image="registry/serving:1",
        run_id="r",
    )


class World:
    def __init__(self, server: ApiServer, store_uri: str, namespace: str = "default", **settings) -> None:
        self.server = server
        self.api: KubeApi = server.connect()
        self.kubeconfig = server.kubeconfig
        if server.fake or server.real:  # a cluster of your own gives its tests no other user
            rules = RBAC_RULES[AccessRole.OPERATOR]
            self.kubeconfig = server.kubeconfig_of(server.kubeconfig.parent, OPERATOR_USER, rules, namespace)
        self.operator_api = server.connect(self.kubeconfig)
        """As the operator's own user, whose calls are compared with its access rules."""
        self.namespace = namespace
        self.store = FsspecStore()
        self.settings = make_settings(store_uri, **settings)
        self.layout = StoreLayout(store_uri, namespace, NAME)
        self.runs = RunServer()
        self.offset = timedelta()
        self.windows = 0
        self.broken_bentos: dict[str, Exception] = {}
        self.holds_lease = True
        self.restart()

    # The operator

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def around(
        self, api: KubeApi | None = None, store=None, runner=None, webhook: Webhook | None = None
    ) -> Surroundings:
        api, runner, metrics = api or self.operator_api, runner or self.runs, Metrics()
        guarded = GuardedStore(store or self.store, metrics)
        return Surroundings(
            api=api,
            store=guarded,
            settings=self.settings,
            runner_of=lambda _loop: runner,
            read_part=self.read_part,
            capacity=Capacity(self.settings.max_concurrent_runs, lambda: loops_with_runs(api, guarded, self.settings)),
            webhook=webhook or Webhook("", 1, metrics),
            metrics=metrics,
            may_act=lambda: self.holds_lease,
            code_digest="code",
            clock=self.now,
        )

    def restart(self, **parts) -> LoopRun:
        """Begin a new process of the operator: it knows nothing."""
        self.surroundings = self.around(**parts)
        self.run = LoopRun(self.surroundings, self.namespace, NAME)
        return self.run

    def step(self) -> float:
        return self.run.step()

    def steps(self, count: int = 3) -> None:
        for _ in range(count):
            self.run.step()

    def read_part(self, uri: str, digest: str, name: str) -> bytes:
        if digest in self.broken_bentos:
            raise self.broken_bentos[digest]
        return json.dumps({"of": name, "digest": digest}).encode()

    # People

    def apply(self, **spec) -> dict:
        obj = {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": NAME, "namespace": self.namespace},
            "spec": make_spec(**spec),
        }
        known = self.loop_object()
        if known is None:
            return self.api.create(obj)
        return self.api.replace(known | {"spec": obj["spec"]})

    def annotate(self, **annotations: str | None) -> None:
        named = {f"driftloop.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.api.patch("ModelLoop", self.namespace, NAME, {"metadata": {"annotations": named}})

    # What happens in the cluster

    def finish_run(self, digest: str = A, *, verdict=RunVerdict.ACCEPTED, run_key: str = "") -> str:
        run_key = run_key or self.runs.started[-1]
        result = make_result(run_key, digest, verdict=verdict)
        self.store.create(self.layout.result(run_key), result.model_dump_json(by_alias=True).encode())
        self.runs.views[run_key] = RunView(RunPhase.SUCCEEDED)
        return run_key

    def fail_run(self, error: str) -> None:
        self.runs.views[self.runs.started[-1]] = RunView(RunPhase.FAILED, error=error)

    def make_available(self, digest: str = A, replicas: int = 1) -> None:
        deployment = self.deployment(digest)
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
            "readyReplicas": replicas,
        }
        self.api.patch_status("Deployment", self.namespace, deployment["metadata"]["name"], status)

    def add_pod(self, digest: str, *, init=(), containers=()) -> None:
        labels = loop_labels(NAME) | {
            "app.kubernetes.io/component": "server",
            "driftloop.dev/model-version": digest[:12],
        }
        name = f"{deployment_name(NAME, digest[:12])}-x"
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        self.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}})
        statuses = {"initContainerStatuses": list(init), "containerStatuses": list(containers)}
        self.api.patch_status("Pod", self.namespace, name, statuses)

    def serve_first(self, digest: str = A, **spec) -> None:
        """Bring the loop to its first champion."""
        self.apply(**spec)
        self.step()
        self.finish_run(digest)
        self.step()
        self.make_available(digest)
        self.steps(2)

    def end_drain(self) -> None:
        self.offset += timedelta(seconds=self.settings.drain_seconds + 1)

    def write_state(self, labelled_rows: int = 1000, **more) -> None:
        state = MonitorState(
            time=self.now(),
            evaluator="pod-0",
            complete_through=self.now(),
            labelled_by_date={self.now().date(): labelled_rows},
            view={"pod-0": 3},
            rows=5000,
            **more,
        )
        self.store.replace(f"{self.layout.monitor}/state.json", state.model_dump_json(by_alias=True).encode())

    def make_verdict(self, kind=VerdictKind.CONCEPT_DRIFT, *, digest=A, looked_at=ReportKind.PERFORMANCE, at=None):
        end = (at or self.now()).replace(microsecond=0)
        window = Window(start=end - HOUR, end=end, rows=500, labelled_rows=400)
        return Verdict(
            kind=looked_at, model_version=digest[:12], window=window, verdict=kind, summary=f"{kind} was seen."
        )

    def write_verdict(self, verdict: Verdict) -> None:
        name = f"{verdict.window.end:%Y%m%dT%H%M%SZ}-{verdict.kind}-{verdict.model_version}.json"
        self.store.create(f"{self.layout.monitor}/verdicts/{name}", verdict.model_dump_json(by_alias=True).encode())

    def report(self, verdict: Verdict) -> str:
        """Create the DriftReport of a verdict, as an evaluator does."""
        obj = self.build_report(verdict)
        self.api.create(obj)
        return obj["metadata"]["name"]

    def build_report(self, verdict: Verdict) -> dict:
        uid = self.loop_uid()
        name = report_name(uid, verdict.model_version, verdict.kind, verdict.window.start)
        return {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "DriftReport",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": loop_labels(NAME),
                "ownerReferences": [owner_reference(NAME, self.loop_object()["metadata"]["uid"])],
            },
            "spec": {
                "loopName": NAME,
                "loopUid": uid,
                "createdAt": verdict.window.end.isoformat(),
                "verdict": verdict.to_dict(),
            },
        }

    def drift(self, **more) -> str:
        """Let traffic drift; return the report's name.

        Windows end after the champion took over, and so a bit in the future.
        """
        self.windows += 1
        self.write_state()
        return self.report(self.make_verdict(at=self.now() + self.windows * HOUR, **more))

    # What is seen

    def loop_object(self) -> dict | None:
        return self.api.get("ModelLoop", self.namespace, NAME)

    def loop_uid(self) -> str:
        return self.store.read(self.layout.uid).decode()

    def status(self) -> dict:
        return self.loop_object().get("status", {})

    def condition(self, kind: str) -> dict:
        return next(one for one in self.status()["conditions"] if one["type"] == kind)

    def entries(self) -> list:
        return [
            LEDGER_ENTRY.validate_json(self.store.read(f"{self.layout.ledger}/{name}"))
            for name in self.store.names(self.layout.ledger)
            if name.endswith(".json")  # else a draft that is about to be linked
        ]

    def kinds(self) -> list[str]:
        return [entry.entry for entry in self.entries()]

    def deployment(self, digest: str = A) -> dict | None:
        return self.api.get("Deployment", self.namespace, deployment_name(NAME, digest[:12]))

    def deployments(self) -> list[str]:
        found = self.api.list("Deployment", self.namespace, loop_labels(NAME))
        return sorted(one["metadata"]["labels"]["driftloop.dev/model-version"] for one in found)

    def served_version(self) -> str:
        service = self.api.get("Service", self.namespace, NAME)
        return service["spec"]["selector"]["driftloop.dev/model-version"]

    def events(self) -> list[tuple[str, str]]:
        return [(one["reason"], one["message"]) for one in self.api.list("Event", self.namespace)]
