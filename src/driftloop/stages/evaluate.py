"""Tenth stage: the test rows judge, once: all metrics, their uncertainty, and the comparison with the champion.

Also builds what serving is verified and watched with: sample rows and the baseline. It tunes and chooses nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.algorithms.curves import roc_curve
from driftloop.algorithms.metrics import Answers, all_scores, compare, intervals, score, standard_error
from driftloop.algorithms.tasks import answer
from driftloop.monitor.baseline import Baseline, build_baseline
from driftloop.spec import Comparison, DataSchema, Task
from driftloop.spec.problem import UNSUPERVISED
from driftloop.stages.modelfile import load_model
from driftloop.stages.package import MODEL_FILE, MODEL_FOLDER, SCHEMA_FILE, TRAINING_FILE
from driftloop.stages.policies import policy_values, widen
from driftloop.stages.records import CandidateRecord, ChampionComparison, Evaluation
from driftloop.stages.table import encode_target, read_features, read_target
from driftloop.stages.unlabelled import compare_unlabelled, tell_model, watched_metric

_TWO = 2
FEWEST_COMPARED_ROWS = 30
"""With fewer rows the bootstrap's interval can't be relied on."""


@dataclass(frozen=True)
class Champion:
    """The model that serves now."""

    chain: Any
    schema: DataSchema
    trained_through: datetime | None


@dataclass(frozen=True)
class Judged:
    """The evaluation and what it was computed from, for reports and baseline."""

    evaluation: Evaluation
    against_champion: ChampionComparison
    truth: npt.NDArray[np.float64]
    """Shape (n_test_rows,): index of the class, or the number."""
    answers: Answers
    confusion: tuple[list[str], list[list[int]]] | None
    """Classification: names of the classes, rows per true (down) and predicted class (across)."""
    roc: tuple[list[float], list[float], list[float]] | None
    """Two classes: false positive rate, true positive rate, threshold."""
    frame: pd.DataFrame | None = None
    """Tasks that learn without a target: the model's frame of the test rows, to describe clusters and anomalies by."""
    wanted_share: float = 0.0
    """AnomalyDetection: share of rows to call anomalous."""


def evaluate(
    chain: Any,
    test: pa.Table,
    schema: DataSchema,
    *,
    record: CandidateRecord,
    metric: str,
    trained_through: str,
    champion: Champion | None,
    seed: int,
) -> Judged:
    """Judge the selected chain on the test rows.

    Args:
        chain: the whole model; takes the model's frame.
        test: rows that nothing was fitted or tuned on.
        schema: of those rows.
        record: what `train` said of the candidate.
        metric: the loop's metric.
        trained_through: newest time in the training rows (ISO 8601); empty without a time column.
        champion: the model to beat; None for a first model.
        seed: of the bootstrap.
    """
    truth = encode_target(read_target(test, schema), schema)
    frame = read_features(test, schema)
    answers = answer(chain, frame, schema.task)
    against_champion = ChampionComparison()
    if champion:
        against_champion = _compare(champion, test, schema, truth, answers, chain=chain, metric=metric, seed=seed)
    evaluation = Evaluation(
        algorithm=record.algorithm,
        params=record.params,
        metric=metric,
        score=score(metric, truth, answers),
        standard_error=standard_error(metric, truth, answers, seed=seed),
        train_score=record.train_score,
        validation_score=record.score,
        metrics=all_scores(schema.task, truth, answers),
        intervals=intervals(schema.task, truth, answers, seed=seed),
        test_rows=test.num_rows,
        trained_through=datetime.fromisoformat(trained_through) if trained_through else None,
        sampling=record.sampling,
        decision=record.decision,
        history=record.history,
        origin=record.origin,
        notes=(*record.notes, *tell_model(chain, schema.task)),
        policies=policy_values(truth, answers, schema, seed=seed) if schema.task is Task.DECISION else (),
    )
    classes = schema.target.classes
    return Judged(
        evaluation,
        against_champion,
        truth,
        answers,
        confusion=_confusion(truth, answers, schema),
        roc=_roc(truth, answers) if schema.task is not Task.DECISION and len(classes) == _TWO else None,
        frame=frame if schema.task in UNSUPERVISED else None,
        wanted_share=chain[-1].contamination_ if schema.task is Task.ANOMALY_DETECTION else 0.0,
    )


def load_champion(content: Path) -> Champion:
    """Load the champion from the content of its Bento, whose digests were checked."""
    folder = content / MODEL_FOLDER
    return Champion(
        chain=load_model(folder / MODEL_FILE),
        schema=DataSchema.model_validate_json((folder / SCHEMA_FILE).read_bytes()),
        trained_through=Evaluation.model_validate_json((folder / TRAINING_FILE).read_bytes()).trained_through,
    )


def describe(judged: Judged, rows: pa.Table, test: pa.Table, schema: DataSchema, *, window: timedelta) -> Baseline:
    """Return what live traffic will be compared with: features and labels of all rows, answers on the test rows.

    Args:
        judged: outcome of `evaluate` on the test rows.
        rows: all rows of the run.
        test: the test rows.
        schema: of those rows.
        window: length of the windows that live traffic will be judged by.
    """
    classes = schema.target.classes
    codes = judged.answers.predictions
    if schema.task is Task.DECISION and judged.answers.probabilities is not None:
        codes = _as_served(judged.answers.probabilities)
    outputs: dict[str, Any] = {"prediction": [classes[int(code)] for code in codes] if classes else codes}
    evaluation = judged.evaluation
    watched = evaluation.metric, evaluation.score, evaluation.standard_error
    if schema.task in UNSUPERVISED:
        watched = watched_metric(evaluation, judged.truth, judged.answers, schema.task)
    if schema.task is Task.CLUSTERING:
        outputs["prediction"] = codes.astype(np.int64)
    elif judged.answers.probabilities is not None:
        probabilities = judged.answers.probabilities
        outputs["probability"] = probabilities[:, 1] if len(classes) == _TWO else probabilities.tolist()
    return build_baseline(
        rows.to_pandas(),
        test.to_pandas(),
        pd.DataFrame(outputs),
        schema,
        metric=watched[0],
        metric_value=watched[1],
        metric_standard_error=watched[2],
        window=window,
    )


def _as_served(policy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return actions drawn from a policy's distributions, as a server draws them; shape (n_rows,)."""
    drawn = np.random.default_rng(0).random((len(policy), 1))
    return np.asarray((drawn > policy.cumsum(axis=1)[:, :-1]).sum(axis=1), dtype=np.float64)


def _confusion(
    truth: npt.NDArray[np.float64], answers: Answers, schema: DataSchema
) -> tuple[list[str], list[list[int]]] | None:
    classes = schema.target.classes
    if schema.task is Task.DECISION or not classes:
        return None
    known = ~np.isnan(truth)
    if not known.any():
        return None
    truth, answers = truth[known], answers.take(known)
    pairs = truth.astype(np.int64) * len(classes) + answers.predictions.astype(np.int64)
    counts = np.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), len(classes))
    return [str(label) for label in classes], counts.tolist()


def _roc(truth: npt.NDArray[np.float64], answers: Answers) -> tuple[list[float], list[float], list[float]] | None:
    known = ~np.isnan(truth)
    return roc_curve(truth[known], answers.take(known)) if len(np.unique(truth[known])) == _TWO else None


def answered_schema(chain: Any, schema: DataSchema) -> DataSchema:
    """Return the schema with what the model answers: of a clustering, its clusters."""
    return schema.with_classes(tuple(chain[-1].clusters_)) if schema.task is Task.CLUSTERING else schema


def _compare(
    champion: Champion,
    test: pa.Table,
    schema: DataSchema,
    truth: npt.NDArray[np.float64],
    answers: Answers,
    *,
    chain: Any,
    metric: str,
    seed: int,
) -> ChampionComparison:
    """Compare on the rows that the champion was not fitted on, or say why that is not possible."""
    may_differ = (Task.CLUSTERING, Task.DECISION)
    if champion.schema.target.classes != schema.target.classes and schema.task not in may_differ:
        return _not_compared("the classes of the target changed")
    unseen = np.ones(test.num_rows, dtype=bool)
    if schema.time_column and champion.trained_through:
        newer = pc.greater(test.column(schema.time_column), pa.scalar(champion.trained_through))
        unseen = newer.to_numpy().astype(bool)
    rows = int(unseen.sum())
    if rows < FEWEST_COMPARED_ROWS:
        return _not_compared(f"only {rows} test rows are new to it and {FEWEST_COMPARED_ROWS} are needed")
    features = read_features(test.filter(pa.array(unseen)), champion.schema)
    champion_answers = answer(champion.chain, features, schema.task)
    truth, answers = truth[unseen], answers.take(unseen)
    if schema.task in UNSUPERVISED:
        return compare_unlabelled(chain, truth, answers, champion_answers, task=schema.task, metric=metric, seed=seed)
    if schema.task is Task.DECISION:
        champion_answers, effective = widen(champion_answers, champion.schema, answers, schema, truth)
        if effective < FEWEST_COMPARED_ROWS:
            told = f"the {rows} newer rows are worth only {effective:.0f} of its own decisions"
            return _not_compared(f"{told} or the champion's and {FEWEST_COMPARED_ROWS} are needed")
    interval = compare(metric, truth, answers, champion_answers, seed=seed)
    comparison = Comparison(
        metric=metric,
        champion=score(metric, truth, champion_answers),
        challenger=score(metric, truth, answers),
        difference=interval.difference,
        lower=interval.lower,
        upper=interval.upper,
        rows=rows,
    )
    return ChampionComparison(comparison=comparison)


def _not_compared(reason: str) -> ChampionComparison:
    return ChampionComparison(failure=f"the champion can't be compared with, because {reason}")
