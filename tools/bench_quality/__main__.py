"""Quality at equal budget, data set by data set. Run by `make bench-quality`; goes on where it ended.

Every figure is appended to a file as soon as it is there; a figure that is there is not measured again.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.algorithms.metrics import score
from driftloop.spec import Task
from tools.bench_quality.contenders import CONTENDERS, Limits, timed
from tools.bench_quality.datasets import DATA_SETS, TARGET, DataSet

LEAST_AGAINST_FLAML, LEAST_AGAINST_BOOSTING, LEAST_OF_WORST = -0.5, 0.0, -3.0
"""Differences of the metric in percent of its scale: means over data sets, and the worst set."""
_SEED = 0
_UNBOUNDED = 1000
"""Trials that no search comes to within a minute."""
_SETTING = ("folds", "seconds", "trials")


def main(arguments: list[str]) -> int:
    """Measure what is wanted and missing, print the table, return 1 when a limit is not held."""
    parser = argparse.ArgumentParser(prog="bench-quality", description=__doc__)
    parser.add_argument("--sets", default=",".join(DATA_SETS), help="names, with commas")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="names, with commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each search")
    parser.add_argument("--trials", type=int, default=_UNBOUNDED, help="of each search, where time can't be measured")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(".bench/quality.jsonl"))
    parser.add_argument("--only-table", action="store_true", help="measure nothing")
    given = parser.parse_args(arguments)
    sets, contenders = given.sets.split(","), given.contenders.split(",")
    given.results.parent.mkdir(parents=True, exist_ok=True)
    if not given.only_table:
        warnings.simplefilter("ignore")
        for name in sets:
            _measure(name, contenders, given)
    return _tell(_read(given.results), sets, given)


def _measure(name: str, contenders: list[str], given: argparse.Namespace) -> None:
    known = {_key(row) for row in _read(given.results)}
    data_set = DATA_SETS[name]
    for fold, (train, test) in enumerate(_folds(data_set, given.folds)):
        for contender in contenders:
            key = {
                "set": name,
                "fold": fold,
                "folds": given.folds,
                "contender": contender,
                "seconds": given.seconds,
                "trials": given.trials,
            }
            if _key(key) in known:
                continue
            answers, classes, chosen, took = timed(
                contender, train, test, data_set, Limits(given.seconds, given.trials, _SEED)
            )
            truth = test[TARGET].to_numpy()
            if data_set.task is Task.CLASSIFICATION:
                codes = {str(label): code for code, label in enumerate(classes)}
                truth = np.array([codes[str(label)] for label in truth])
            value = score(data_set.metric, truth.astype(np.float64), answers)
            with given.results.open("a") as file:
                file.write(json.dumps({**key, "score": value, "took": round(took, 1), "chosen": chosen}) + "\n")
            print(f"{name} fold {fold} {contender}: {value:.4f} in {took:.0f} s, {chosen}", flush=True)


def _folds(data_set: DataSet, count: int) -> Iterator[tuple[Any, Any]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    rows = data_set.load().reset_index(drop=True)
    kind = StratifiedKFold if data_set.task is Task.CLASSIFICATION else KFold
    for inside, outside in kind(count, shuffle=True, random_state=_SEED).split(rows, rows[TARGET]):
        yield rows.iloc[inside].reset_index(drop=True), rows.iloc[outside].reset_index(drop=True)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("set", "fold", *_SETTING, "contender"))


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _tell(rows: list[dict[str, Any]], sets: list[str], given: argparse.Namespace) -> int:
    """Print the table; only folds that every contender has been through count."""
    wanted = [row for row in rows if all(row[name] == getattr(given, name) for name in _SETTING)]
    means: dict[str, dict[str, float]] = {}
    for name in sets:
        by_fold = [
            {row["contender"]: row["score"] for row in wanted if row["set"] == name and row["fold"] == fold}
            for fold in range(given.folds)
        ]
        whole = [fold for fold in by_fold if set(fold) >= set(CONTENDERS)]
        if whole:
            means[name] = {c: float(np.mean([fold[c] for fold in whole])) for c in CONTENDERS}
    print(f"\n| data set | metric | {' | '.join(CONTENDERS)} | against FLAML | against boosting |")
    print("|---|---|" + "---|" * (len(CONTENDERS) + 2))
    differences = {}
    for name, mean in means.items():
        differences[name] = [100 * (mean["driftloop"] - mean[other]) for other in ("flaml", "boosting")]
        told = " | ".join(f"{mean[contender]:.4f}" for contender in CONTENDERS)
        print(
            f"| {name} | {DATA_SETS[name].metric} | {told} | {' | '.join(f'{d:+.2f} %' for d in differences[name])} |"
        )
    if not differences:
        return 1
    flaml, boosting = np.array(list(differences.values())).T
    print(f"\nMean difference: {flaml.mean():+.2f} % against FLAML, {boosting.mean():+.2f} % against boosting.")
    print(
        f"Worst set: {flaml.min():+.2f} % against FLAML, {boosting.min():+.2f} % against boosting. Sets: {len(means)}."
    )
    held = (
        flaml.mean() >= LEAST_AGAINST_FLAML
        and boosting.mean() >= LEAST_AGAINST_BOOSTING
        and min(flaml.min(), boosting.min()) >= LEAST_OF_WORST
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
