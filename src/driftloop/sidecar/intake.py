"""The monitor's intake: one process that takes the tap's records and the labels, and keeps the prediction log.

It stands between the model servers (Unix socket), the label clients (HTTP) and the evaluator, which reads what is
committed here. It judges nothing.
"""

import asyncio
import gc
import logging
import signal
from datetime import UTC, datetime
from functools import partial

from driftloop.predictionlog import PredictionLogWriter
from driftloop.sidecar.api import build_app, listen
from driftloop.sidecar.labelstatus import read_status
from driftloop.sidecar.logqueue import LogQueue, Shared
from driftloop.sidecar.settings import MEBIBYTE, MonitorSettings
from driftloop.sidecar.shipnotes import ShipNotes
from driftloop.sidecar.tap import Tap

_log = logging.getLogger(__name__)


def main(settings: MonitorSettings) -> None:
    """Run the intake until SIGTERM or SIGINT, then write, commit and close."""
    # Records are many, short-lived and without cycles: looking for those more often costs half of the throughput.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    asyncio.run(_run(settings))


async def _run(settings: MonitorSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


async def serve(settings: MonitorSettings, stop: asyncio.Event) -> None:
    """Take records until `stop` is set.

    Raises:
        DriftloopError: the log, the socket or the port can't be had.
    """
    replay = settings.clock == "replay"
    with PredictionLogWriter(
        settings.log_dir,
        writer_id=settings.writer_id,
        sync=settings.sync != "never",
        sync_appends=settings.sync == "always",
        max_bytes=settings.local_log_mebibytes * MEBIBYTE if settings.store_uri else None,
    ) as writer:
        notes = ShipNotes(settings.log_dir)
        queue = LogQueue(
            writer,
            replay=replay,
            commit_interval_seconds=settings.commit_interval_seconds,
            utc_now=lambda: datetime.now(UTC),
            sync_interval_seconds=settings.sync_interval_seconds if settings.sync == "interval" else None,
            return_seconds=settings.return_seconds,
            shared=Shared(notes, settings.label_commit_seconds, settings.label_wait_seconds)
            if settings.store_uri
            else None,
        )
        tap = Tap(queue)
        writing = asyncio.create_task(queue.run())
        stopping = asyncio.create_task(stop.wait())
        app = build_app(
            queue,
            tap,
            replay=replay,
            label_table=partial(read_status, settings.state_dir),
            notes=notes if settings.store_uri else None,
        )
        try:
            async with listen(app, settings.host, settings.labels_port), tap.listen(settings.tap_socket):
                _log.info("takes records on %s, labels on port %d", settings.tap_socket, settings.labels_port)
                await asyncio.wait({writing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not writing.done():
                queue.close()
            await writing
