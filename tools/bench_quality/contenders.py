"""The contenders: each learns from the same rows within the same seconds, and answers the same held-out rows."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from driftloop.algorithms.metrics import Answers
from driftloop.spec import DataSpec, PreparationSpec, Task, TrainingSpec
from tools.bench_quality.datasets import TARGET, DataSet

_FLAML_METRICS = {"roc_auc": "roc_auc", "accuracy": "accuracy", "r2": "r2"}


@dataclass(frozen=True)
class Limits:
    """What a search may spend."""

    seconds: float
    trials: int
    """Where it is not to end a search, more than the time allows."""
    seed: int = 0


Contender = Callable[[pd.DataFrame, pd.DataFrame, DataSet, Limits], tuple[Answers, list[Any], str]]
"""(rows to learn from, rows to answer, data set, limits) → answers, classes in their order, what was chosen."""


def driftloop(
    train: pd.DataFrame, test: pd.DataFrame, data_set: DataSet, limits: Limits
) -> tuple[Answers, list[Any], str]:
    """The pipeline's stages from `validate` to `select`, two candidates side by side."""
    from sklearn.model_selection import train_test_split

    from driftloop.algorithms import resolve_algorithms
    from driftloop.algorithms.tasks import answer
    from driftloop.stages.clean import clean_training_rows
    from driftloop.stages.frame import to_model_frame
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.plan import WORKERS, Wishes, plan, read_shape
    from driftloop.stages.resample import resample
    from driftloop.stages.select import Judgement, blend_chains, select
    from driftloop.stages.table import read_features, read_target
    from driftloop.stages.train import build_chain
    from driftloop.stages.transform import fit_transformer
    from driftloop.stages.validate import validate

    seed, preparation = limits.seed, PreparationSpec()
    spec = TrainingSpec(timeout=timedelta(seconds=limits.seconds), max_trial_count=limits.trials, random_state=seed)
    rows = pa.Table.from_pandas(train, preserve_index=False)
    validated = validate(
        rows, task=data_set.task, data=DataSpec(uri="bench", target_column=TARGET, min_rows=50), champion=None
    )
    table, schema = validated.table, validated.schema
    # The held-out rows stand for the pipeline's test rows; the rest is parted as 70 : 15.
    labels = table.column(schema.target.name).to_pandas()
    strata = labels if data_set.task is Task.CLASSIFICATION else None
    fit, tune = train_test_split(np.arange(len(labels)), test_size=0.15 / 0.85, random_state=seed, stratify=strata)
    parts = [table.take(pa.array(np.sort(chosen))) for chosen in (fit, tune)]
    features, targets = [read_features(part, schema) for part in parts], [read_target(part, schema) for part in parts]
    cleaned = clean_training_rows(features[0], targets[0], schema, preparation, seed=seed)
    y = targets[0][cleaned.rows]
    made = fit_transformer(cleaned.frame, y, schema, preparation, seed=seed)
    cleaner, transformer = cleaned.cleaner, made.transformer
    matrices = Matrices(made.matrix, y, transformer.transform(cleaner.transform(features[1])), targets[1])
    sampling, sampled = resample(y, schema.task, preparation.sampling, seed=seed)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "matrices"
        matrices.save(file)
        names = resolve_algorithms(("Auto",), schema.task)
        decided = plan(read_shape(file, schema.task, is_scaled=True), Wishes(names, spec, limits.trials), None)
        jobs = [
            (
                decided,
                candidate,
                file,
                sampling,
                sampled,
                schema,
                data_set.metric,
                seed,
                Path(folder) / candidate.algorithm,
            )
            for candidate in decided.candidates
        ]
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"), initializer=_import) as pool:
            records = list(pool.map(_fit, jobs))
        estimators = [load_model(Path(folder) / candidate.algorithm) for candidate in decided.candidates]
        judged = [Judgement.load(Path(folder) / f"{c.algorithm}.answers") for c in decided.candidates]
    chosen = select(records, judged, metric=data_set.metric, may_blend=True, seed=seed)
    chains = [build_chain(cleaner, transformer, estimators[part]) for part in chosen.parts]
    model = chains[0] if len(chains) == 1 else blend_chains(chains, chosen.weights)
    frame = to_model_frame(test.drop(columns=TARGET), schema)
    told = "+".join(f"{records[part].algorithm}" for part in chosen.parts)
    spent = ", ".join(f"{r.algorithm} {r.score:.4f} {r.trials} in {r.fit_seconds:.0f} s" for r in records)
    return answer(model, frame, schema.task), list(schema.target.classes), f"{told} ({spent})"


