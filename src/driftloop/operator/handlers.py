"""The operator on kopf: one daemon a loop takes its steps, one after another; events of objects only wake it.

kopf elects nobody, so a Lease of ours says who acts; a step that is under way when it is lost ends at its next effect.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import kopf

from driftloop.adapters.lease import Lease
from driftloop.errors import DriftloopError
from driftloop.operator.deletion import delete_loop
from driftloop.operator.looprun import LoopRun, Surroundings
from driftloop.spec.modelloop import API_GROUP
from driftloop.workload.kinds import kind_of
from driftloop.workload.names import FINALIZER, LOOP_LABEL, OPERATOR_LEASE

RETRY_SECONDS = 2.0
STEP_SECONDS = 20.0
"""Longest wait for a step under way when its loop is deleted or the operator ends."""
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_log = logging.getLogger(__name__)


class _NoMemory(kopf.DiffBaseStorage):
    """Keeps kopf's own copy of an object nowhere: no handler of ours asks what changed."""

    def fetch(self, *, body: kopf.Body) -> None:  # noqa: ARG002 (kopf's interface)
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        pass


@dataclass
class _Minded:
    """A loop that a daemon minds."""

    run: LoopRun
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: object = None
    """What of the ModelLoop matters to a step, as of its last event."""


class Operator:
    """Minds every loop.

    Args:
        around: shared by all loops.
        lease: says whether this operator acts.
    """

    def __init__(self, around: Surroundings, lease: Lease) -> None:
        self._around = around
        self._lease = lease
        self._loops: dict[tuple[str, str], _Minded] = {}
        self._pool = ThreadPoolExecutor(around.settings.workers, thread_name_prefix="step")
        self._lease_pool = ThreadPoolExecutor(1, thread_name_prefix="lease")
        self._keeping: asyncio.Task[None] | None = None

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Add the handlers to a registry."""
        loops = (API_GROUP, "v1alpha1", "modelloops")
        kopf.on.login(registry=registry)(login)
        kopf.on.startup(registry=registry)(self.start)
        kopf.on.cleanup(registry=registry)(self.end)
        kopf.on.probe(registry=registry, id="holdsLease")(self.tell_lease)
        kopf.daemon(*loops, registry=registry, id="mind")(self.mind)
        kopf.on.event(*loops, registry=registry, id="changed")(self.notice_loop)
        kopf.on.delete(*loops, registry=registry, id="delete")(self.delete)
        for kind in map(kind_of, ("DriftReport", "Deployment", "Job")):
            group, _, version = kind.api_version.rpartition("/")
            wake = kopf.on.event(
                group,
                version,
                kind.plural,
                registry=registry,
                id=f"wake-{kind.plural}",
                labels={LOOP_LABEL: kopf.PRESENT},
            )
            wake(self.notice_object)

    # Life

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """Set kopf up, and take the Lease."""
        settings.posting.enabled = False  # the steps tell, in plain words
        settings.persistence.finalizer = FINALIZER
        settings.persistence.diffbase_storage = _NoMemory()
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=API_GROUP)
        settings.peering.standalone = True
        settings.background.cancellation_polling = 1.0
        settings.background.instant_exit_timeout = STEP_SECONDS
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        await self._hold_lease()
        self._keeping = asyncio.create_task(self._keep_lease())

    async def end(self, **_: Any) -> None:
        """Let the steps under way end, then give the Lease back."""
        if self._keeping:
            self._keeping.cancel()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._pool.shutdown)
        await loop.run_in_executor(self._lease_pool, self._lease.release)
        self._around.webhook.close()

    async def tell_lease(self, **_: Any) -> bool:
        """Return whether this operator acts, for `/healthz`."""
        return self._lease.is_held

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._around.settings.lease_seconds / 3)
            await self._hold_lease()

    async def _hold_lease(self) -> None:
        had_it = self._lease.is_held
        try:
            await asyncio.get_running_loop().run_in_executor(self._lease_pool, self._lease.hold)
        except DriftloopError as error:
            _log.error("the Lease can't be held: %s", error)
        self._around.metrics.holds_lease.set(self._lease.is_held)
        if self._lease.is_held and not had_it:
            for minded in self._loops.values():
                minded.woken.set()

    # Loops

    async def mind(self, namespace: str | None, name: str, stopped: Any, **_: Any) -> None:
        """Take the steps of one loop until it is deleted or the operator ends."""
        minded = self._minded(str(namespace), str(name))
        while not stopped:
            minded.woken.clear()
            pause = await self._step(minded)
            await _wait(minded.woken, stopped, pause)

    async def delete(self, namespace: str | None, name: str, body: kopf.Body, **_: Any) -> None:
        """Remove what a loop owns, then let it go."""
        if not self._lease.is_held:
            raise kopf.TemporaryError("this operator does not hold the Lease", delay=RETRY_SECONDS)
        minded = self._minded(str(namespace), str(name))
        async with minded.busy:
            try:
                await asyncio.get_running_loop().run_in_executor(
                    self._pool, delete_loop, self._around, plain(body), str(namespace), name
                )
            except DriftloopError as error:
                raise kopf.TemporaryError(str(error), delay=RETRY_SECONDS) from error
            self._loops.pop((str(namespace), name), None)

    async def notice_loop(self, namespace: str | None, name: str | None, body: kopf.Body, **_: Any) -> None:
        """Wake a loop whose spec or annotations changed; changes of its status are its own."""
        minded = self._minded(str(namespace), str(name))
        metadata = body["metadata"]
        seen = (metadata.get("uid"), metadata.get("generation"), dict(metadata.get("annotations") or {}))
        if seen != minded.seen:
            minded.seen = seen
            minded.woken.set()

    async def notice_object(self, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        """Wake the loop that an object belongs to."""
        minded = self._loops.get((str(namespace), labels[LOOP_LABEL]))
        if minded:
            minded.woken.set()

    def _minded(self, namespace: str, name: str) -> _Minded:
        return self._loops.setdefault((namespace, name), _Minded(LoopRun(self._around, namespace, name)))

    async def _step(self, minded: _Minded) -> float:
        async with minded.busy:
            return await asyncio.get_running_loop().run_in_executor(self._pool, minded.run.step)


def login(**about: Any) -> kopf.ConnectionInfo | None:
    """Return how kopf's watches reach the API server: as `KubeApi.connect` does."""
    if _TOKEN.exists() and not os.environ.get("KUBECONFIG"):
        return kopf.login_with_service_account(**about)
    return kopf.login_with_kubeconfig(**about)


def plain(body: kopf.Body) -> dict[str, Any]:
    """Return an object as a plain dict."""
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in body.items()}


async def run_operator(
    around: Surroundings, *, stop: asyncio.Event | None = None, ready: asyncio.Event | None = None
) -> None:
    """Run until `stop` is set, or until a signal where there is none.

    Args:
        around: shared by all loops; its `may_act` is replaced by the Lease of this operator.
        stop: ends the operator.
        ready: set once it watches.
    """
    settings = around.settings
    lease = Lease(around.api, settings.namespace, OPERATOR_LEASE, settings.identity, int(settings.lease_seconds))
    registry = kopf.OperatorRegistry()
    Operator(replace(around, may_act=lambda: lease.is_held), lease).register(registry)
    await kopf.operator(
        registry=registry,
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
        stop_flag=stop,
        ready_flag=ready,
    )


async def _wait(woken: asyncio.Event, stopped: Any, seconds: float) -> None:
    """Wait until the loop is woken or told to stop, or the time is over."""
    waits = {asyncio.ensure_future(woken.wait()), asyncio.ensure_future(stopped.wait())}
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
