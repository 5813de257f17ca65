"""The light process of a monitor in a cluster: stands for the loop's Lease, and works for the loop while it holds it.

What only one monitor of a loop shall do are its children: the evaluator, which alone loads the drift tests, and the
process that polls the label table. Meanwhile it makes a DriftReport of each report that the evaluator leaves. An API
server that is away delays DriftReports, and hurts nothing else.
"""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from driftloop.adapters.kubeapi import AlreadyExistsError, KubeApi
from driftloop.adapters.lease import Lease
from driftloop.errors import DriftloopError
from driftloop.sidecar.reportoutbox import ReportOutbox, evaluator_state_dir
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.supervisor import Child, judging_children, reap, start_due, stop_children
from driftloop.spec.loading import read_modelloop
from driftloop.workload.names import evaluator_lease_name, loop_labels, owner_reference

POLL_SECONDS = 0.2
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Api(Protocol):
    """What is needed of the Kubernetes API."""

    def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""

    def list(self, kind: str, namespace: str | None = None, labels: Any = None) -> list[dict[str, Any]]:
        """Return objects by label."""

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Remove an object."""


class Announcer:
    """Makes DriftReports of what lies in the outbox, oldest first; tries again with growing pauses.

    Args:
        api: the API server.
        namespace: of the loop.
        loop: its name.
        loop_object_uid: `metadata.uid` of the ModelLoop, which owns the reports.
        history_limit: DriftReports that are kept.
        state_dir: the evaluator's state folder.
        monotonic: clock of intervals, in seconds.
    """

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        loop: str,
        loop_object_uid: str,
        history_limit: int,
        state_dir: Path,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._loop = loop
        self._owner_uid = loop_object_uid
        self._history_limit = history_limit
        self._outbox = ReportOutbox(state_dir)
        self._monotonic = monotonic
        self._pause_seconds = 0.0
        self._next_attempt = float("-inf")

    def step(self) -> None:
        """Announce what waits."""
        if self._monotonic() < self._next_attempt:
            return
        try:
            waiting = self._outbox.waiting()
            for path in waiting:
                self._announce(path)
            if waiting:
                self._remove_old()
        except FileNotFoundError:
            return  # The evaluator began anew, and leaves again what is not announced.
        except DriftloopError as error:
            self._pause_seconds = min(max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._next_attempt = self._monotonic() + self._pause_seconds
            _log.warning("a DriftReport waits, and is tried again in %g s: %s", self._pause_seconds, error)
            return
        self._pause_seconds = 0.0

    def _announce(self, path: Path) -> None:
        report = json.loads(path.read_bytes())
        try:
            self._api.create(self._build(report))
            _log.info("created the DriftReport %s", report["name"])
        except AlreadyExistsError:
            pass
        self._outbox.note_announced(path)

    def _build(self, report: dict[str, Any]) -> dict[str, Any]:
        # No blocking owner: that would need the right to change the ModelLoop's finalizers.
        owner = {k: v for k, v in owner_reference(self._loop, self._owner_uid).items() if k != "blockOwnerDeletion"}
        return {
            "apiVersion": report["apiVersion"],
            "kind": report["kind"],
            "metadata": {
                "name": report["name"],
                "namespace": self._namespace,
                "labels": loop_labels(self._loop),
                "ownerReferences": [owner],
            },
            "spec": {
                "loopName": report["loop"],
                "loopUid": report["loopUid"],
                "createdAt": report["createdAt"],
                "verdict": report["verdict"],
            },
        }

    def _remove_old(self) -> None:
        found = self._api.list("DriftReport", self._namespace, loop_labels(self._loop))
        by_age = sorted(found, key=lambda r: (r["spec"]["createdAt"], r["metadata"]["name"]))
        for old in by_age[: -self._history_limit]:
            self._api.delete("DriftReport", self._namespace, old["metadata"]["name"])


class Leadership:
    """Renews the Lease in time, and says whether it is held.

    Args:
        lease: the loop's.
        renew_seconds: time between two attempts to take or renew it.
        monotonic: clock of intervals, in seconds.
    """

    def __init__(self, lease: Lease, renew_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._renew_seconds = renew_seconds
        self._monotonic = monotonic
        self._next_attempt = float("-inf")
        self._told = ""

    def is_held(self) -> bool:
        """Return whether this monitor works for the loop now."""
        now = self._monotonic()
        if now >= self._next_attempt:
            self._next_attempt = now + self._renew_seconds
            try:
                return self._lease.hold()
            except DriftloopError as error:
                if str(error) != self._told:
                    _log.error("%s", error)
                self._told = str(error)
        return self._lease.is_held

    def release(self) -> None:
        """Let another monitor go on at once."""
        try:
            self._lease.release()
        except DriftloopError as error:
            _log.warning("%s", error)


class LoopFile:
    """Tells when the loop's file changed: what works by it starts anew then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = path.read_bytes()

    def has_changed(self) -> bool:
        """Return whether the content is another than at the last call."""
        content = self._path.read_bytes()
        changed, self._content = content != self._content, content
        return changed


def lead(
    leadership: Leadership, announcer: Announcer, children: Sequence[Child], loop_file: LoopFile, stop: threading.Event
) -> None:
    """Run the children while the Lease is held, until `stop` is set."""
    while not stop.wait(POLL_SECONDS):
        if not leadership.is_held():
            stop_children(children)
            continue
        if loop_file.has_changed():
            _log.info("the loop's file has changed: evaluator and label process start anew")
            stop_children(children)
            for child in children:
                child.start_at = 0.0
        start_due(children, time.monotonic())
        reap(children)
        announcer.step()
    stop_children(children)
    leadership.release()


def main(settings: MonitorSettings) -> None:
    """Stand for the Lease until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    loop_file = LoopFile(settings.loop_file)
    loop = read_modelloop(settings.loop_file)
    name = loop.metadata.name
    api = KubeApi.connect()
    lease = Lease(api, settings.namespace, evaluator_lease_name(name), settings.writer_id, settings.lease_seconds)
    announcer = Announcer(
        api,
        namespace=settings.namespace,
        loop=name,
        loop_object_uid=settings.loop_object_uid,
        history_limit=loop.spec.monitoring.report_history_limit,
        state_dir=evaluator_state_dir(settings),
    )
    lead(Leadership(lease, settings.lease_seconds / 3), announcer, judging_children(settings), loop_file, stop)
