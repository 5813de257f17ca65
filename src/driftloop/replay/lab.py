"""One replay: traffic through a model into a log of its own, through the real evaluator, and to the real decisions.

All in event time, in one process and a temporary folder; nothing waits for a clock.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from driftloop.controller.monitorview import MonitorView
from driftloop.controller.servers import place_baseline
from driftloop.errors import InvalidInputError
from driftloop.loop.history import LedgerEntry, Promoted, RolledBack
from driftloop.monitor.baseline import Baseline
from driftloop.monitor.windows import floor
from driftloop.predictionlog.columns import KEY, LABEL, LABEL_TIME, MODEL_VERSION, PREDICTION_ID, TIME
from driftloop.replay.deciding import Decider, KnownLabels, in_order
from driftloop.replay.injections import Injection
from driftloop.replay.livelog import LiveLog
from driftloop.replay.models import PackagedModel
from driftloop.replay.traffic import LABEL_DELAY, Traffic
from driftloop.sidecar.evaluator import Evaluator, make_engine
from driftloop.sidecar.settings import MonitorSettings
from driftloop.spec import ModelLoop, Verdict
from driftloop.spec.loading import read_modelloop

LOOK_WINDOWS = 50
"""Windows after which the replay says how far it is."""
CHUNK_ROWS = 100_000
"""Rows that are answered at a time, rounded up to whole dates: bounds the memory."""


class NoBaselineError(InvalidInputError):
    """There is nothing to compare the traffic with."""

    def __init__(self, version: str, where: Path) -> None:
        super().__init__(
            f"The model version {version} must have a baseline in '{where}', which its traffic is compared with. There "
            "is none. Name the workspace that the log comes from with --workspace, or replay a table: "
            "driftloop replay TABLE -f LOOP_FILE"
        )


class UnreadableBaselineError(InvalidInputError):
    """What the traffic is compared with is of another version, or damaged."""

    def __init__(self, model: PackagedModel) -> None:
        super().__init__(
            f"The baseline of the model version {model.model.version} in '{model.folder}' must be of this version of "
            "driftloop, and whole. It can't be read. Train the model again, or replay a table with another "
            "--workspace: a model is trained there."
        )


@dataclass(frozen=True)
class ReplayPlan:
    """What is replayed."""

    loop: ModelLoop
    traffic: Traffic
    models: Mapping[str, PackagedModel]
    """By version: all that the traffic's tenures name."""
    entries: Sequence[LedgerEntry]
    """The ledger at the start: how the first champion came to be."""
    recorded: Sequence[LedgerEntry] = ()
    """What the recorded loop promoted, and what people muted, afterwards."""
    injections: Sequence[Injection] = ()
    seed: int = 0


@dataclass(frozen=True)
class Replayed:
    """What came of it."""

    verdicts: tuple[Verdict, ...]
    """In the order in which they fell due."""
    entries: tuple[LedgerEntry, ...]
    """The ledger at the end."""
    labelled_at: Mapping[str, int]
    """Labelled rows that each run would have learned from."""
    start: datetime
    end: datetime
    """Behind the last window."""
    periods: tuple[tuple[datetime, datetime], ...]
    """Of the injections."""
    rows: int
    """Rows in the log."""
    refused: int
    """Rows that the model's server would not have answered."""
    labelled: int
    answering_seconds: float
    judging_seconds: float
    deciding_seconds: float
    cpu_seconds: float


def with_injections(plan: ReplayPlan, injections: Sequence[Injection]) -> ReplayPlan:
    """Return the plan of the same traffic with something injected."""
    return replace(plan, injections=tuple(injections))


def replay(plan: ReplayPlan, folder: Path, say: Callable[[str], None] = lambda _: None) -> Replayed:
    """Run a replay in an empty folder.

    Raises:
        DriftloopError: the injections do not fit the traffic, or a model or its baseline can't be read.
    """
    monitoring = plan.loop.spec.monitoring
    duration, delay = monitoring.window.duration, monitoring.labels.expected_delay
    began, cpu = time.monotonic(), time.process_time()
    periods = tuple(injection.during(plan.traffic.first, plan.traffic.last) for injection in plan.injections)
    traffic = plan.traffic.with_injections(plan.injections, plan.seed)
    log = LiveLog(folder / "log", duration)
    settings = _settings(plan.loop, folder)
    for version in {version for _, version in traffic.tenures}:
        _place_baseline(plan, version, settings.baselines_dir)
    say(f"answering {len(traffic.rows):,} rows")
    rows = refused = labelled = 0
    known: list[pd.DataFrame] = []
    for part in _by_dates(traffic):
        frame, left_out = _answered(part, plan.models, offset=rows + refused)
        log.write(frame)
        rows, refused, labelled = rows + len(frame), refused + left_out, labelled + int(frame[LABEL].notna().sum())
        known.append(frame.loc[frame[LABEL].notna(), [TIME, LABEL_TIME]])
    answered = time.monotonic()
    end = floor(traffic.last, duration) + duration
    decider = Decider(plan.loop.spec, list(plan.entries), _known_labels(known), plan.recorded)
    verdicts, deciding = _judge(plan.loop, settings, log, decider, (traffic.first, end + delay), say)
    return Replayed(
        verdicts=tuple(verdicts),
        entries=tuple(decider.entries),
        labelled_at=decider.labelled_at,
        start=floor(traffic.first, duration),
        end=end,
        periods=periods,
        rows=rows,
        refused=refused,
        labelled=labelled,
        answering_seconds=answered - began,
        judging_seconds=time.monotonic() - answered - deciding,
        deciding_seconds=deciding,
        cpu_seconds=time.process_time() - cpu,
    )


