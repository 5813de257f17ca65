"""The label-free estimate beside NannyML's CBPE: how far off, and how long it takes; and where it can see nothing.

Car loans and car prices (bundled with nannyml): learned on the reference half, estimated on the analysis half, chunk by
chunk, and compared with what the labels showed. Flights: a model of January and February, month by month.
"""

import contextlib
import io
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers
from driftloop.demo import flights
from driftloop.monitor.columns import read_features
from driftloop.monitor.confidence import metric_of
from driftloop.monitor.estimate import EstimationBaseline, build_estimation_baseline, estimate
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

METRICS = ("roc_auc", "accuracy", "f1", "precision", "recall")
CHUNKS = {"default": None, "5,000 rows": 5_000, "1,000 rows": 1_000}
DEFAULT_CHUNKS = 10
REPEATS = 7
LOANS = DataSchema(task=Task.CLASSIFICATION, target=Target(name="repaid", classes=(0, 1)), features=())
FLIGHTS = DataSchema(
    task=Task.CLASSIFICATION,
    target=Target(name=flights.TARGET, classes=(False, True)),
    features=tuple(Feature(name=name, type=FeatureType.NUMERIC, nullable=True) for name in flights.WEATHER),
    time_column=flights.TIME,
)


def main() -> None:
    """Print the three tables."""
    print(f"Python {platform.python_version()}, numpy {version('numpy')}, nannyml {version('nannyml')}\n")
    compare_on_loans()
    compare_on_prices()
    follow_flights()


