"""The label process: reads `monitoring.labels.uri` every so often and posts what is new to the intake, as any client.

It never ends because of a table: what is wrong is written to its status and tried again. A row becomes a label once;
when it says something else than before it becomes a later label, which holds from then on.
"""

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from driftloop.errors import DriftloopError
from driftloop.sidecar.labelmemory import LabelMemory, SharedLabelMemory, digests
from driftloop.sidecar.labelrows import read_rows
from driftloop.sidecar.labelstatus import PollStatus, write_status
from driftloop.sidecar.settings import MonitorSettings
from driftloop.spec import ModelLoop
from driftloop.spec.loading import read_modelloop
from driftloop.spec.storelayout import StoreLayout

POSTED_LABELS = 5000
"""Labels of one request."""
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 300.0
_POST_SECONDS = 30.0

logger = logging.getLogger(__name__)


class NotTakenError(DriftloopError):
    """The intake did not take labels."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"The monitor's intake must take labels of the label table. It did not: {reason}.")


class NoTimeError(DriftloopError):
    """A replay can't tell when the labels became known."""

    def __init__(self) -> None:
        super().__init__(
            "The 'monitoring.labels.timeColumn' must be set in a replay. Got nothing. "
            "Name the column that says when each label became known."
        )


class Table(Protocol):
    """Where labels come from."""

    def fingerprint(self) -> str | None:
        """Return what changes when the table may have changed; None where only reading tells."""

    def read(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Return some columns."""


class LabelPoll:
    """Turns the rows of one table into labels, each once.

    Args:
        loop: the loop that names table and columns.
        table: where labels come from.
        memory: which rows are labels already.
        post: hands labels to the intake; returns when they are on its disk.
        replay: whether labels bring their own time.
        now: clock of the status.
    """

    def __init__(
        self,
        loop: ModelLoop,
        table: Table,
        memory: LabelMemory,
        post: Callable[[list[dict[str, Any]]], None],
        *,
        replay: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        labels, data = loop.spec.monitoring.labels, loop.spec.data
        self._key_column = data.key_column or ""
        self._label_column = labels.column or data.target_column
        self._time_column = labels.time_column
        self._interval = labels.poll_interval.total_seconds()
        self._table = table
        self._memory = memory
        self._post = post
        self._replay = replay
        self._now = now
        self._fingerprint: str | None = None
        self.status = PollStatus(str(table))

    def poll(self) -> float:
        """Look once; return the seconds until the next time."""
        try:
            self._take_over()
        except DriftloopError as error:
            if str(error) != self.status.last_error:
                logger.warning("%s", error)
            failures = self.status.failures + 1
            self.status = replace(self.status, failures=failures, last_error=str(error))
            return min(FIRST_RETRY_SECONDS * float(2 ** min(failures - 1, 20)), LONGEST_RETRY_SECONDS)
        self.status = replace(self.status, polled_at=self._now().isoformat(), failures=0, last_error=None)
        return self._interval

    def _take_over(self) -> None:
        if self._replay and self._time_column is None:
            raise NoTimeError
        fingerprint = self._table.fingerprint()  # before reading: what changes meanwhile is read the next time
        if fingerprint is not None and fingerprint == self._fingerprint:
            return
        columns = [self._key_column, self._label_column, *([self._time_column] if self._time_column else [])]
        values = self._table.read(columns)
        rows = read_rows(values, self._key_column, self._label_column, self._time_column, replay=self._replay)
        self.status = replace(self.status, rows=len(values[self._key_column]), without_label=rows.without_label)
        times = rows.times or [""] * len(rows.keys)
        identities = digests([f"{key}\0{moment}" for key, moment in zip(rows.keys, times, strict=True)])
        contents = digests([_content(label) for label in rows.labels])
        fresh = self._memory.is_new(identities, contents).nonzero()[0]
        for first in range(0, len(fresh), POSTED_LABELS):
            places = fresh[first : first + POSTED_LABELS]
            self._post(rows.to_messages(places.tolist()))
            # After the intake has them: a crash in between posts the same labels again, which changes nothing.
            self._memory.remember(identities[places], contents[places])
            self.status = replace(self.status, posted=self.status.posted + len(places))
        if len(fresh):
            logger.info("posted %d new labels of %s", len(fresh), self._table)
        self._fingerprint = fingerprint


def _content(label: bool | float | str) -> str:
    """Return what a label says: the same for 1 and 1.0, which a table may hold in turn."""
    return json.dumps(label if isinstance(label, bool | str) else float(label))


def post_to(url: str) -> Callable[[list[dict[str, Any]]], None]:
    """Return what hands labels to the intake at an address.

    The returned function raises NotTakenError when they are not on disk.
    """

    def post(labels: list[dict[str, Any]]) -> None:
        body = json.dumps({"labels": labels}).encode()
        request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310  our intake
        try:
            with urllib.request.urlopen(request, timeout=_POST_SECONDS):  # noqa: S310
                pass
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read().decode(errors="replace")
            raise NotTakenError(answer) from error
        except OSError as error:
            raise NotTakenError(error) from error

    return post


def main(settings: MonitorSettings) -> None:
    """Poll for ever; return at once when the loop names no table."""
    loop = read_modelloop(settings.loop_file)
    labels = loop.spec.monitoring.labels
    if labels.uri is None:
        return
    from driftloop.adapters.labeltable import LabelTable

    memory = _memory(settings, loop.metadata.name)
    poll = LabelPoll(
        loop,
        LabelTable(labels.uri, labels.query),
        memory,
        post_to(f"http://{_reachable(settings.host)}:{settings.labels_port}/labels"),
        replay=settings.clock == "replay",
    )
    while True:
        seconds = poll.poll()
        if isinstance(memory, SharedLabelMemory):
            try:
                memory.upload()
            except DriftloopError as error:
                logger.warning("%s", error)
                seconds = min(seconds, LONGEST_RETRY_SECONDS)
        write_status(settings.state_dir, poll.status)
        time.sleep(seconds)


def _memory(settings: MonitorSettings, loop: str) -> LabelMemory:
    """Return what is known of the table: in a cluster what whoever polled it last knew."""
    if not settings.store_uri:
        return LabelMemory(memory_path(settings))
    from driftloop.adapters.logobjects import LogObjects

    layout = StoreLayout(settings.store_uri, settings.namespace, loop)
    return SharedLabelMemory(memory_path(settings), LogObjects(), f"{layout.monitor}/labelpoll.seen")


def memory_path(settings: MonitorSettings) -> Path:
    """Return where the rows seen are kept: with the log, because that is what they are in."""
    return settings.log_dir / "labelpoll" / f"{settings.writer_id}.seen"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound
