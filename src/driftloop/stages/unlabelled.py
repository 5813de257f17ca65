"""What the stages say of models that were trained without a truth: what was chosen, and how two of them compare.

Part of the stages `adjust` and `evaluate`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.algorithms.metrics import Answers, Interval, compare, compare_scorers, score, standard_error
from driftloop.algorithms.unsupervised import NOISE, adjusted_rand, rank_correlation
from driftloop.spec import Comparison, DataSchema, Task
from driftloop.spec.problem import NEED_LABELS
from driftloop.stages.modelfile import load_model
from driftloop.stages.package import MODEL_FILE, MODEL_FOLDER, SCHEMA_FILE
from driftloop.stages.records import SHARE_ERROR, ChampionComparison, Evaluation
from driftloop.stages.table import read_features

LABELLED_METRIC = "average_precision"
"""What anomalies are compared and watched by where there are labels and the loop's metric needs none."""
_TWO = 2

Numbers = npt.NDArray[np.float64]


def tell_model(chain: Any, task: Task) -> tuple[str, ...]:
    """Return what a fit has chosen by itself, in plain sentences."""
    if task is Task.CLUSTERING:
        return (_tell_clusters(chain[-1]),)
    if task is Task.ANOMALY_DETECTION:
        model = chain[-1]
        return (f"Rows count as anomalous from the {100 * (1 - model.contamination_):.4g} % least anomalous on.",)
    return ()


def _tell_clusters(model: Any) -> str:
    found = len(model.assigner_)
    if not model.tried_:
        return f"{found} clusters, as many as there are dense regions; rows in none of them have the cluster {NOISE}."
    others = sorted(model.tried_.items(), key=lambda item: -item[1])
    sign = -1 if model.chosen_by == "bic" else 1
    tried = ", ".join(f"{count}: {sign * value:.4g}" for count, value in others[:4])
    return f"{found} clusters, the best of {len(model.tried_)} numbers by {model.chosen_by} on training rows ({tried})."


def watched_metric(evaluation: Evaluation, truth: Numbers, answers: Answers, task: Task) -> tuple[str, float, float]:
    """Return metric, value and standard error that the monitor compares with once labels come.

    Where there were no labels the value means nothing, and the monitor says so instead of comparing.
    """
    metric = evaluation.metric
    if task is Task.CLUSTERING or metric in NEED_LABELS[task] or not has_both(truth):
        return metric, evaluation.score, evaluation.standard_error
    value = score(LABELLED_METRIC, truth, answers)
    return LABELLED_METRIC, value, standard_error(LABELLED_METRIC, truth, answers, seed=0)


def has_both(truth: Numbers) -> bool:
    """Return whether both anomalies and other rows are known."""
    return len(np.unique(truth[~np.isnan(truth)])) == _TWO


def compare_unlabelled(
    chain: Any, truth: Numbers, challenger: Answers, champion: Answers, *, task: Task, metric: str, seed: int
) -> ChampionComparison:
    """Compare on the same rows.

    Clusters by the loop's metric, both in the challenger's space. Anomalies by labels where there are; without, by how
    well the share of alarms keeps to the one wanted, which a model that the traffic has left does not.

    Args:
        chain: the challenger.
        truth: shape (n,), NaN where unknown.
        challenger: its answers.
        champion: the champion's.
        task: one of `UNSUPERVISED`.
        metric: the loop's metric.
        seed: of the bootstrap.
    """
    if task is Task.CLUSTERING:
        champion = replace(champion, space=challenger.space)
        agreement = adjusted_rand(challenger.predictions, champion.predictions)
    else:
        agreement = rank_correlation(_shares(challenger), _shares(champion))
        if metric not in NEED_LABELS[task]:
            metric = LABELLED_METRIC if has_both(truth) else SHARE_ERROR
    if metric == SHARE_ERROR:
        ours, theirs, interval = _compare_shares(chain[-1].contamination_, challenger, champion, seed)
    else:
        ours, theirs = score(metric, truth, challenger), score(metric, truth, champion)
        interval = compare(metric, truth, challenger, champion, seed=seed)
    if not np.isfinite([ours, theirs, interval.lower, interval.upper]).all():
        reason = f"{metric} is undefined on the {len(truth)} rows that are new to it"
        return ChampionComparison(failure=f"the champion can't be compared with, because {reason}")
    return ChampionComparison(
        comparison=Comparison(
            metric=metric,
            champion=theirs,
            challenger=ours,
            difference=interval.difference,
            lower=interval.lower,
            upper=interval.upper,
            rows=len(truth),
            agreement=float(agreement) if np.isfinite(agreement) else 0.0,
        )
    )


def _compare_shares(wanted: float, challenger: Answers, champion: Answers, seed: int) -> tuple[float, float, Interval]:
    def scorer(answers: Answers) -> Any:
        return lambda weights: -abs(float(np.average(answers.predictions, weights=weights)) - wanted)

    ours, theirs = scorer(challenger), scorer(champion)
    rows = len(challenger.predictions)
    interval = compare_scorers(ours, theirs, rows=rows, seed=seed)
    return ours(np.ones(rows)), theirs(np.ones(rows)), interval


def _shares(answers: Answers) -> Numbers:
    if answers.probabilities is None:
        raise ValueError("An anomaly detector has scores.")
    return answers.probabilities[:, 1]


def keep_numbers(chain: Any, champion: Path, table: pa.Table, schema: DataSchema) -> None:
    """Give the clusters of a new chain the numbers of the champion's that they share most rows with.

    Args:
        chain: is changed.
        champion: content of the champion's Bento, whose digests were checked.
        table: training rows.
        schema: of those rows; they have the champion's inputs, too.
    """
    from driftloop.algorithms.clustermodel import align

    folder = champion / MODEL_FOLDER
    known = DataSchema.model_validate_json((folder / SCHEMA_FILE).read_bytes())
    theirs = load_model(folder / MODEL_FILE).predict(read_features(table, known))
    align(chain[-1], chain.predict(read_features(table, schema)), theirs)
