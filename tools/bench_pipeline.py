"""Measures the pipeline's overhead: everything a run takes but fitting. Run by `make bench-pipeline`.

Trains on generated rows, cold and then with unchanged inputs, and prints wall seconds per stage.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftloop.adapters.codeidentity import code_digest
from driftloop.adapters.kfp_local import RunOutcome, StageState, run_training
from driftloop.algorithms import resolve_algorithms
from driftloop.loop.parameters import pipeline_parameters
from driftloop.spec import ModelLoop

ROWS = 50_000
LIMIT_SECONDS = 35


def main() -> int:
    """Print the figures; return 1 when the overhead is above the limit."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = root / "rows.parquet"
        pq.write_table(_make_rows(), data)
        first, second = (_run(root, data, key) for key in ("first", "second"))
        for outcome in (first, second):
            _print(outcome)
        overhead = first.seconds - _fitting_seconds(first)
    print(f"overhead of the first run: {overhead:.1f} s, limit {LIMIT_SECONDS} s")
    return 1 if overhead > LIMIT_SECONDS else 0


def _make_rows() -> pa.Table:
    generator = np.random.default_rng(0)
    columns = {f"number_{index}": generator.normal(size=ROWS) for index in range(10)}
    columns["city"] = generator.choice([f"city {index}" for index in range(90)], ROWS)
    columns["kind"] = generator.choice(["a", "b", "c"], ROWS)
    signal = columns["number_0"] + columns["number_1"] * (columns["kind"] == "a")
    columns["label"] = signal + generator.normal(size=ROWS) > 0
    return pa.table(columns)


def _run(root: Path, data: Path, run_key: str) -> RunOutcome:
    spec = {
        "problem": {"task": "Classification"},
        "data": {"uri": str(data), "targetColumn": "label"},
        "training": {"maxTrialCount": 3},
    }
    loop = ModelLoop.model_validate(
        {"apiVersion": "driftloop.dev/v1alpha1", "kind": "ModelLoop", "metadata": {"name": "bench"}, "spec": spec}
    )
    parameters = pipeline_parameters(
        loop,
        data_uri=str(data),
        time_column=None,
        algorithms=resolve_algorithms(loop.spec.training.algorithms, loop.spec.problem.task),
        run_key=run_key,
        result_uri=str(root / "store" / "runs" / run_key / "result.json"),
        store_uri=str(root / "store"),
        champion_uri="",
        runtime_image="driftloop-serving",
        image="driftloop-pipeline",
        code_digest=code_digest(),
    )
    return run_training(parameters, runs_dir=root / "runs", cache_dir=root / "cache", bentoml_home=root / "bentoml")


def _fitting_seconds(outcome: RunOutcome) -> float:
    """Return the time in which at least one candidate was being fitted; fitting ends as its stage ends."""
    spans = []
    for path in outcome.artifacts("train", "executor_output.json"):
        fitted = json.loads(path.read_text())["artifacts"]["candidate"]["artifacts"][0]["metadata"]["fitSeconds"]
        spans.append((path.stat().st_mtime - fitted, path.stat().st_mtime))
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


def _print(outcome: RunOutcome) -> None:
    print(f"{outcome.result.run_key} run: {outcome.seconds:.1f} s, fitting {_fitting_seconds(outcome):.1f} s")
    for event in outcome.events:
        if event.state is not StageState.STARTED:
            print(f"  {event.stage:10} {event.state:9} {event.seconds:6.1f}")


if __name__ == "__main__":
    sys.exit(main())
