"""Stage `explain`: what the selected model looks at: permutation importance and Shapley values of the raw columns.

Between `evaluate` and `package`. It asks the whole chain, so that a column counts as its user knows it, however it
was cleaned and encoded. It chooses and rejects nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from driftloop.algorithms.metrics import Answers, score
from driftloop.algorithms.tasks import answer
from driftloop.algorithms.unsupervised import adjusted_rand, rank_correlation
from driftloop.reports.axes import number_axis
from driftloop.reports.bars import MOST_ROWS as MOST_DRAWN
from driftloop.reports.bars import Interval, interval_chart
from driftloop.reports.page import Card, Header, cards, paragraph, render_page
from driftloop.spec import ColumnImportance, DataSchema, Task
from driftloop.spec.problem import UNSUPERVISED
from driftloop.stages.attributionpage import build_attribution_section
from driftloop.stages.records import SUSPICIOUS_SHARE, Explanation
from driftloop.stages.table import encode_target, read_features, read_target

AGREEMENT = "agreement"
"""Named in the place of a metric where no truth decides."""
REPEATS = 10
MOST_ROWS, FEWEST_ROWS = 1000, 200
MOST_ANSWERS = 200_000
"""Answers to ask for over all columns and repeats; wide tables are measured on fewer rows, at least `FEWEST_ROWS`."""
ROWS_PER_CLASS = 10
"""So many rows of each class are among those chosen, where there are so many: a metric must be defined on them."""
_FEWEST_COLUMNS_TO_SUSPECT = 3


def explain(chain: Any, test: pa.Table, schema: DataSchema, *, metric: str, seed: int) -> Explanation:
    """Return what the metric loses when a column is shuffled (Breiman 2001; Fisher, Rudin and Dominici 2019).

    Each repeat has a shuffle and a bootstrap sample of its own, so that the standard deviation tells how far the
    importance depends on which rows happened to be there. Columns that resemble each other share their importance.

    Where no truth decides, what is lost is the agreement with the model's own answers to the rows as they are.

    Args:
        chain: the whole model; takes the model's frame.
        test: rows that nothing was fitted or tuned on.
        schema: of those rows.
        metric: the loop's metric.
        seed: of the choice of rows, of shuffles and samples.
    """
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(seed)
    truth = encode_target(read_target(test, schema), schema)
    chosen = _choose_rows(truth, schema, generator)
    truth, frame = truth[chosen], read_features(test.take(pa.array(chosen)), schema)
    rows = len(truth)
    orders = [generator.permutation(rows) for _ in range(REPEATS)]
    samples = [
        np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64) for _ in range(REPEATS)
    ]
    repeated = pd.concat([frame] * REPEATS, ignore_index=True)
    repeat_of_row = np.repeat(np.arange(REPEATS), rows)
    columns = []
    with threadpool_limits(limits=1):  # on a busy machine, threads that wait for one another take six times as long
        whole = answer(chain, frame, schema.task)
        if schema.task in UNSUPERVISED:
            metric, measure = AGREEMENT, agreement_with(whole)
        else:
            measure = partial(score, metric, truth)
        before = [measure(whole, weights) for weights in samples]
        for name in schema.feature_names:
            values = frame[name].to_numpy()
            shuffled = repeated.assign(**{name: np.concatenate([values[order] for order in orders])})
            answers = answer(chain, shuffled, schema.task)
            losses = [
                before[repeat] - measure(answers.take(repeat_of_row == repeat), samples[repeat])
                for repeat in range(REPEATS)
            ]
            columns.append(_summarise(name, losses))
    columns.sort(key=lambda column: -column.importance)
    return Explanation(
        metric=metric,
        rows=rows,
        repeats=REPEATS,
        score=measure(whole, np.ones(rows)),
        columns=tuple(columns),
        leakage_suspect=_leakage_suspect(columns),
    )


def agreement_with(whole: Answers) -> Callable[[Answers, npt.NDArray[np.float64]], float]:
    """Return how far answers agree with earlier ones: adjusted Rand index of clusters, rank correlation of scores."""

    def measure(answers: Answers, weights: npt.NDArray[np.float64]) -> float:
        if whole.space is not None:
            return adjusted_rand(whole.predictions, answers.predictions, weights)
        scores = [np.zeros(0) if one.probabilities is None else one.probabilities[:, 1] for one in (whole, answers)]
        return rank_correlation(scores[0], scores[1], weights)

    return measure


def build_page(explanation: Explanation) -> str:
    """Return the importance of all columns as one self-contained HTML page."""
    header = Header(
        "What the model looks at",
        "Which columns would the model miss, and which make no difference?",
        {"Metric": explanation.metric},
    )
    columns = explanation.columns
    matter = sum(column.is_distinguishable for column in columns)
    rows = [_interval(column) for column in columns]
    bounds = [bound for row in rows[:MOST_DRAWN] for bound in (row.low, row.high)]
    picture = interval_chart(
        f"Loss of {explanation.metric} when a column is shuffled",
        rows,
        number_axis("", bounds, include=0.0, room=0.05),
        alt=f"Importance of {len(columns)} columns; {matter} are distinguishable from 0",
        zero=0.0,
        note="Whiskers: two standard deviations; grey: not distinguishable from 0. Columns "
        "that resemble each other share their importance.",
    )
    return render_page(
        header,
        paragraph(explanation.leakage_note, lede=True) if explanation.leakage_suspect else "",
        cards(
            Card(f"{explanation.metric} on these rows", f"{explanation.score:.3f}", tone="a"),
            Card("Test rows", f"{explanation.rows:,}", f"shuffled {explanation.repeats} times"),
            Card("Columns that matter", f"{matter:,}", f"of {len(columns):,}", "a"),
        ),
        picture,
        build_attribution_section(explanation.attributions) if explanation.attributions else "",
    )


def _interval(column: ColumnImportance) -> Interval:
    reach = 2 * column.standard_deviation
    return Interval(
        column.column,
        column.importance,
        column.importance - reach,
        column.importance + reach,
        f"{column.importance:+.4f}",
        "a" if column.is_distinguishable else "ref",
    )


def _choose_rows(
    truth: npt.NDArray[np.float64], schema: DataSchema, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    rows = min(max(MOST_ANSWERS // (REPEATS * len(schema.features)), FEWEST_ROWS), MOST_ROWS)
    order = generator.permutation(len(truth))
    if schema.task is Task.CLASSIFICATION:
        rank = np.empty(len(truth), dtype=np.int64)
        for code in np.unique(truth):
            is_class = truth[order] == code
            rank[is_class] = np.arange(is_class.sum())
        order = order[np.argsort(rank >= ROWS_PER_CLASS, kind="stable")]
    return np.sort(order[:rows])


def _summarise(name: str, losses: list[float]) -> ColumnImportance:
    defined = [loss for loss in losses if np.isfinite(loss)] or [0.0, 0.0]
    return ColumnImportance(
        column=name, importance=float(np.mean(defined)), standard_deviation=float(np.std(defined, ddof=1))
    )


def _leakage_suspect(columns: list[ColumnImportance]) -> str:
    total = sum(max(column.importance, 0.0) for column in columns)
    first = columns[0]
    alone = first.is_distinguishable and first.importance >= SUSPICIOUS_SHARE * total
    return first.column if alone and len(columns) >= _FEWEST_COLUMNS_TO_SUSPECT else ""