def _import() -> None:
    """Load what a search needs, which is no part of its time."""
    import optuna  # noqa: F401
    import sklearn.ensemble  # noqa: F401


def _fit(job: tuple[Any, ...]) -> Any:
    from driftloop.algorithms import get_algorithm
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import save_model
    from driftloop.stages.select import Judgement
    from driftloop.stages.train import Budget, Start, fit_candidate

    decided, planned, file, sampling, sampled, schema, metric, seed, path = job
    fitted = fit_candidate(
        Matrices.load(file),
        sampling,
        sampled,
        schema,
        algorithm=get_algorithm(planned.algorithm),
        metric=metric,
        budget=Budget.of(planned),
        seed=seed,
        start=Start.of(planned, decided),
    )
    save_model(fitted.estimator, path)
    Judgement(fitted.truth, fitted.answers).save(path.with_name(f"{path.name}.answers"))
    return fitted.record


def flaml(train: pd.DataFrame, test: pd.DataFrame, data_set: DataSet, limits: Limits) -> tuple[Answers, list[Any], str]:
    """FLAML's AutoML as its documentation shows it, on both cores."""
    from flaml import AutoML

    search = AutoML()
    is_classes = data_set.task is Task.CLASSIFICATION
    search.fit(
        X_train=_categories(train.drop(columns=TARGET)),
        y_train=train[TARGET].to_numpy(),
        task="classification" if is_classes else "regression",
        metric=_FLAML_METRICS[data_set.metric],
        time_budget=limits.seconds,
        max_iter=limits.trials,
        n_jobs=2,
        seed=limits.seed,
        verbose=0,
        log_file_name="",
    )
    return (*_ask(search, _categories(test.drop(columns=TARGET)), data_set.task), str(search.best_estimator))


def boosting(
    train: pd.DataFrame, test: pd.DataFrame, data_set: DataSet, limits: Limits
) -> tuple[Answers, list[Any], str]:
    """scikit-learn's HistGradientBoosting as it is, on all rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if data_set.task is Task.CLASSIFICATION else HistGradientBoostingRegressor
    model = kind(categorical_features="from_dtype", random_state=limits.seed)
    model.fit(_categories(train.drop(columns=TARGET)), train[TARGET].to_numpy())
    return (*_ask(model, _categories(test.drop(columns=TARGET)), data_set.task), "defaults")


def _ask(model: Any, rows: pd.DataFrame, task: Task) -> tuple[Answers, list[Any]]:
    if task is Task.REGRESSION:
        return Answers(np.asarray(model.predict(rows), dtype=np.float64)), []
    probabilities = np.asarray(model.predict_proba(rows))
    return Answers(probabilities.argmax(axis=1).astype(np.float64), probabilities), list(model.classes_)


def _categories(rows: pd.DataFrame) -> pd.DataFrame:
    texts = rows.select_dtypes(include=["object", "string", "bool"]).columns
    return rows.astype(dict.fromkeys(texts, "category"))


CONTENDERS: Mapping[str, Contender] = {"driftloop": driftloop, "flaml": flaml, "boosting": boosting}


def timed(contender: str, *arguments: Any) -> tuple[Answers, list[Any], str, float]:
    """Run a contender and return what it answers, and the seconds that it took."""
    started = time.monotonic()
    answers, classes, chosen = CONTENDERS[contender](*arguments)
    return answers, classes, chosen, time.monotonic() - started
