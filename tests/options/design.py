"""A covering design: a few runs that together choose every option of every stage at least once.

Each task has a small table and as many runs as its longest list of options needs; every run takes of each field the
next option. What does not go together is left to the stages' own tests.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from driftloop.algorithms.catalogue import CATALOGUE
from driftloop.spec import Task
from driftloop.spec.reference import field_reference

ROWS = 400
WORDS = ("late", "early", "broken", "fine", "again", "never", "refund", "thanks", "parcel", "driver")
SOURCES = ("csv", "parquet", "jsonl", "sqlite", "simulation")


@dataclass(frozen=True)
class Run:
    """One loop to train."""

    name: str
    source: str
    """One of `SOURCES`."""
    spec: Mapping[str, Any] = field(repr=False)
    """Everything but `data.uri`."""

    @property
    def task(self) -> Task:
        return Task(self.spec["problem"]["task"])

    @property
    def options(self) -> set[tuple[str, str]]:
        """Field and option of everything that the run chooses."""
        return set(_chosen(self.spec, "spec"))


def _chosen(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for name, below in value.items() for pair in _chosen(below, f"{path}.{name}")]
    if isinstance(value, list | tuple):
        return [pair for below in value for pair in _chosen(below, path)]
    return [(path, str(value))]


def options() -> set[tuple[str, str]]:
    """Return field and option of every choice that the stages offer."""
    groups = (
        "spec.problem.task",
        "spec.data.personal",
        "spec.preparation.",
        "spec.training.",
        "spec.acceptance.fairness.",
    )
    return {
        (path, choice)
        for path, known in field_reference().items()
        if path.startswith(groups)
        for choice in known.choices
    }


def _choices(name: str) -> tuple[str, ...]:
    return field_reference()[f"spec.preparation.{name}"].choices


def _preparation(turn: int, *names: str, **given: Any) -> dict[str, Any]:
    chosen = {name: _choices(name)[turn % len(_choices(name))] for name in names} | given
    if chosen["outliers"] in ("Auto", "None"):  # nothing to act on
        chosen["outlierAction"] = "Auto"
    return chosen


def _algorithms(task: Task) -> list[str]:
    return [algorithm.name for algorithm in CATALOGUE if task in algorithm.tasks]


SHAPES = (
    "missing", "noise", "outliers", "outlierAction", "scaling", "normalization", "encoding", "dates", "extraction",
)  # fmt: skip
SUPERVISED_SHAPES = (*SHAPES, "selection", "augmentation")
DATA = {"targetColumn": "target", "timeColumn": "time", "keyColumn": "id"}


def _classification() -> list[Run]:
    samplers, algorithms = _choices("sampling"), _algorithms(Task.CLASSIFICATION)
    personal = field_reference()["spec.data.personal"].choices
    efforts = field_reference()["spec.training.effort"].choices
    runs = []
    for turn, sampling in enumerate(samplers):
        preparation = _preparation(turn, *SUPERVISED_SHAPES, "text", sampling=sampling)
        if preparation["augmentation"] == "WordDropout":
            preparation["text"] = "TFIDF"
        chosen = [algorithms[turn % len(algorithms)], algorithms[(turn + len(samplers)) % len(algorithms)]]
        spec: dict[str, Any] = {
            "problem": {"task": "Classification"},
            "data": DATA | {"personal": personal[turn % len(personal)], "sensitiveColumns": ["group"]},
            "preparation": preparation,
            "training": {
                "algorithms": list(dict.fromkeys(chosen)),
                "maxTrialCount": 2,
                "warmStart": "Auto",
                "effort": efforts[turn % len(efforts)],
                "blend": ("Auto", "None")[turn % 2],
            },
        }
        runs.append(Run(f"classification-{turn}-{sampling}", SOURCES[turn % 4], spec))
    return runs


def _fairness() -> list[Run]:
    reference = field_reference()
    metrics = reference["spec.acceptance.fairness.metric"].choices
    mitigations = reference["spec.acceptance.fairness.mitigation"].choices
    return [
        Run(
            f"fairness-{mitigation}",
            "csv",
            {
                "problem": {"task": "Classification"},
                "data": DATA | {"sensitiveColumns": ["group"]},
                "training": {"algorithms": ["Linear"], "maxTrialCount": 1, "warmStart": "None"},
                "acceptance": {"fairness": {"metric": metrics[turn % 2], "max": 1.0, "mitigation": mitigation}},
            },
        )
        for turn, mitigation in enumerate(mitigations)
    ]


def _regression() -> list[Run]:
    algorithms = _algorithms(Task.REGRESSION)
    runs = []
    for turn in range(3):
        data = DATA | {"history": [{"column": "target", "by": ["category"], "lags": [1], "windows": [3]}]}
        if turn == 1:
            data |= {"sample": {"rows": 300, "by": "category"}}
        spec = {
            "problem": {"task": "Regression"},
            "data": data,
            # Without classes there are no labels to filter.
            "preparation": _preparation(turn * 2, *SHAPES, "selection", "text", noise=("Auto", "Smooth", "None")[turn]),
            "training": {"algorithms": algorithms[turn::3], "maxTrialCount": 1},
        }
        runs.append(Run(f"regression-{turn}", SOURCES[turn], spec))
    return runs


def _unsupervised() -> list[Run]:
    without_target = {name: DATA[name] for name in ("timeColumn", "keyColumn")}
    runs = [
        Run(
            f"{task.value.lower()}-all",
            "parquet",
            {
                "problem": {"task": task.value},
                "data": without_target,
                "training": {"algorithms": _algorithms(task), "maxTrialCount": len(_algorithms(task))},
            },
        )
        for task in (Task.CLUSTERING, Task.ANOMALY_DETECTION)
    ]
    decision = {
        "problem": {"task": "Decision"},
        "data": DATA | {"actionColumn": "action", "propensityColumn": "propensity"},
        "training": {"algorithms": ["ContextualBandit"], "maxTrialCount": 1},
    }
    simulated = {
        "problem": {"task": "Classification"},
        "data": {
            "targetColumn": "target",
            "simulation": {
                "rows": ROWS,
                "columns": [
                    {"name": "size", "kind": "Normal", "effect": 2.0},
                    {"name": "share", "kind": "Uniform", "missing": 0.1},
                    {"name": "count", "kind": "Integer", "maximum": 9.0},
                    {"name": "colour", "kind": "Category", "categories": ["red", "blue"]},
                    {"name": "new", "kind": "Boolean", "maximum": 0.5},
                    {"name": "seen", "kind": "Time", "maximum": 30.0},
                    {"name": "note", "kind": "Text", "categories": list(WORDS)},
                ],
            },
        },
        "training": {"algorithms": ["Auto"], "maxTrialCount": 3},
    }
    return [*runs, Run("decision", "csv", decision), Run("simulated", "simulation", simulated)]


RUNS = (*_classification(), *_fairness(), *_regression(), *_unsupervised())


def table(task: Task) -> pd.DataFrame:
    """Return rows with every kind of column, some of them missing, by the hour."""
    random = np.random.default_rng(6)
    size, temperature = random.normal(size=ROWS), random.gamma(2, 2, ROWS)
    categories = random.choice(["north", "south", "east"], ROWS)
    signal = size + (categories == "north") + random.normal(size=ROWS) / 2
    frame = pd.DataFrame(
        {
            "id": [f"r{row:05}" for row in range(ROWS)],
            "time": pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC"),
            "size": np.where(random.random(ROWS) < 0.05, np.nan, size),
            "temperature": temperature,
            "category": categories,
            "street": random.choice([f"street {number}" for number in range(20)], ROWS),
            "new": random.random(ROWS) < 0.5,
            "seen": pd.Timestamp("2025-06-01", tz="UTC") + pd.to_timedelta(random.integers(0, 200, ROWS), unit="D"),
            "note": [" ".join(random.choice(WORDS, 6)) + (" refund" if high else "") for high in signal > 1],
            "mail": [f"person{row}@example.org" for row in range(ROWS)],
            "group": random.choice(["a", "b"], ROWS),
            "target": signal > np.quantile(signal, 0.7),
        }
    )
    if task is Task.REGRESSION:
        frame["target"] = signal
    if task is Task.DECISION:
        frame["action"] = random.choice(["call", "mail"], ROWS)
        frame["propensity"] = 0.5
        frame["target"] = np.where((frame["action"] == "call") == (size > 0), 1.0, 0.0)
    return frame.drop(columns="target") if task in (Task.CLUSTERING, Task.ANOMALY_DETECTION) else frame


def write(run: Run, folder: Path) -> Path:
    """Write the run's data and its ModelLoop below `folder`; return the latter's path."""
    frame, data = table(run.task), dict(run.spec["data"])
    match run.source:
        case "csv":
            frame.to_csv(folder / "rows.csv", index=False)
            data["uri"] = "rows.csv"
        case "parquet":
            frame.to_parquet(folder / "rows.parquet")
            data["uri"] = "rows.parquet"
        case "jsonl":
            frame.to_json(folder / "rows.jsonl", orient="records", lines=True, date_format="iso")
            data["uri"] = "rows.jsonl"
        case "sqlite":
            text = frame.assign(**{name: frame[name].astype(str) for name in ("time", "seen")})
            with sqlite3.connect(folder / "rows.db") as database:
                text.to_sql("facts", database, index=False)
            data |= {"uri": f"sqlite:///{folder / 'rows.db'}", "query": "SELECT * FROM facts"}
        case "simulation":
            data["uri"] = "simulation:"
    document = {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "ModelLoop",
        "metadata": {"name": "options"},
        "spec": {**run.spec, "data": data},
    }
    path = folder / "modelloop.json"
    path.write_text(json.dumps(document))
    return path