def _judge(  # noqa: PLR0917 - private
    loop: ModelLoop,
    settings: MonitorSettings,
    log: LiveLog,
    decider: Decider,
    period: tuple[datetime, datetime],
    say: Callable[[str], None],
) -> tuple[list[Verdict], float]:
    """Let the evaluator see ever more of the log; return its verdicts in order, and the seconds spent on decisions."""
    monitoring = loop.spec.monitoring
    delay, (first, last) = monitoring.labels.expected_delay, period
    evaluator = Evaluator(loop, settings, make_engine(monitoring.engine), retention=timedelta(days=36500))
    view, deciding = MonitorView(settings.state_dir), 0.0
    verdicts: list[Verdict] = []
    through = floor(first, monitoring.window.duration)
    while through < last:
        through = min(through + LOOK_WINDOWS * monitoring.window.duration, last)
        log.complete_through(through)
        evaluator.catch_up(through)
        fresh = in_order(view.verdicts()[len(verdicts) :], delay)
        began = time.monotonic()
        decider.take(fresh, delay)
        deciding += time.monotonic() - began
        verdicts += fresh
        say(f"judged through {through:%Y-%m-%d %H:%M}: {len(verdicts):,} verdicts")
    return verdicts, deciding


def _settings(loop: ModelLoop, folder: Path) -> MonitorSettings:
    for name in ("log", "monitor", "baselines"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    loop_file = folder / "loop.json"
    loop_file.write_text(loop.model_dump_json(by_alias=True))
    read_modelloop(loop_file)  # as the monitor's own process would
    return MonitorSettings(
        loop_file=loop_file,
        loop_uid="replay",
        log_dir=folder / "log",
        state_dir=folder / "monitor",
        baselines_dir=folder / "baselines",
        tap_socket=folder / "tap.sock",
        clock="replay",
    )


def _place_baseline(plan: ReplayPlan, version: str, folder: Path) -> None:
    model = plan.models.get(version)
    if model is None or not (model.folder / "baseline.json").is_file():
        raise NoBaselineError(version, folder if model is None else model.folder)
    try:
        Baseline.model_validate_json((model.folder / "baseline.json").read_bytes())
    except ValueError as error:
        raise UnreadableBaselineError(model) from error
    place_baseline(Path(model.model.result.bento_uri), folder / version)


def _by_dates(traffic: Traffic) -> list[Traffic]:
    """Part the traffic at midnights into pieces of a bounded number of rows."""
    days = traffic.rows[traffic.time].dt.floor("D")
    sizes = days.groupby(days, sort=True).size().cumsum()
    parts = (sizes.to_numpy() - 1) // CHUNK_ROWS
    edges = [0, *(int(sizes.iloc[i]) for i in range(len(parts)) if i + 1 == len(parts) or parts[i + 1] != parts[i])]
    return [_slice(traffic, start, end) for start, end in pairwise(edges)]


def _slice(traffic: Traffic, start: int, end: int) -> Traffic:
    recorded = None if traffic.recorded is None else traffic.recorded[start:end]
    return replace(traffic, rows=traffic.rows[start:end], recorded=recorded)


def _answered(traffic: Traffic, models: Mapping[str, PackagedModel], *, offset: int) -> tuple[pd.DataFrame, int]:
    """Return the rows as the log holds them, and how many the server refused."""
    rows = traffic.rows.reset_index(drop=True)
    if traffic.recorded is not None:
        recorded = traffic.recorded.reset_index(drop=True)
        names = {name: f"feature.{name}" for name in rows.columns if name not in _not_features(traffic)}
        columns = pd.concat([rows[list(names)].rename(columns=names), recorded], axis=1)
        kept = rows
    else:
        versions = _versions(rows[traffic.time], traffic.tenures)
        parts = []
        for version in dict.fromkeys(versions):
            answered = models[version].answer(rows[versions == version])
            parts.append(answered.columns.assign(**{MODEL_VERSION: version}))
        columns = pd.concat(parts).sort_index()
        kept = rows.loc[columns.index]
    truth = kept[traffic.target] if traffic.target in kept else pd.Series(None, index=kept.index, dtype=object)
    times = kept[traffic.time]
    label_time = times + kept[LABEL_DELAY]
    frame = columns.assign(
        **{
            PREDICTION_ID: [f"{offset + number:012d}" for number in kept.index],
            KEY: kept[traffic.key].astype(str) if traffic.key and traffic.key in kept else None,
            TIME: times,
            LABEL: truth.where(label_time.notna()),
            LABEL_TIME: label_time,
        }
    )
    return frame, len(rows) - len(frame)


def _not_features(traffic: Traffic) -> set[str | None]:
    return {traffic.time, traffic.target, traffic.key, LABEL_DELAY}


def _versions(
    times: "pd.Series[pd.Timestamp]", tenures: Sequence[tuple[datetime, str]]
) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    starts = pd.DatetimeIndex([start for start, _ in tenures], tz=UTC)
    positions = np.clip(starts.searchsorted(times, side="right") - 1, 0, None)
    return np.array([version for _, version in tenures], dtype=object)[positions]


def _known_labels(parts: Sequence[pd.DataFrame]) -> KnownLabels:
    known = pd.concat(parts)
    times, labelled = (
        known[name].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]") for name in (TIME, LABEL_TIME)
    )
    return KnownLabels(times, labelled)


def successions(entries: Sequence[LedgerEntry]) -> list[Promoted | RolledBack]:
    """Return who became champion when, oldest first."""
    return [entry for entry in entries if isinstance(entry, Promoted | RolledBack)]
