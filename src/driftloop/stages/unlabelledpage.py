"""The part of the evaluation's page on clusters and on anomalies. Draws what `evaluate` found; judges nothing."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.algorithms.metrics import Answers
from driftloop.algorithms.unsupervised import NOISE, silhouettes
from driftloop.reports import charts
from driftloop.reports.axes import number_axis, share_axis
from driftloop.reports.bars import Bar, Interval, bar_chart, interval_chart
from driftloop.reports.charts import Frame, Tone
from driftloop.reports.markup import figure, name, percent, plain
from driftloop.reports.page import figures, section, table
from driftloop.spec import DataSchema, FeatureType, Task

_MOST_DRAWN_ROWS = 1500
_MOST_CLUSTERS = 20
_MOST_TELLING = 4
_TONES: tuple[Tone, ...] = ("a", "b", "c", "good", "warn", "bad")
_SQUARE = {"width": 400, "height": 340}
_BINS = 30
_WIDE, _FAR = 0.5, 0.1

Numbers = npt.NDArray[np.float64]


def build_sections(answers: Answers, truth: Numbers, frame: pd.DataFrame, schema: DataSchema, wanted: float) -> str:
    """Return what the answers to the test rows look like.

    Args:
        answers: of the model.
        truth: shape (n,), NaN where unknown.
        frame: the model's frame of the same rows.
        schema: of the rows.
        wanted: AnomalyDetection: share of rows to call anomalous.
    """
    if schema.task is Task.CLUSTERING:
        return section(
            "The clusters",
            figures(_sizes(answers), _silhouettes(answers), _map(answers)),
            _profiles(answers, frame, schema),
        )
    return section("The anomalies", figures(_scores(answers, truth, wanted)), _most_anomalous(answers, frame))


def _labels(answers: Answers) -> list[int]:
    return [int(cluster) for cluster in np.unique(answers.predictions)][:_MOST_CLUSTERS]


def _title(cluster: int) -> str:
    return "none" if cluster == NOISE else f"cluster {cluster}"


def _sizes(answers: Answers) -> str:
    shares = {label: float((answers.predictions == label).mean()) for label in _labels(answers)}
    bars = [Bar(_title(label), (share,), percent(share)) for label, share in shares.items()]
    return bar_chart(
        "Share of the test rows", bars, (("a", "share"),), alt=f"Shares of {len(bars)} clusters among the test rows"
    )


def _silhouettes(answers: Answers) -> str:
    if answers.space is None:
        return ""
    chosen = _evenly(len(answers.predictions))
    clusters = answers.predictions[chosen]
    values = silhouettes(answers.space[chosen], clusters)
    rows = []
    for label in _labels(answers):
        own = values[clusters == label]
        if len(own):
            low, high = (float(bound) for bound in np.quantile(own, (0.1, 0.9)))
            rows.append(Interval(_title(label), float(own.mean()), low, high, figure(float(own.mean()))))
    return interval_chart(
        "Silhouette of each cluster",
        rows,
        number_axis("", [*(row.low for row in rows), *(row.high for row in rows), 1.0], include=0.0, room=0.0),
        alt=f"Mean silhouette of {len(rows)} clusters, with the range of the middle 80 % of their rows",
        zero=0.0,
        note="1: far from all others; 0: between two; below: nearer to another. Whiskers: the middle 80 % of rows.",
    )


def _map(answers: Answers) -> str:
    """Draw the rows in the plane in which they spread most."""
    if answers.space is None:
        return ""
    chosen = _evenly(len(answers.predictions))
    centred = answers.space[chosen] - answers.space[chosen].mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    if plane.shape[1] < 2:  # noqa: PLR2004 - a plane has two axes
        plane = np.column_stack([plane, np.zeros(len(plane))])
    told = float((spread[:2] ** 2).sum() / max((spread**2).sum(), 1e-12))
    clusters = answers.predictions[chosen]
    frame = Frame(
        number_axis("first component", _limits(plane[:, 0]), room=0.03),
        number_axis("second component", _limits(plane[:, 1]), room=0.03),
        **_SQUARE,
    )
    labels = _labels(answers)
    tones = {label: "ref" if label == NOISE else _TONES[place % len(_TONES)] for place, label in enumerate(labels)}
    marks = [
        charts.dots(frame, plane[clusters == label, 0].tolist(), plane[clusters == label, 1].tolist(), tone, faint=True)
        for label, tone in tones.items()
    ]
    return charts.chart(
        "The rows in the plane in which they spread most",
        frame,
        marks,
        alt=f"{len(chosen)} test rows by their first two principal components, coloured by cluster",
        legend=[(tone, _title(label)) for label, tone in tones.items()][: len(_TONES)],
        note=f"The plane shows {percent(told)} of the spread; clusters that overlap here may be apart elsewhere.",
    )


def _profiles(answers: Answers, frame: pd.DataFrame, schema: DataSchema) -> str:
    """Tell each cluster by the columns in which it differs most from the rest."""
    rows = []
    for label in _labels(answers):
        inside = answers.predictions == label
        told = sorted(_differences(frame, inside, schema), reverse=True)[:_MOST_TELLING]
        rows.append((_title(label), f"{inside.sum():,}", "; ".join(words for _, words in told) or "nothing stands out"))
    return "<h3>What tells them apart</h3>" + table(("Cluster", "Test rows", "Stands out by"), rows, numbers=(1,))


def _differences(frame: pd.DataFrame, inside: npt.NDArray[np.bool_], schema: DataSchema) -> list[tuple[float, str]]:
    """Return how far each column's values lie from those of all rows, and that in words."""
    found = []
    for feature in schema.features:
        values, known = frame[feature.name], frame[feature.name][inside].dropna()
        if known.empty:
            continue
        if feature.type is FeatureType.NUMERIC:
            spread, middle, own = values.std(), values.median(), known.median()
            if spread > 0 and (size := abs(own - middle) / spread) > _WIDE:
                found.append((float(size), f"{name(feature.name)} {figure(float(own))} (all: {figure(float(middle))})"))
        elif feature.type in {FeatureType.CATEGORICAL, FeatureType.BOOLEAN}:
            top = known.mode().iloc[0]
            share, usual = float((known == top).mean()), float((values.dropna() == top).mean())
            if share - usual > _FAR:
                told = f"{name(feature.name)} {name(str(top))} in {percent(share)} (all: {percent(usual)})"
                found.append((2 * (share - usual), told))
    return found


