"""The monitor's HTTP face: labels in, status, health and metrics out.

It checks and answers; the log queue keeps. `POST /labels` answers only when the labels are on disk.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from driftloop.errors import DriftloopError
from driftloop.sidecar.logqueue import LogQueue, NotShippedError, QueueFullError
from driftloop.sidecar.settings import MEBIBYTE
from driftloop.sidecar.shipnotes import ShipNotes
from driftloop.sidecar.tap import Tap
from driftloop.sidecar.wire import LabelMessage, LabelsRequest, first_problem

MAX_BODY_BYTES = 8 * MEBIBYTE
"""Longest request; at some 50 bytes a label, 160,000 labels."""
RETRY_AFTER_SECONDS = 5
"""When to send again what was answered 503."""
SHUTDOWN_SECONDS = 2
"""Time given to open requests when the intake stops."""


class PortInUseError(DriftloopError):
    """The port of the labels can't be had."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(
            f"The monitor must be able to listen on {host}:{port}: {error.strerror}. "
            "Free the port or set DRIFTLOOP_MONITOR_LABELS_PORT."
        )


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


def build_app(
    queue: LogQueue,
    tap: Tap,
    *,
    replay: bool,
    label_table: Callable[[], dict[str, Any] | None] = lambda: None,
    notes: ShipNotes | None = None,
) -> Starlette:
    """Return the application.

    Args:
        queue: keeper of the log.
        tap: the other way in, for its counts.
        replay: whether labels bring their own time.
        label_table: returns the status of the polled label table; None where none is polled.
        notes: how far the object store is; None where the log stays on this machine.
    """

    async def labels(request: Request) -> JSONResponse:
        messages = _parse_labels(await _read_body(request), replay=replay)
        try:
            await queue.put_labels(messages)
        except (QueueFullError, NotShippedError) as error:
            raise _RefusedError(503, str(error)) from error
        except DriftloopError as error:
            raise _RefusedError(507, str(error)) from error
        return JSONResponse({"accepted": len(messages)})

    async def status(_: Request) -> JSONResponse:
        return JSONResponse(
            {
                "clock": "replay" if replay else "wall",
                "watermark": _format_time(queue.watermark),
                "completeThrough": _format_time(queue.complete_through),
                "rows": queue.committed.rows,
                "labels": queue.committed.labels,
                "dropped": queue.committed.dropped,
                "pending": {
                    "rows": queue.pending.rows,
                    "labels": queue.pending.labels,
                    "dropped": queue.pending.dropped,
                },
                "unlogged": queue.unlogged_rows,
                "acknowledged": queue.acknowledged_rows,
                "duplicates": queue.duplicate_rows,
                "appends": queue.appends,
                "malformed": tap.malformed,
                "connections": tap.connections,
                "lastError": queue.last_error,
                "labelTable": label_table(),
                "store": notes.read().to_dict() if notes else None,
            }
        )

    async def healthz(_: Request) -> JSONResponse:
        if queue.last_error is not None:
            raise _RefusedError(503, queue.last_error)
        return JSONResponse({"status": "ok"})

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(queue, tap, label_table, notes))

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/labels", labels, methods=["POST"]),
            Route("/status", status),
            Route("/healthz", healthz),
            Route("/metrics", metrics),
        ],
        exception_handlers={_RefusedError: _refuse},
    )


@contextlib.asynccontextmanager
async def listen(app: Starlette, host: str, port: int) -> AsyncIterator[None]:
    """Serve the application while the context is open.

    Raises:
        PortInUseError: the port can't be had.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise PortInUseError(host, port, error) from error
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=SHUTDOWN_SECONDS
    )
    server = _Server(config)
    with listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the intake, which has more to close than HTTP."""
        yield


class _Metrics:
    """Prometheus view of the intake's counts."""

    def __init__(
        self,
        queue: LogQueue,
        tap: Tap,
        label_table: Callable[[], dict[str, Any] | None],
        notes: ShipNotes | None,
    ) -> None:
        self._label_table = label_table
        self._notes = notes
        self._queue = queue
        self._tap = tap

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        counts = self._queue.committed + self._queue.pending
        prefix = "driftloop_monitor"
        yield CounterMetricFamily(f"{prefix}_predictions", "Predictions in the log.", counts.rows)
        yield CounterMetricFamily(f"{prefix}_labels", "Labels in the log.", counts.labels)
        yield CounterMetricFamily(f"{prefix}_dropped", "Predictions served but not logged.", counts.dropped)
        yield CounterMetricFamily(
            f"{prefix}_acknowledged",
            "Predictions that model servers were told are on disk.",
            self._queue.acknowledged_rows,
        )
        yield CounterMetricFamily(
            f"{prefix}_duplicates", "Predictions that came again and are in the log once.", self._queue.duplicate_rows
        )
        yield CounterMetricFamily(f"{prefix}_appends", "Waits for the disk before an answer.", self._queue.appends)
        yield GaugeMetricFamily(f"{prefix}_unlogged", "Predictions that wait for the disk.", self._queue.unlogged_rows)
        yield CounterMetricFamily(f"{prefix}_malformed_lines", "Tap lines without meaning.", self._tap.malformed)
        yield GaugeMetricFamily(f"{prefix}_tap_connections", "Connected model servers.", self._tap.connections)
        if (table := self._label_table()) is not None:
            yield GaugeMetricFamily(f"{prefix}_label_table_rows", "Rows of the polled label table.", table["rows"])
            yield CounterMetricFamily(f"{prefix}_label_table_posted", "Labels made of its rows.", table["posted"])
            yield GaugeMetricFamily(
                f"{prefix}_label_table_failures", "Attempts to read it that failed in a row.", table["failures"]
            )
        if self._notes is not None:
            note = self._notes.read()
            unshipped = max(counts.rows - note.rows, 0)
            yield GaugeMetricFamily(f"{prefix}_unshipped", "Predictions not in the object store yet.", unshipped)
            yield GaugeMetricFamily(f"{prefix}_ship_failures", "Attempts to ship that failed in a row.", note.failures)
        through = self._queue.complete_through
        yield GaugeMetricFamily(
            f"{prefix}_complete_through_timestamp_seconds",
            "Event time up to which the log is committed.",
            through.timestamp() if through else 0,
        )


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, _RefusedError):
        raise error
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"error": {"message": str(error), "field": error.field}}, error.status, headers)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _RefusedError(413, f"The body must not be longer than {MAX_BODY_BYTES} bytes. Send fewer labels.")
    return bytes(body)


def _parse_labels(body: bytes, *, replay: bool) -> list[LabelMessage]:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _RefusedError(400, f"The body must be JSON: {error}.") from error
    try:
        messages = LabelsRequest.model_validate(content).labels
    except ValidationError as error:
        path, reason = first_problem(error)
        raise _RefusedError(422, f"The '{path or 'body'}' of the request is wrong: {reason}.", path) from error
    for index, message in enumerate(messages):
        if (message.time is None) == replay:
            need = "is required in replay mode" if replay else "is for replay mode only: the time of receipt counts"
            raise _RefusedError(422, f"The 'labels[{index}].time' {need}.", f"labels[{index}].time")
    return messages


def _format_time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
