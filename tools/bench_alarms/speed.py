"""How fast a verdict is, beside the peers, and how soon the monitor takes records.

    python -m tools.bench_alarms.speed

A verdict is the whole `Judge.judge_inputs` on 20 features, 10,000 rows of reference and of the window; the peers get
arrays and a ready detector. Runs are interleaved, figures are medians of processor time: a busy machine is unfair to
nobody.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from driftloop.adapters.alibi_engine import AlibiDetectEngine
from driftloop.monitor.baseline import build_baseline
from driftloop.monitor.engines import DriftTest, SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.predictionlog.columns import FEATURE_PREFIX, OUTPUT_PREFIX, TIME
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task, VerdictKind, Window
from tools.bench_alarms.peers import Evidently
from tools.bench_alarms.traffic import Numbers
from tools.bench_alarms.watch import MONITORING, START

ROWS, FEATURES = 10_000, 20
RUNS, EVIDENTLY_RUNS, START_RUNS = 41, 3, 5
NAMES = [f"feature_{place}" for place in range(FEATURES)]
SCHEMA = DataSchema(
    task=Task.REGRESSION,
    target=Target(name="target", classes=()),
    features=tuple(Feature(name=name, type=FeatureType.NUMERIC, nullable=True) for name in NAMES),
    time_column="time",
)


def tabled(values: Numbers, start: datetime, length: timedelta) -> pd.DataFrame:
    """Return rows with a time and a prediction."""
    times = pd.date_range(start, periods=len(values), freq=length / len(values), unit="us")
    return pd.DataFrame(values, columns=NAMES).assign(time=times, prediction=values[:, 0])


def judge_with(engine: DriftTest, reference: pd.DataFrame) -> Judge:
    """Return a judge of a model that was trained on the reference."""
    baseline = build_baseline(
        reference.assign(target=reference["prediction"]),
        reference.assign(target=reference["prediction"]),
        reference[["prediction"]],
        SCHEMA,
        metric="neg_mean_absolute_error",
        metric_value=1.0,
        metric_standard_error=0.1,
        window=timedelta(hours=1),
    )
    return Judge("v1", SCHEMA, baseline, MONITORING, engine)


def verdicts() -> dict[str, list[float]]:
    """Return the seconds of each contender's runs."""
    from alibi_detect.cd import KSDrift

    random = np.random.default_rng(0)
    reference, window = random.standard_normal((ROWS, FEATURES)), random.standard_normal((ROWS, FEATURES))
    table = tabled(reference, START - timedelta(hours=50), timedelta(hours=50))
    frame = tabled(window, START, timedelta(hours=1)).rename(columns={"time": TIME})
    frame = frame.rename(
        columns={name: FEATURE_PREFIX + name for name in NAMES} | {"prediction": OUTPUT_PREFIX + "prediction"}
    )
    stretch = Window(start=START, end=START + timedelta(hours=1), rows=ROWS)
    detector = KSDrift(reference)
    judges = [judge_with(engine, table) for engine in (SciPyEngine(), AlibiDetectEngine())]
    for judge in judges:
        kind = judge.judge_inputs(frame, stretch).verdict
        if kind is not VerdictKind.STABLE:
            raise SystemExit(f"Unchanged traffic must be called stable. Got {kind}.")
    contenders: dict[str, Callable[[], object]] = {
        "alibi-detect KSDrift.predict": lambda: detector.predict(window),
        "driftloop, engine SciPy": lambda: judges[0].judge_inputs(frame, stretch),
        "driftloop, engine AlibiDetect": lambda: judges[1].judge_inputs(frame, stretch),
    }
    taken = interleaved(contenders, RUNS)
    cells = [{name: values[:, place] for place, name in enumerate(NAMES)} for values in (reference, window)]
    evidently = Evidently(cells[0])
    return taken | interleaved({"Evidently DataDriftPreset": lambda: evidently.drifted(cells[1])}, EVIDENTLY_RUNS)


def interleaved(contenders: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Run each in turn, the first round for nothing; return seconds."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(runs + 1):
        for name, call in contenders.items():
            began = time.process_time()
            call()
            if number:
                taken[name].append(time.process_time() - began)
    return taken


def seconds_to_first_record() -> float:
    """Start the monitor's supervisor; return the seconds until a model server's hello is answered."""
    loop = Path(__file__).parents[2] / "examples" / "minimal.yaml"
    with (
        tempfile.TemporaryDirectory(prefix="driftloop-bench-") as name,
        socket.create_server(("127.0.0.1", 0)) as probe,
    ):
        folder, port = Path(name), probe.getsockname()[1]
        probe.close()
        settings = {
            "loop_file": loop,
            "loop_uid": "bench",
            "log_dir": folder / "log",
            "state_dir": folder / "state",
            "baselines_dir": folder / "baselines",
            "tap_socket": folder / "tap.sock",
            "labels_port": port,
        }
        env = os.environ | {f"DRIFTLOOP_MONITOR_{key.upper()}": str(value) for key, value in settings.items()}
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "driftloop.sidecar"], env=env, stderr=subprocess.DEVNULL)
        try:
            _hello(folder / "tap.sock", began + 60)
            return time.monotonic() - began
        finally:
            process.terminate()
            process.wait(30)


def _hello(path: Path, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(str(path))
                connection.sendall(b'{"type":"hello","server":"bench","through":null}\n')
                if b"hello" in connection.recv(1000):
                    return
        except OSError:
            time.sleep(0.005)
    raise SystemExit("The monitor answered no hello within 60 s.")


def main() -> None:
    """Print both tables."""
    taken = verdicts()
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    bare = medians["alibi-detect KSDrift.predict"]
    print("| a verdict on 20 features, 10,000 against 10,000 rows | median ms of processor time | of bare KSDrift |")
    print("|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds * 1000:.1f} | {seconds / bare:.2f} |")
    starts = [seconds_to_first_record() for _ in range(START_RUNS)]
    print(f"\nThe monitor takes records {statistics.median(starts):.2f} s after its start (median of {START_RUNS}).")


if __name__ == "__main__":
    main()