def compare_on_loans() -> None:
    """Print mean absolute errors and seconds, ours and NannyML's, fitted and asked in turns."""
    import nannyml

    reference, analysis, labels = nannyml.load_synthetic_car_loan_dataset()
    truth = analysis.merge(labels, on="id")["repaid"].to_numpy(dtype=np.float64)
    print("| chunks | metric | driftloop MAE | NannyML CBPE MAE | driftloop s | NannyML s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in CHUNKS.items():
        size = rows or len(analysis) // DEFAULT_CHUNKS
        real = _chunks(_answers(analysis), size, lambda chunk, part: _realized(chunk, truth[part]))
        ours, peers = [], []
        for _ in range(REPEATS):
            seconds, mine = _timed(lambda: _estimate_loans(reference, analysis, size))  # noqa: B023 - called at once
            ours.append(seconds)
            seconds, theirs = _timed(lambda: _ask_nannyml(reference, analysis, rows))  # noqa: B023 - called at once
            peers.append(seconds)
        mine_error, their_error = (np.abs(found - real).mean(axis=0) for found in (mine, theirs))
        own, peer = statistics.median(ours), statistics.median(peers)
        for k, metric in enumerate(METRICS):
            figures = f"{mine_error[k]:.5f} | {their_error[k]:.5f} | {own:.3f} | {peer:.3f} | {own / peer:.2f}"
            print(f"| {name} | {metric} | {figures} |")


def compare_on_prices() -> None:
    """Print the same of expected losses; once, because NannyML's takes so long."""
    import nannyml

    reference, analysis, labels = nannyml.load_synthetic_car_price_dataset()
    truth = labels["y_true"].to_numpy(dtype=np.float64)
    names = [name for name in analysis.columns if name not in {"id", "timestamp", "y_pred"}]
    size = len(analysis) // DEFAULT_CHUNKS
    parts = [slice(start, start + size) for start in range(0, len(analysis), size)]
    errors = truth - analysis["y_pred"].to_numpy(dtype=np.float64)
    real = np.array([[np.abs(errors[p]).mean(), np.sqrt((errors[p] ** 2).mean())] for p in parts])
    seconds, mine = _timed(lambda: _estimate_prices(reference, analysis, names, parts))
    peer_seconds, theirs = _timed(lambda: _ask_nannyml_of_losses(reference, analysis, names))
    print("\n| metric | level | driftloop MAE | NannyML DLE MAE | driftloop s | NannyML s |\n|---|---|---|---|---|---|")
    for k, name in enumerate(("mae", "rmse")):
        off = [f"{np.abs(found - real).mean(axis=0)[k]:.2f}" for found in (mine, theirs)]
        print(f"| {name} | {real[:, k].mean():.1f} | {' | '.join(off)} | {seconds:.1f} | {peer_seconds:.1f} |")


def follow_flights() -> None:
    """Print estimated and real AUC by month of a model that learned January and February."""
    table = flights.load_flights()
    before = table[table[flights.TIME] < datetime(2013, 3, 1, tzinfo=UTC)]
    learned, test = before.iloc[: len(before) * 7 // 10], before.iloc[len(before) * 7 // 10 :]
    model = _train(learned)
    baseline = _learn_flights(test, model(test))
    print("\n| month | estimated AUC | ± | real AUC | changed |\n|---|---|---|---|---|")
    print(f"| test rows | {baseline.reference:.3f} | {baseline.standard_error:.3f} | {_auc(test, model(test)):.3f} | |")
    for month in range(3, 13):
        rows = table[table[flights.TIME].dt.month == month]
        outputs = model(rows)
        features = read_features(rows, FLIGHTS, rows[flights.TIME])
        found = estimate(baseline, features, outputs, FLIGHTS, significance=0.01)
        figures = f"{found.value:.3f} | {found.standard_error:.3f} | {_auc(rows, outputs):.3f}"
        print(f"| {datetime(2013, month, 1, tzinfo=UTC):%B} | {figures} | {'yes' if found.changed else 'no'} |")


def _estimate_loans(reference: pd.DataFrame, analysis: pd.DataFrame, size: int) -> npt.NDArray[np.float64]:
    outputs = reference.rename(columns={"y_pred": "prediction", "y_pred_proba": "probability"})
    baseline = build_estimation_baseline(
        {}, reference["repaid"], outputs, LOANS, metric="roc_auc", blocks=np.arange(len(reference)) // 5000
    )
    return _chunks(
        _answers(analysis), size, lambda chunk, _: [baseline.expect(chunk, {}, metric=m).value for m in METRICS]
    )


def _ask_nannyml(reference: pd.DataFrame, analysis: pd.DataFrame, rows: int | None) -> npt.NDArray[np.float64]:
    import nannyml

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cbpe = nannyml.CBPE(
            metrics=list(METRICS),
            y_true="repaid",
            y_pred="y_pred",
            y_pred_proba="y_pred_proba",
            problem_type="classification_binary",
            timestamp_column_name="timestamp",
            chunk_size=rows,
        )
        found = cbpe.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    return np.column_stack([found[metric]["value"] for metric in METRICS])


def _estimate_prices(
    reference: pd.DataFrame, analysis: pd.DataFrame, names: list[str], parts: list[slice]
) -> npt.NDArray[np.float64]:
    def kind(name: str) -> FeatureType:
        return FeatureType.NUMERIC if pd.api.types.is_numeric_dtype(reference[name]) else FeatureType.CATEGORICAL

    features = tuple(Feature(name=name, type=kind(name), nullable=True) for name in names)
    schema = DataSchema(task=Task.REGRESSION, target=Target(name="y_true"), features=features)
    outputs = reference.rename(columns={"y_pred": "prediction"})
    blocks = np.arange(len(reference)) * DEFAULT_CHUNKS // len(reference)
    metrics = ("neg_mean_absolute_error", "neg_root_mean_squared_error")
    baseline = build_estimation_baseline(
        read_features(reference, schema, None), reference["y_true"], outputs, schema, metric=metrics[0], blocks=blocks
    )
    predictions = analysis["y_pred"].to_numpy(dtype=np.float64)
    return -np.array(
        [
            [
                baseline.expect(
                    Answers(predictions[part]), read_features(analysis[part], schema, None), metric=metric
                ).value
                for metric in metrics
            ]
            for part in parts
        ]
    )


def _ask_nannyml_of_losses(
    reference: pd.DataFrame, analysis: pd.DataFrame, names: list[str]
) -> npt.NDArray[np.float64]:
    import nannyml

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        dle = nannyml.DLE(
            feature_column_names=names,
            y_pred="y_pred",
            y_true="y_true",
            timestamp_column_name="timestamp",
            metrics=["mae", "rmse"],
        )
        found = dle.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    return np.column_stack([found[metric]["value"] for metric in ("mae", "rmse")])


def _answers(table: pd.DataFrame) -> Answers:
    probability = table["y_pred_proba"].to_numpy(dtype=np.float64)
    return Answers(table["y_pred"].to_numpy(dtype=np.float64), np.column_stack([1 - probability, probability]))


def _chunks(answers: Answers, size: int, measure: Callable[[Answers, slice], list[float]]) -> npt.NDArray[np.float64]:
    parts = [slice(start, start + size) for start in range(0, len(answers.predictions), size)]
    return np.array([measure(answers.take(part), part) for part in parts])


def _realized(answers: Answers, truth: npt.NDArray[np.float64]) -> list[float]:
    labels = np.column_stack([1 - truth, truth])
    return [metric_of(metric, labels, answers)[0] for metric in METRICS]


def _timed(work: Callable[[], npt.NDArray[np.float64]]) -> tuple[float, npt.NDArray[np.float64]]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _train(rows: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    categories = {name: rows[name].astype("category").dtype for name in ("carrier", "origin", "dest")}

    def features(table: pd.DataFrame) -> pd.DataFrame:
        return table[flights.FEATURES].astype(categories)

    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    model.fit(features(rows), rows[flights.TARGET])

    def answer(table: pd.DataFrame) -> pd.DataFrame:
        probability = model.predict_proba(features(table))[:, 1]
        return pd.DataFrame({"prediction": probability >= 0.5, "probability": probability}, index=table.index)  # noqa: PLR2004

    return answer


def _learn_flights(test: pd.DataFrame, outputs: pd.DataFrame) -> EstimationBaseline:
    times = test[flights.TIME]
    blocks = ((times - times.min()) // timedelta(days=1)).to_numpy()
    features = read_features(test, FLIGHTS, times)
    return build_estimation_baseline(features, test[flights.TARGET], outputs, FLIGHTS, metric="roc_auc", blocks=blocks)


def _auc(rows: pd.DataFrame, outputs: pd.DataFrame) -> float:
    truth, probability = rows[flights.TARGET].to_numpy(dtype=np.float64), outputs["probability"].to_numpy()
    answers = Answers(probability >= 0.5, np.column_stack([1 - probability, probability]))  # noqa: PLR2004
    return metric_of("roc_auc", np.column_stack([1 - truth, truth]), answers)[0]
