"""Tells people: Kubernetes Events on the loop, and one CloudEvent a notice to a webhook. Each once, none awaited.

A mark in the object store says that a notice was given, so that neither a restart nor a restored cluster repeats the
past. A process that dies between a notice and its mark gives it twice: receivers know it by its id.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import contextlib
import json
import logging
import queue
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from driftloop.adapters.kubeapi import KubeApi
from driftloop.loop.history import (
    LedgerEntry,
    Quarantined,
    Rejected,
    RequestRefused,
    RunFinished,
    RunHeld,
)
from driftloop.loop.telling import links, tell, tell_verdict
from driftloop.operator.guardedstore import GuardedStore
from driftloop.operator.metrics import Metrics
from driftloop.spec import Harm, Verdict
from driftloop.spec.storelayout import StoreLayout

QUEUE_LENGTH = 1000
ATTEMPTS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """Something that people should know."""

    id: str
    """Unique within the loop."""
    kind: str
    """Kind of ledger entry, or of verdict."""
    message: str
    time: datetime
    is_warning: bool
    data: Mapping[str, str]
    """What it points at: run, Bento, drift report."""


def notice_of(number: int, entry: LedgerEntry) -> Notice:
    """Return what is told of an entry of the ledger."""
    failed = isinstance(entry, RunFinished) and entry.result is None
    warns = failed or isinstance(entry, Rejected | Quarantined | RunHeld | RequestRefused)
    kind = "RunFailed" if failed else entry.entry
    return Notice(f"{number:010d}", kind, tell(entry), entry.at, warns, links(entry))


def notice_of_report(name: str, verdict: Verdict, created_at: datetime) -> Notice:
    """Return what is told of a drift report; drift that does no harm is no warning."""
    warns = verdict.verdict.is_alarm and verdict.harm is not Harm.HARMLESS
    data = {"driftReport": name, "modelVersion": verdict.model_version, "kind": str(verdict.kind)}
    return Notice(f"report-{name}", str(verdict.verdict), tell_verdict(verdict), created_at, warns, data)


class Webhook:
    """Posts CloudEvents from a thread of its own; a receiver that is slow or away holds nobody up.

    Args:
        url: the receiver; empty: nothing is posted.
        timeout_seconds: longest wait for its answer.
        metrics: count what came through.
    """

    def __init__(self, url: str, timeout_seconds: float, metrics: Metrics) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._metrics = metrics
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        if url:
            self._thread.start()

    def post(self, event: dict[str, Any]) -> None:
        """Have an event posted; where too many wait already it is dropped, and counted."""
        if not self._url:
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._fail(event, "too many notices wait")

    def close(self) -> None:
        """Post what waits, then end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=self._timeout_seconds)

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            error: Exception | None = None
            for _ in range(ATTEMPTS):
                try:
                    self._send(event)
                except OSError as failure:
                    error = failure
                else:
                    self._metrics.notifications.labels("delivered").inc()
                    break
            else:
                self._fail(event, error)

    def _send(self, event: dict[str, Any]) -> None:
        request = urllib.request.Request(  # noqa: S310 (the address is the installer's)
            self._url,
            data=json.dumps(event).encode(),
            headers={"content-type": "application/cloudevents+json"},
        )
        with urllib.request.urlopen(request, timeout=self._timeout_seconds):  # noqa: S310
            pass

    def _fail(self, event: dict[str, Any], error: object) -> None:
        self._metrics.notifications.labels("failed").inc()
        _log.warning("notice not delivered: id=%s error=%s", event["id"], error)


class Announcer:
    """Gives the notices of one loop.

    Args:
        api: for Events.
        store: for marks.
        layout: of the loop.
        webhook: shared by all loops.
    """

    def __init__(self, api: KubeApi, store: GuardedStore, layout: StoreLayout, webhook: Webhook) -> None:
        self._api = api
        self._store = store
        self._layout = layout
        self._webhook = webhook
        self._given: set[str] | None = None

    def give(self, about: dict[str, Any], notice: Notice) -> None:
        """Give a notice unless it was given before.

        Args:
            about: the ModelLoop.
            notice: what to tell.
        """
        if self.was_given(notice.id):
            return
        self._api.emit_event(about, reason=notice.kind, message=notice.message, warning=notice.is_warning)
        self._webhook.post(build_cloud_event(self._layout, notice))
        self._mark(notice.id)

    def pass_over(self, notice: Notice) -> None:
        """Never give a notice, unless it was given before: people asked for silence."""
        if not self.was_given(notice.id):
            self._mark(notice.id)

    def was_given(self, notice_id: str) -> bool:
        """Whether a notice was given or passed over before, by this operator or another."""
        if self._given is None:
            self._given = set(self._store.names(self._layout.notices))
        return notice_id in self._given

    def _mark(self, notice_id: str) -> None:
        with contextlib.suppress(FileExistsError):
            self._store.create(f"{self._layout.notices}/{notice_id}", b"")
        if self._given is not None:
            self._given.add(notice_id)


def build_cloud_event(layout: StoreLayout, notice: Notice) -> dict[str, Any]:
    """Return a notice as a CloudEvent in structured JSON."""
    return {
        "specversion": "1.0",
        "id": f"{layout.namespace}/{layout.name}/{notice.id}",
        "source": f"/apis/driftloop.dev/v1alpha1/namespaces/{layout.namespace}/modelloops/{layout.name}",
        "type": f"dev.driftloop.{notice.kind}",
        "time": notice.time.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "loop": layout.name,
            "namespace": layout.namespace,
            "message": notice.message,
            "warning": notice.is_warning,
            **notice.data,
        },
    }