def _scores(answers: Answers, truth: Numbers, wanted: float) -> str:
    shares = np.zeros(0) if answers.probabilities is None else answers.probabilities[:, 1]
    edges = np.linspace(0, 1, _BINS + 1)
    flagged = float(answers.predictions.mean())
    sides: list[tuple[Tone, str, Numbers]] = [("a", "all test rows", shares)]
    if np.isin((0.0, 1.0), truth).all():
        sides = [("ref", "known not to be", shares[truth == 0]), ("b", "known to be anomalous", shares[truth == 1])]
    heights = [(tone, label, np.histogram(side, edges)[0] / max(len(side), 1)) for tone, label, side in sides]
    frame = Frame(
        share_axis("share of training rows that are less anomalous"),
        share_axis("share of the rows", float(max(height.max() for _, _, height in heights))),
        **_SQUARE,
    )
    marks = [
        charts.histogram(frame, edges.tolist(), height.tolist(), tone, outline=tone == "b")
        for tone, _, height in heights
    ]
    return charts.chart(
        "How anomalous the test rows are",
        frame,
        (*marks, charts.rule(frame, x=1 - wanted, label=f"anomalous from {percent(1 - wanted)}", tone="b")),
        alt=f"Distribution of the scores; {percent(flagged)} of the test rows count as anomalous",
        legend=[(tone, label) for tone, label, _ in heights],
        note=f"{percent(flagged)} of the test rows count as anomalous, of the training rows {percent(wanted)}. Rows "
        "like the training rows would spread evenly.",
    )


def _most_anomalous(answers: Answers, frame: pd.DataFrame) -> str:
    """List the most anomalous test rows with what is furthest from the middle."""
    if answers.probabilities is None:
        return ""
    numeric = frame.select_dtypes("number")
    spread = (numeric - numeric.median()) / numeric.std().replace(0, np.nan)
    rows = []
    for place in np.argsort(-answers.probabilities[:, 1], kind="stable")[:10]:
        far = spread.iloc[place].abs().sort_values(ascending=False, kind="stable").head(3).dropna()
        told = "; ".join(f"{name(str(column))} {figure(float(numeric.iloc[place][column]))}" for column in far.index)
        share = f"{answers.probabilities[place, 1]:.4f}"
        rows.append((f"{place + 1:,}", share, told, "yes" if answers.predictions[place] else "no"))
    heads = ("Test row", "Less anomalous", "Furthest from the middle", plain("Counts as anomalous"))
    return "<h3>The most anomalous test rows</h3>" + table(heads, rows, numbers=(0, 1))


def _evenly(rows: int) -> npt.NDArray[np.int64]:
    return np.arange(rows) if rows <= _MOST_DRAWN_ROWS else np.linspace(0, rows - 1, _MOST_DRAWN_ROWS).astype(np.int64)


def _limits(values: Numbers) -> list[float]:
    return [float(values.min()), float(values.max())]
